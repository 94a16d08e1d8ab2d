"""A command that is killed: its workers end with it, and nothing is left where others look."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

LIMIT_S = 60.0

# Both workers stand still in a step, one of them in a loop that never waits.
SCRIPT = """
import os, sys, time
from pathlib import Path
import apache_beam as beam
from bitextile.pipelines.runner.atomic import staged
from bitextile.pipelines.runner.beam import execute
from bitextile.pipelines.runner.options import RunOptions

folder, options = Path(sys.argv[1]), sys.argv[2:]

def stand_still(row):
    (folder / f"{os.getpid()}").touch()
    while row % 2:
        pass
    time.sleep(600)

def build(root):
    root | beam.Create(range(8)) | beam.Reshuffle() | beam.Map(stand_still)

with staged([str(folder / "out")], overwrite=False):
    execute(build, RunOptions(beam=tuple(options)), input_bytes=1)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    "options",
    [
        ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
        ["--direct_num_workers=1", "--direct_running_mode=in_memory"],
    ],
    ids=["two workers", "one"],
)
def test_workers_end_with_a_command_that_is_killed(
    tmp_path: Path, number: int, options: list[str]
) -> None:
    script, temporary = tmp_path / "script.py", tmp_path / "tmp"
    script.write_text(SCRIPT)
    temporary.mkdir()
    environment = {"PYTHONPATH": ":".join(sys.path), "TMPDIR": str(temporary)}
    command = [sys.executable, str(script), str(tmp_path), *options]
    process = subprocess.Popen(command, env=os.environ | environment)
    workers: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + LIMIT_S
        while not any(path.name.isdigit() for path in tmp_path.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) == (2 if "multi" in options[1] else 0)
        process.send_signal(number)
        process.wait()
        _, left = psutil.wait_procs(workers, timeout=LIMIT_S)
        assert left == []
    finally:
        for one in [process, *workers]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    assert list(temporary.iterdir()) == []


def test_a_pipeline_that_is_never_run_leaves_no_folder(tmp_path: Path, monkeypatch) -> None:
    from bitextile.pipelines.runner.beam import execute
    from bitextile.pipelines.runner.options import RunOptions

    def fail(root: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        execute(fail, RunOptions(), input_bytes=1)
    assert list(tmp_path.iterdir()) == []
