"""Runs of the trainer as real processes; each is killed when the test that starts it ends."""

import contextlib
import json
import multiprocessing
import runpy
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

LIMIT_S = 90.0
"""A wait that takes longer has failed; it takes a tenth of that where nothing else runs."""

# Forked off a server that has imported torch: starting takes 0.1 s in place of 3, and what runs is
# still the command, in a process of its own that a signal can hit.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["bitextile.pipelines.cli.main", "bitextile.trainer.train.pretrain"])

RANK_SCRIPT = """
import os, sys
os.environ.update({environment!r})
log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.dup2(log, 1)
os.dup2(log, 2)
import torch
torch.set_num_threads(1)
{before}
from bitextile.pipelines.cli.main import main
main({arguments!r})
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Started:
    """The processes of a run and what they said."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.ranks: list = []

    def log(self) -> str:
        return "".join(p.read_text() for p in sorted(self.run.parent.glob(f"{self.run.name}.log*")))

    def codes(self) -> list[int]:
        """Waits for all to end and returns their exit codes."""
        deadline = time.monotonic() + LIMIT_S
        for process in self.ranks:
            process.join(max(0.1, deadline - time.monotonic()))
        assert not any(p.is_alive() for p in self.ranks), f"ranks hang: {self.log()}"
        return [p.exitcode for p in self.ranks]

    def wait_for(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not what():
            assert all(p.is_alive() for p in self.ranks) or what(), f"ended: {self.log()}"
            assert time.monotonic() < deadline, f"waited in vain: {self.log()}"
            time.sleep(0.01)


@contextlib.contextmanager
def started(
    run: Path, settings: Path, *flags: str, ranks: int = 1, before: str = ""
) -> Iterator[Started]:
    """Starts the ranks of a run as torchrun does, and kills what is left of them at the end."""
    made = Started(run)
    place = {"WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    try:
        for rank in range(ranks):
            environment = {k: str(v) for k, v in place.items()} | {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "OMP_NUM_THREADS": "1",
            }
            script = run.parent / f"{run.name}.rank{rank}.py"
            script.write_text(
                RANK_SCRIPT.format(
                    environment=environment,
                    log=str(run.parent / f"{run.name}.log{rank}"),
                    before=before,
                    arguments=["pretrain", str(settings), "--out", str(run), *flags],
                )
            )
            process = SERVER.Process(target=runpy.run_path, args=(str(script),))
            process.start()
            made.ranks.append(process)
        yield made
    finally:
        for process in made.ranks:
            children = []
            with contextlib.suppress(psutil.NoSuchProcess):
                children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.join(LIMIT_S)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


def metrics(run: Path) -> list[dict]:
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(x) for x in lines if x.endswith("\n")]


def step_reached(run: Path) -> int:
    return max((m["step"] for m in metrics(run)), default=0)


EXACT = ("step", "records", "tokens", "rows", "truncated", "split", "epoch", "padding", "lr")


def assert_same_run(one: Path, other: Path, rel: float = 1e-6) -> None:
    a, b = metrics(one), metrics(other)
    assert [{k: m[k] for k in EXACT} for m in a] == [{k: m[k] for k in EXACT} for m in b]
    for x, y in zip(a, b):
        assert y["losses"] == pytest.approx(x["losses"], rel=rel)
        assert y["loss"] == pytest.approx(x["loss"], rel=rel)
        assert y["gradient_norm"] == pytest.approx(x["gradient_norm"], rel=rel)
