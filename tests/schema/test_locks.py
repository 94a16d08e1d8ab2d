"""Locks: one holder at a time, whoever was killed, suspended, or is on another machine."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitextile.schema import locks
from bitextile.schema.errors import BitextileError, OutputInUseError
from bitextile.schema.locks import hold

HOLD = """
import sys, time
from bitextile.schema.locks import hold
with hold(sys.argv[1], "the output"):
    print("held", flush=True)
    time.sleep(600)
"""
# Each adds 1 to a number, by reading and writing it, whenever it has the lock.
COUNT = """
import sys, time
from pathlib import Path
from bitextile.schema.errors import OutputInUseError
from bitextile.schema.locks import hold
lock, number, turns = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
while turns:
    try:
        with hold(lock, "the output"):
            value = int(number.read_text())
            time.sleep(0.002)
            number.write_text(str(value + 1))
        turns -= 1
    except OutputInUseError:
        pass
"""


def start(text: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def stop(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".out.lock"


@pytest.fixture
def other(lock: Path):
    """A process that holds the lock."""
    process = start(HOLD, lock)
    assert process.stdout.readline() == b"held\n"
    yield process
    stop(process)


def test_a_lock_is_there_while_it_is_held_and_says_who_holds_it(lock: Path) -> None:
    with hold(lock, "the output") as held:
        content = json.loads(lock.read_text())
        assert content["pid"] == os.getpid()
        assert content["host"]
        assert content["started"].endswith("+00:00")
        held.check()
        assert not held.taken_over
        with pytest.raises(OutputInUseError, match="the output is being written by this very proc"):
            hold(lock, "the output").__enter__()
        assert [p.name for p in lock.parent.iterdir()] == [lock.name]
    assert list(lock.parent.iterdir()) == []


def test_a_lock_of_a_process_that_runs_is_refused(lock: Path, other) -> None:
    with pytest.raises(OutputInUseError, match=rf"by process {other.pid} on .+, since 20"):
        hold(lock, "the output").__enter__()
    assert other.poll() is None
    assert [p.name for p in lock.parent.iterdir()] == [lock.name]


def test_a_lock_of_a_process_that_was_killed_is_taken_over_with_a_sentence(
    lock: Path, other, caplog: pytest.LogCaptureFixture
) -> None:
    other.kill()  # not yet waited for, as by a container's first process
    deadline = time.monotonic() + 30
    while locks.start_of(other.pid) is not None:
        assert time.monotonic() < deadline
    with caplog.at_level(logging.WARNING), hold(lock, "the output") as held:
        assert held.taken_over
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    [line] = caplog.messages
    assert line.startswith(f"the output: the lock of process {other.pid} on ")
    assert line.endswith(", which has ended, is taken over")
    assert list(lock.parent.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [{"ticks": 1}, {"pid": 2**22 + 1}],
    ids=["its id was given to another process", "its id is nobody's"],
)
def test_a_process_is_told_from_a_later_one_of_its_id(lock: Path, other, changes: dict) -> None:
    lock.write_text(json.dumps(json.loads(lock.read_text()) | changes))
    with hold(lock, "the output") as held:
        assert held.taken_over


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_S", 0.05)
    monkeypatch.setattr(locks, "SILENT_S", 1.0)


ELSEWHERE = {"host": "node7", "machine": "another boot", "pid": 1}


@pytest.mark.usefixtures("quick")
def test_a_lock_of_another_machine_is_refused_while_it_is_touched(lock: Path, other) -> None:
    lock.write_text(json.dumps(json.loads(lock.read_text()) | ELSEWHERE))
    # Its holder, although beside us, touches it as one far away does.
    touch = "import os, sys, time\nwhile True: os.utime(sys.argv[1]); time.sleep(0.05)"
    toucher = start(touch, lock)
    try:
        began = time.monotonic()
        with pytest.raises(OutputInUseError, match="process 1 on node7"):
            hold(lock, "the output").__enter__()
        assert time.monotonic() - began < 30
    finally:
        stop(toucher)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "content",
    [json.dumps(ELSEWHERE), "", "[" * 4000, '{"pid": "x"}', "\0" * 9000],
    ids=["of another machine", "empty", "nested", "without numbers", "zeros"],
)
@pytest.mark.parametrize("age", [0, 3600], ids=["new", "old"])
def test_a_lock_that_nobody_touches_is_taken_over(lock: Path, content: str, age: int) -> None:
    fields = {"started": "then", "ticks": 1, "token": "x"}
    if content.startswith("{") and "node7" in content:
        content = json.dumps(json.loads(content) | fields)
    lock.write_text(content)
    then = time.time() - age
    os.utime(lock, (then, then))
    with hold(lock, "the output") as held:
        assert held.taken_over
    assert list(lock.parent.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_lock_is_touched_while_it_is_held(lock: Path) -> None:
    with hold(lock, "the output"):
        os.utime(lock, (1, 1))
        deadline = time.monotonic() + 30
        while lock.stat().st_mtime < 1000:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_run_whose_lock_was_taken_over_is_told_and_leaves_it_to_the_other(lock: Path) -> None:
    taken = json.dumps({**ELSEWHERE, "started": "now", "ticks": 1, "token": "y"})
    with hold(lock, "the output") as held:
        lock.unlink()
        lock.write_text(taken)
        with pytest.raises(BitextileError, match="on node7, since now has taken over its lock"):
            held.check()
    assert lock.read_text() == taken


def test_a_lock_that_was_removed_by_hand_is_made_again(lock: Path) -> None:
    with hold(lock, "the output") as held:
        lock.unlink()
        held.check()
        assert lock.exists()
    assert not lock.exists()


def refuse_links(*_: object) -> None:
    raise OSError(95, "Operation not supported")


def test_a_file_system_without_hard_links_will_do(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse_links)
    with hold(lock, "the output"), pytest.raises(OutputInUseError):
        hold(lock, "the output").__enter__()
    assert list(lock.parent.iterdir()) == []


@pytest.mark.parametrize("stale", [False, True], ids=["free", "stale"])
def test_many_processes_have_it_one_at_a_time(lock: Path, tmp_path: Path, stale: bool) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    if stale:
        dead = start(HOLD, lock)
        assert dead.stdout.readline() == b"held\n"
        stop(dead)
    processes = [start(COUNT, lock, number, 15) for _ in range(6)]
    assert [p.communicate(timeout=120) for p in processes] == [(b"", None)] * 6
    assert [p.returncode for p in processes] == [0] * 6
    assert number.read_text() == "90"
    assert [p.name for p in tmp_path.iterdir()] == ["number"]
