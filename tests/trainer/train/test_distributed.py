"""Ranks and loader workers, as real processes: the run is the same however it is dealt and killed.

Every process a test starts is killed when the test ends, and each wait has an end of its own.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from bitextile.kernels.randomness import uniform
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import pretrain

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


@pytest.fixture
def written(config, datasets, tmp_path):
    """Writes a configuration of a mixture and returns it and its file."""
    mixture = [
        {"objective": "weam", "dataset": datasets["aligned"], "exchange_layer": True},
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "moco", "dataset": datasets["pairs"], "queue": 24, "projection": 8},
        {"objective": "camlm", "dataset": datasets["pairs"]},
    ]
    base = {"data": mixture, "steps": 16, "grad_accumulation": 6, "checkpoint_every": 2}

    def write(name: str = "run.yaml", **more: object):
        made = config(**(base | {"batch_tokens": 128, "keep_checkpoints": 3} | more))
        path = tmp_path / name
        path.write_text(yaml.safe_dump(made.model_dump(mode="json")))
        return made, path

    return write


def test_a_run_killed_again_and_again_on_other_ranks_and_workers_is_the_same(written, tmp_path):
    made, _ = written()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pretrain(made, str(whole))
    dealt = [(1, 0), (2, 1), (3, 0), (1, 2)]  # ranks, workers per rank
    # Each is killed two to four steps behind its first checkpoint; the last one may finish.
    drawn = uniform(np.arange(3, dtype=np.uint64), seed=3, operation="test/kill")
    for turn, (ranks, workers) in enumerate(dealt):
        _, path = written(f"{turn}.yaml", workers=workers)
        begins = int(checkpoints(killed)[-1].name[5:]) if checkpoints(killed) else 0
        with started(killed, path, "--resume", ranks=ranks) as processes:
            if turn == len(dealt) - 1:
                assert processes.codes() == [0] * ranks, processes.log()
                continue
            dies = begins + 2 + int(drawn[turn] * 3)
            processes.wait_for(lambda step=dies: step_reached(killed) >= step)
            processes.ranks[turn % ranks].kill()  # one of them; the others notice
            assert all(code != 0 for code in processes.codes())
        assert 0 < step_reached(killed) < 16
    assert_same_run(whole, killed)


def test_sigterm_on_one_rank_stops_all_behind_the_same_step(written, tmp_path):
    _, path = written(steps=5000, checkpoint_every=5000)
    run = tmp_path / "run"
    with started(run, path, ranks=2) as processes:
        processes.wait_for(lambda: step_reached(run) >= 2)
        os.kill(processes.ranks[1].pid, signal.SIGTERM)
        assert processes.codes() == [0, 0], processes.log()
    (last,) = checkpoints(run)
    assert int(last.name[5:]) == step_reached(run) < 5000
    assert "interrupted; --resume goes on" in processes.log()
    assert not (run / "model.safetensors").exists()


FAILS_ON_RANK_1 = """
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.schema.errors import DatasetError
losses, seen = Mlm.losses, []
def broken(self, encoder, objective_module, batch):
    seen.append(batch)
    if os.environ["RANK"] == "1" and len(seen) > 2:
        {what}
    return losses(self, encoder, objective_module, batch)
Mlm.losses = broken
"""


def test_an_error_on_one_rank_ends_all_with_one_sentence(written, tmp_path):
    _, path = written()
    breaks = FAILS_ON_RANK_1.format(what='raise DatasetError("no good row")')
    with started(tmp_path / "run", path, ranks=2, before=breaks) as processes:
        assert processes.codes() == [1, 1]
    assert processes.log().count("bitextile: ") == 1
    assert "bitextile: no good row" in processes.log()


def test_a_loss_that_is_not_finite_on_one_rank_stops_all_with_its_records(written, tmp_path):
    _, path = written()
    worse = FAILS_ON_RANK_1.format(what='encoder.mlm.lm_head.bias.data.fill_(float("nan"))')
    with started(tmp_path / "run", path, ranks=2, before=worse) as processes:
        assert processes.codes() == [1, 1]
    assert processes.log().count("bitextile: ") == 1
    assert "is not finite; its records are " in processes.log()


def test_more_ranks_than_lanes_are_refused(written, tmp_path):
    _, path = written(grad_accumulation=1)
    with started(tmp_path / "run", path, ranks=2) as processes:
        assert processes.codes() == [2, 2]
    assert processes.log().count("bitextile: ") == 1
    assert "set it to 2 or more, or start fewer ranks" in processes.log()
    assert not (tmp_path / "run").exists()


def test_fsdp_learns_what_one_process_learns_and_its_checkpoints_serve_any(written, tmp_path):
    kinds = {"steps": 6, "grad_accumulation": 4, "language_embeddings": True}
    made, _ = written(**kinds)
    data = [d for d in made.model_dump(mode="json")["data"] if d["objective"] != "moco"]
    made, _ = written(**kinds, data=data)
    _, path = written("fsdp.yaml", **kinds, data=data, parallel="fsdp", evaluate_every=3)
    _, longer = written("longer.yaml", **(kinds | {"steps": 8}), data=data, parallel="fsdp")
    whole, dealt = tmp_path / "whole", tmp_path / "dealt"
    with started(dealt, path, ranks=2) as processes:
        assert processes.codes() == [0, 0], processes.log()
    pretrain(made, str(whole))
    steps = [m for m in metrics(dealt) if "loss" in m]
    for one, other in zip(metrics(whole), steps, strict=True):
        assert other["records"] == one["records"]
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-4)
    with started(dealt, longer, "--resume", ranks=2) as processes:
        assert processes.codes() == [0, 0], processes.log()
    alone, _ = written(**(kinds | {"steps": 8}), data=data)
    assert pretrain(alone, str(whole), resume=True).steps == 8
    one, other = metrics(whole)[-1], metrics(dealt)[-1]
    assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)


def test_fsdp_has_momentum_and_embeddings_of_sharded_encoders(written, datasets, tmp_path):
    for name, more in (("moco", {"queue": 24}), ("align_mlm", {"lexicon": datasets["lexicon"]})):
        entry = {"objective": name, "dataset": datasets["pairs"]} | more
        settings = {"data": [entry], "steps": 4, "grad_accumulation": 2}
        made, _ = written(**settings)
        _, path = written("fsdp.yaml", **settings, parallel="fsdp")
        pretrain(made, str(tmp_path / f"{name}-whole"))
        with started(tmp_path / f"{name}-dealt", path, ranks=2) as processes:
            assert processes.codes() == [0, 0], processes.log()
        pairs = (metrics(tmp_path / f"{name}-{how}") for how in ("whole", "dealt"))
        for one, other in zip(*pairs, strict=True):
            assert other["losses"] == pytest.approx(one["losses"], rel=1e-4)


def test_fsdp_refuses_what_its_ranks_cannot_do_together(written, tmp_path):
    for settings, what in (
        ({"grad_accumulation": 3}, "no multiple of the 2 ranks"),
        ({}, "moco cannot be mixed"),
    ):
        _, path = written(parallel="fsdp", **settings)
        with started(tmp_path / "run", path, ranks=2) as processes:
            assert processes.codes() == [2, 2]
        assert what in processes.log()


def test_torchrun_starts_a_run(written, tmp_path):
    made, path = written(steps=3)
    whole, run = tmp_path / "whole", tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    command = [str(Path(sys.executable).with_name("bitextile")), "pretrain", str(path)]
    call = [*torchrun, *address, "--no-python", *command, "--out", str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(call, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    assert done.returncode == 0, done.stderr
    pretrain(made, str(whole))
    assert_same_run(whole, run)


def workers_of(process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        return [c for c in children if "resource_tracker" not in " ".join(c.cmdline())]
    return []


def test_workers_end_with_a_run_that_is_killed(written, tmp_path):
    _, path = written(steps=5000, workers=2)
    run = tmp_path / "run"
    with started(run, path) as processes:
        processes.wait_for(lambda: step_reached(run) >= 1)
        workers = workers_of(processes.ranks[0])
        assert len(workers) == 2
        processes.ranks[0].kill()
        # A worker looks for its parent every 5 s.
        gone, left = psutil.wait_procs(workers, timeout=LIMIT_S)
    assert not left
    assert len(gone) == 2


def test_ctrl_c_reaches_run_and_workers_and_ends_the_step(written, tmp_path):
    _, path = written(steps=5000, workers=1, checkpoint_every=5000)
    run = tmp_path / "run"
    with started(run, path) as processes:
        processes.wait_for(lambda: step_reached(run) >= 1)
        for worker in workers_of(processes.ranks[0]):
            worker.send_signal(signal.SIGINT)
        os.kill(processes.ranks[0].pid, signal.SIGINT)
        assert processes.codes() == [0], processes.log()
    assert int(checkpoints(run)[-1].name[5:]) == step_reached(run)
