"""Several processes and loader workers: the run is the same however it is split and killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from bitextile.kernels.randomness import uniform
from bitextile.schema.errors import DatasetError
from bitextile.trainer.distributed import process_group
from bitextile.trainer.distributed.process_group import (
    SINGLE_PROCESS,
    PeerFailedError,
    ProcessGroup,
    fail_on_all,
    init_distributed,
    stay_on_loopback,
)
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import pretrain
from listening import family, is_loopback, listening
from run_processes import LIMIT_S, assert_same_run, free_port, started, step_reached


def test_a_single_process_does_all_by_itself():
    assert SINGLE_PROCESS.is_main
    assert SINGLE_PROCESS.collect(lambda: {"a": 1}) == [{"a": 1}]
    assert SINGLE_PROCESS.on_all(lambda: object) is object
    assert SINGLE_PROCESS.on_main(lambda: 3) == 3
    tensors = [torch.ones(2)]
    SINGLE_PROCESS.all_reduce(tensors)
    assert tensors[0].tolist() == [1.0, 1.0]
    assert SINGLE_PROCESS.gather_tensors([(tensors[0],)])[0][0] is tensors[0]
    with pytest.raises(DatasetError, match="no good row"):
        fail_on_all(SINGLE_PROCESS, DatasetError("no good row"))


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with init_distributed() as group:
        assert group is SINGLE_PROCESS


def test_ranks_of_one_machine_stay_on_its_loopback_interface():
    torchrun = {"LOCAL_WORLD_SIZE": "2"}
    here = dict(torchrun)
    stay_on_loopback(here, size=2)
    assert here == torchrun | {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    named = torchrun | {"GLOO_SOCKET_IFNAME": "eth1"}
    stay_on_loopback(named, size=2)
    assert named["GLOO_SOCKET_IFNAME"] == "eth1"
    on_two_machines, unknown = dict(torchrun), {}
    stay_on_loopback(on_two_machines, size=4)
    stay_on_loopback(unknown, size=2)
    assert on_two_machines == torchrun
    assert unknown == {}


RANK = """
import pathlib, time
from bitextile.trainer.distributed.process_group import init_distributed
here = pathlib.Path({here!r})
with init_distributed() as group:
    group.collect(lambda: 1)
    (here / f"rank{{group.rank}}").touch()
    while not (here / "done").exists():
        time.sleep(0.02)
"""


def test_ranks_that_torchrun_starts_listen_on_the_loopback_interface_alone(tmp_path):
    script = tmp_path / "rank.py"
    script.write_text(RANK.format(here=str(tmp_path)))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    process = subprocess.Popen([*torchrun, *address, str(script)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + LIMIT_S
        while len(list(tmp_path.glob("rank?"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        launcher, *ranks = family(process.pid)
        assert listening(ranks)
        assert all(map(is_loopback, listening(ranks)))
        # docs/scale.md tells of this one, which torch offers no way to bind elsewhere.
        assert sum(not is_loopback(address) for address in listening([launcher])) == 1
    finally:
        (tmp_path / "done").touch()
        assert process.wait(LIMIT_S) == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_are_disjoint_and_complete(size):
    shares = [list(ProcessGroup(rank, size).share(7)) for rank in range(size)]
    assert sorted(i for share in shares for i in share) == list(range(7))


def test_only_rank_0_is_main():
    assert [ProcessGroup(rank, 3).is_main for rank in range(3)] == [True, False, False]


def reports(*failed: int) -> list[dict]:
    return [
        {"error": f"rank {r} broke", "code": 2} if r in failed else {"made": r} for r in range(3)
    ]


def test_the_first_rank_that_failed_raises_its_error_and_the_others_say_whose_it_is():
    error = DatasetError("broken")
    # Nobody failed: nothing is raised.
    ProcessGroup(1, 3)._raise_first_failure(reports(), None)
    with pytest.raises(DatasetError, match="broken"):
        ProcessGroup(1, 3)._raise_first_failure(reports(1, 2), error)
    for rank, failure in ((0, None), (2, error)):
        with pytest.raises(PeerFailedError, match="rank 1 stopped the run: rank 1 broke") as caught:
            ProcessGroup(rank, 3)._raise_first_failure(reports(1, 2), failure)
        assert caught.value.exit_code == 2


def test_buckets_hold_every_tensor_once_and_no_more_than_they_may(monkeypatch):
    monkeypatch.setattr(process_group, "BUCKET_SIZE", 10)
    tensors = [torch.zeros(n) for n in (4, 6, 1, 25, 9, 2)]
    buckets = [[t.numel() for t in b] for b in process_group._buckets(tensors)]
    # A tensor larger than a bucket is summed alone, never cut.
    assert buckets == [[4, 6], [1], [25], [9], [2]]


def test_a_run_killed_again_and_again_on_other_ranks_and_workers_is_the_same(written, tmp_path):
    made, _ = written()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pretrain(made, str(whole))
    layouts = [(1, 0), (2, 1), (3, 0), (1, 2)]  # ranks, workers per rank
    # Each is killed two to four steps behind its first checkpoint; the last one may finish.
    # Drawn, but always alike: a failure can be run again.
    drawn = uniform(np.arange(3, dtype=np.uint64), seed=3, operation="test/kill")
    for turn, (ranks, workers) in enumerate(layouts):
        _, path = written(f"{turn}.yaml", workers=workers)
        begins = int(checkpoints(killed)[-1].name[5:]) if checkpoints(killed) else 0
        with started(killed, path, "--resume", ranks=ranks) as processes:
            if turn == len(layouts) - 1:
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
        assert processes.codes() == [143, 143], processes.log()
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


def test_more_ranks_than_micro_batches_are_refused(written, tmp_path):
    _, path = written(grad_accumulation=1)
    with started(tmp_path / "run", path, ranks=2) as processes:
        assert processes.codes() == [2, 2]
    assert processes.log().count("bitextile: ") == 1
    assert "set it to 2 or more, or start fewer ranks" in processes.log()
    assert not (tmp_path / "run").exists()


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
        gone, left = psutil.wait_procs(workers, timeout=LIMIT_S)
    assert not left
    assert len(gone) == 2


# As torchrun starts a rank; the other one never comes, so it waits for 15 minutes.
AGENT = """
import os, subprocess, sys
rank = "from bitextile.trainer.distributed import process_group as p; p.init_distributed()"
rank += ".__enter__()"
place = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[1]}
place |= {"TORCHELASTIC_RUN_ID": "none"}
subprocess.run([sys.executable, "-c", rank], env=os.environ | place)
"""


def test_a_rank_ends_with_a_torchrun_that_is_killed():
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    # The other rank: it is called once this one has been bound to its parent, and never answers.
    other = socket.create_server(("127.0.0.1", 0))
    other.settimeout(LIMIT_S)
    port = str(other.getsockname()[1])
    agent = subprocess.Popen([sys.executable, "-c", AGENT, port], env=environment)
    ranks: list[psutil.Process] = []
    try:
        connection, _ = other.accept()
        ranks = psutil.Process(agent.pid).children()
        agent.kill()
        agent.wait()
        gone, left = psutil.wait_procs(ranks, timeout=LIMIT_S)
    finally:
        other.close()
        for process in [agent, *ranks]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    connection.close()
    assert not left
    assert len(gone) == 1


def test_ctrl_c_reaches_run_and_workers_and_ends_the_step(written, tmp_path):
    _, path = written(steps=5000, workers=1, checkpoint_every=5000)
    run = tmp_path / "run"
    with started(run, path) as processes:
        processes.wait_for(lambda: step_reached(run) >= 1)
        for worker in workers_of(processes.ranks[0]):
            worker.send_signal(signal.SIGINT)
        os.kill(processes.ranks[0].pid, signal.SIGINT)
        assert processes.codes() == [130], processes.log()
    assert int(checkpoints(run)[-1].name[5:]) == step_reached(run)


def test_a_loader_worker_that_is_killed_says_so(written, tmp_path):
    # By SIGKILL, as the system does when memory runs out; torch raises the error wherever the main
    # thread is at that moment, which is mostly not where it waits for batches.
    _, path = written(steps=5000, workers=2)
    run = tmp_path / "run"
    with started(run, path) as processes:
        processes.wait_for(lambda: step_reached(run) >= 1)
        workers_of(processes.ranks[0])[0].kill()
        assert processes.codes() == [1], processes.log()
    said = processes.log().splitlines()[-1]
    assert said.startswith("bitextile: a loader worker was killed by the system, most likely")
    assert "set fewer `workers`, and go on with --resume" in said
    assert "bug in bitextile" not in processes.log()
