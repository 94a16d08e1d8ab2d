"""Processes that are told apart, and children that end with their parent."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bitextile.schema import processes
from bitextile.schema.processes import BoundContext, machine, run_bound, start_of

LIMIT_S = 30.0
IMPORTS = "import os, subprocess, sys, time; from bitextile.schema import processes\n"
BOUND = f"{IMPORTS}processes.end_with(int(sys.argv[1])); time.sleep(600)"
BUSY = f"{IMPORTS}processes.end_with(int(sys.argv[1]))\nwhile True: pass"
POLLING = f"{IMPORTS}del os.pidfd_open; processes.end_with(int(sys.argv[1])); time.sleep(600)"
# A program with a child of its own, as eflomal-align has.
PROGRAM = "import subprocess; subprocess.run(['sleep', '600'])"
STARTS_A_PROGRAM = (
    f"{IMPORTS}processes.run_bound([sys.executable, '-c', {PROGRAM!r}], cwd='/', env=os.environ)"
)


def script(text: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", text, *map(str, arguments)]


def starts(child: str) -> str:
    return f"{IMPORTS}subprocess.run([sys.executable, '-c', {child!r}, str(os.getpid())])"


def until(what: str, true) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextlib.contextmanager
def running(text: str) -> Iterator[subprocess.Popen]:
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen(script(text), env=environment)
    try:
        yield process
    finally:
        left = descendants(process) if process.poll() is None else []
        for one in [*left, process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def descendants(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


# What a process is given may take long to unpickle, for the libraries it needs.
SLOW = """
import sys, time
class Slow:
    def __reduce__(self):
        return time.sleep, (600,)
if __name__ == "__main__":
    from bitextile.schema.processes import BoundContext
    process = BoundContext().Process(target=print, args=(Slow(),))
    process.start()
    process.join()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_spawned_process_ends_with_its_parent_before_it_has_begun(
    tmp_path: Path, number: int
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    text = f"import runpy; runpy.run_path({str(tmp_path / 'slow.py')!r}, run_name='__main__')"
    with running(text) as process:
        # multiprocessing's resource tracker is a child too.
        until("no child started", lambda: len(descendants(process)) == 2)
        children = descendants(process)
        until("not bound yet", lambda: any(c.num_threads() == 2 for c in children))
        process.send_signal(number)
        process.wait()
        until("children live on", lambda: not any(map(runs, children)))


# As torch does when it hands a tensor over.
TEMPORARY = """
import time
from multiprocessing.util import get_temp_dir
def stay():
    print(get_temp_dir(), flush=True)
    time.sleep(600)
if __name__ == "__main__":
    from bitextile.schema.processes import BoundContext
    process = BoundContext().Process(target=stay)
    process.start()
    process.join()
"""


def say(text: str, path: Path) -> None:
    path.write_text(text)


def test_a_spawned_process_does_its_work(tmp_path: Path) -> None:
    process = BoundContext().Process(target=say, args=("γεια", tmp_path / "said"))
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert (tmp_path / "said").read_text() == "γεια"


@pytest.mark.parametrize(
    ("text", "generations"),
    [
        (starts(BOUND), 1),
        (starts(BUSY), 1),
        (starts(POLLING), 1),
        (STARTS_A_PROGRAM, 3),
        (starts(f"{IMPORTS}processes.end_with(int(sys.argv[1]))\n{STARTS_A_PROGRAM}"), 4),
    ],
    ids=["waiting", "busy", "without pidfd", "a program", "a worker's program"],
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_their_parent(text: str, generations: int, number: int) -> None:
    with running(text) as process:
        until("no child started", lambda: len(descendants(process)) == generations)
        time.sleep(0.3)  # the thread that waits
        children = descendants(process)
        process.send_signal(number)
        process.wait()
        until("children live on", lambda: not any(map(runs, children)))


def test_a_child_of_a_parent_that_is_gone_ends_at_once() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(script(BOUND, gone.pid), env=environment, timeout=LIMIT_S, check=False)
    assert done.returncode == 1


def test_a_program_gives_its_code_and_what_it_wrote(tmp_path: Path) -> None:
    text = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = run_bound(script(text), cwd=str(tmp_path), env={})
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    killed = run_bound(script("import os; os.kill(os.getpid(), 9)"), cwd="/", env={})
    assert killed.returncode == 128 + signal.SIGKILL
    with pytest.raises(OSError, match="none"):
        run_bound([str(tmp_path / "none")], cwd="/", env={})


def test_an_interrupted_call_leaves_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(process: subprocess.Popen) -> None:
        until("no program", lambda: len(descendants(process)) == 2)
        found.extend(descendants(process))
        raise KeyboardInterrupt

    found: list[psutil.Process] = []
    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_bound(script(PROGRAM), cwd="/", env={})
    until("the program lives on", lambda: not any(map(runs, found)))


def test_a_process_is_known_by_its_start() -> None:
    assert machine()
    ours = start_of(os.getpid())
    assert ours is not None
    # psutil's, in seconds, from the same clock.
    assert ours / os.sysconf("SC_CLK_TCK") == pytest.approx(
        psutil.Process().create_time() - psutil.boot_time(), abs=2
    )
    child = subprocess.Popen(["sleep", "600"])
    assert start_of(child.pid) is not None
    child.kill()
    # Not yet waited for: a zombie, which writes nothing any more.
    until("a zombie runs", lambda: start_of(child.pid) is None)
    child.wait()
    assert start_of(child.pid) is None


def test_without_proc_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", gone)
    processes.machine.cache_clear()
    assert processes.machine() == ""
    monkeypatch.undo()
    processes.machine.cache_clear()
