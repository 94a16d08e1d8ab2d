"""Runs as processes of their own: one rank under nccl with and without FSDP, SIGTERM and resume."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.distributed as dist
from setting import SMALL, Row, Setting

from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.distributed.fsdp import shard
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.observe.metrics import METRICS
from bitextile.trainer.train import setup
from bitextile.trainer.train.pretrain import pretrain

STEPS = 30
"""Of a run on a CPU; on a GPU ten times as many, so that a signal can find it at work."""


def run_config(setting: Setting, **more: Any) -> PretrainConfig:
    """Returns a short run without dropout."""
    chosen: dict[str, Any] = {
        "model": {"config": SMALL},
        "batch_tokens": 512 if setting.tiny else 2048,
        "max_length": 64,
        "steps": n_steps(setting),
        "grad_accumulation": 2,
        "precision": "fp32",
        "attention": "dense",
        "checkpoint_every": 20,
    }
    return setting.config("weam", **(chosen | more))


def n_steps(setting: Setting) -> int:
    """Returns the steps of a run."""
    return STEPS if setting.tiny else 10 * STEPS


def child(arguments: list[str]) -> None:
    """Does one run: configuration (JSON), output folder, `resume` or not, how it is parallel."""
    config, out, resume, parallel = arguments
    chosen = PretrainConfig.model_validate_json(Path(config).read_text(encoding="utf-8"))
    group = ProcessGroup()
    if parallel != "none":
        backend = "cpu:gloo,cuda:nccl" if chosen.device == "cuda" else "gloo"
        dist.init_process_group(backend)
    if parallel == "fsdp":
        # One rank alone is not sharded by the product: here it is, so that its code runs.
        original = setup.build_optimiser

        def sharded(config: Any, encoder: Any, modules: Any) -> Any:
            shard(encoder, group, next(encoder.parameters()).device)
            return original(config, encoder, modules)

        setup.build_optimiser = sharded
    pretrain(chosen, out, resume=resume == "resume", group=group)
    if parallel != "none":
        dist.destroy_process_group()


def start(
    setting: Setting,
    name: str,
    config: PretrainConfig,
    *,
    resume: str = "new",
    parallel: str = "none",
) -> subprocess.Popen:
    """Starts a run in a process of its own."""
    path = setting.out / "runs" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(config.model_dump_json(), encoding="utf-8")
    out = str(setting.out / "runs" / name)
    log = (setting.out / "runs" / f"{name}.log").open("w", encoding="utf-8")
    environment = os.environ | {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29533",
    }
    command = [sys.executable, __file__, str(path), out, resume, parallel]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def metrics(setting: Setting, name: str) -> list[dict[str, Any]]:
    """Returns the training metrics of a run, a step a line."""
    path = setting.out / "runs" / name / METRICS
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if "loss" in entry]


def finish(setting: Setting, name: str, process: subprocess.Popen) -> list[dict[str, Any]]:
    """Waits for a run and returns its metrics.

    Raises:
        RuntimeError: it failed; with the end of what it printed.
    """
    code = process.wait(timeout=150)
    if code:
        log = (setting.out / "runs" / f"{name}.log").read_text(encoding="utf-8")
        raise RuntimeError(f"{name}: exit code {code}: {log[-600:]}")
    return metrics(setting, name)


def rows(setting: Setting) -> list[Row]:
    """Returns a row per way of running, compared with an undisturbed run."""
    config = run_config(setting)
    stopped, plain = start(setting, "stopped", config), start(setting, "plain", config)
    code = interrupt(setting, stopped)
    done = len(metrics(setting, "stopped"))
    expected = finish(setting, "plain", plain)
    resumed = start(setting, "stopped", config, resume="resume")
    what = f"SIGTERM after {done} of {n_steps(setting)} steps (exit code {code}), resumed"
    compared = compare(setting, what, finish(setting, "stopped", resumed), expected)
    found = [replace(compared, met=compared.met and code == 0 and done < n_steps(setting))]
    for parallel, what in (("ddp", "one rank, process group"), ("fsdp", "one rank, FSDP")):
        process = start(setting, parallel, config, parallel=parallel)
        found.append(compare(setting, what, finish(setting, parallel, process), expected))
    return found


def compare(
    setting: Setting, what: str, found: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> Row:
    """Returns whether two runs read the same records and had the same losses."""
    gap = max(abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(found, expected))
    records = [m["records"] for m in found] == [m["records"] for m in expected]
    whole = len(found) == len(expected) == n_steps(setting)
    shown = f"records equal: {records}, largest difference of a loss {gap:.1e} (at most 1e-03)"
    return Row("processes", what, shown, "", records and whole and gap <= 1e-3)


def interrupt(setting: Setting, process: subprocess.Popen) -> int:
    """Sends SIGTERM to a run that has done two steps; returns its exit code."""
    began = time.perf_counter()
    while len(metrics(setting, "stopped")) < 2 and process.poll() is None:
        if time.perf_counter() - began > 120:
            raise RuntimeError("the run to be stopped did no step in two minutes")
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=60)


if __name__ == "__main__":
    child(sys.argv[1:])
