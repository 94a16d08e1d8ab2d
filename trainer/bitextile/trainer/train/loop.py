"""The training loop, whatever is learned: from a configuration to a folder transformers loads."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

import torch

from bitextile.trainer.config import RunConfig
from bitextile.trainer.data.loader import lost_workers_told, steps
from bitextile.trainer.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from bitextile.trainer.distributed.replicas import check_equal_weights
from bitextile.trainer.observe.card import PROVENANCE, read_provenance
from bitextile.trainer.observe.metrics import Report, reporting
from bitextile.trainer.train.checkpoint import (
    FOLDER,
    RunTensors,
    atomic_directory,
    gather_run_tensors,
    save_checkpoint,
)
from bitextile.trainer.train.folder import RunFolder
from bitextile.trainer.train.resume import restore, run_state
from bitextile.trainer.train.state import TrainState
from bitextile.trainer.train.step import train_step


class TrainingJob(Protocol):
    """What tells one sort of run from another: pre-training, fine-tuning."""

    @property
    def config(self) -> RunConfig:
        """As it was given; written to run.yaml."""

    def open(self, last: Path | None, group: ProcessGroup) -> TrainState:
        """Opens data and model, the weights of checkpoint `last` if there is one."""

    def validate(self, state: TrainState) -> dict[str, float]:
        """Returns metrics on held-out data by name; every rank calls it."""

    def provenance(self, state: TrainState) -> dict[str, Any]:
        """Returns the content of the bitextile.json beside a model."""

    def write(
        self, state: TrainState, folder: Path, tensors: RunTensors, loss: float | None
    ) -> None:
        """Writes model, tokenizer, card and bitextile.json, on the first rank alone.

        Args:
            state: at the end of the run.
            folder: empty.
            tensors: the weights, gathered.
            loss: of the last step, if this call did any.
        """


@dataclass(frozen=True)
class RunSummary:
    """The outcome of a run.

    Attributes:
        out: the run's folder, itself a model folder once the run is complete.
        steps: done in all, over every resumption.
        tokens: useful tokens learned from, likewise.
        loss: of the last step that had one; None if this call did none.
        seconds: this call took.
        signal: number of the SIGTERM or SIGINT (Ctrl-C) that ended it early, 0 if none did;
            `resume` goes on from there.
    """

    out: str
    steps: int
    tokens: int
    loss: float | None
    seconds: float
    signal: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it early."""
        return self.signal > 0


class RunFlags(TypedDict, total=False):
    """How a run treats its folder, and who does it; the defaults suit a new run alone.

    Attributes:
        overwrite: replace an earlier run in the folder.
        resume: go on from the last checkpoint in the folder that is valid, exactly as if never
            stopped; from the start if there is none.
        group: the processes of the run, as `init_distributed` gives them; each calls it.
    """

    overwrite: bool
    resume: bool
    group: ProcessGroup


def run_training(job: TrainingJob, out: str, **options: Unpack[RunFlags]) -> RunSummary:
    """Trains and writes the model to a folder.

    Args:
        job: what is learned.
        out: a local folder, the same for all ranks: the model itself when complete; checkpoints,
            metrics and card in it.
        **options: see `RunFlags`.

    Raises:
        ConfigError: a setting is wrong or differs from the run to resume.
        OutputExistsError: `out` exists and neither flag is given.
        TrainingError: a loss is not finite, all checkpoints are damaged, ranks differ in what they
            read or in their weights, or one is lost.
    """
    group = options.get("group", SINGLE_PROCESS)
    overwrite, resume = options.get("overwrite", False), options.get("resume", False)
    began = time.perf_counter()
    # Held by rank 0, the only one that writes, until the run ends.
    with ExitStack() as stack:
        folder = RunFolder(Path(out))

        def open_folder() -> str | None:
            last = folder.open(stack, job.config, overwrite=overwrite, resume=resume)
            return None if last is None else last.name

        name = group.on_main(open_folder)
        last = folder.path / FOLDER / name if name else None
        # Fresh weights and dropout seed torch's generator; the caller's is left as it was.
        stack.enter_context(torch.random.fork_rng())
        state = job.open(last, group)
        if last is not None:
            group.on_all(lambda: restore(state, last))
        if group.size > 1:
            _gather_equal(state)
        # Only now is the folder emptied: what can be wrong with data or model was found above.
        group.on_main(lambda: folder.clear(job.config, last))
        with lost_workers_told():
            loss, stopped_by = _train(job, state, folder)
        if not stopped_by:
            _publish(job, state, folder, loss)
    seconds = time.perf_counter() - began
    return RunSummary(out, state.step, state.tokens, loss, seconds, stopped_by)


def _train(job: TrainingJob, state: TrainState, folder: RunFolder) -> tuple[float | None, int]:
    """Runs the steps that are left; returns the last loss and which signal cut them short, or 0."""
    config, group = state.config, state.group
    loss, stop = None, 0
    with ExitStack() as stack:
        stop_requested = stack.enter_context(_stop_requested())
        report = stack.enter_context(
            reporting(folder.path, total=config.steps, done=state.step, silent=not group.is_main)
        )
        # From page-locked memory a copy to the GPU runs beside its computing.
        pin = state.device.type == "cuda"
        batches = steps(state.streams, state.collation, workers=config.workers, pin=pin)
        stack.enter_context(closing(batches))
        while state.step < config.steps and not stop:
            values = train_step(state, batches)
            # A step in which nothing is masked has none.
            loss = loss if values["loss"] is None else values["loss"]
            # A signal that has reached any rank stops all of them, behind the same step.
            stop = max(group.collect(partial(_report_step, report, values, stop_requested)))
            if _due(state, config.evaluate_every):
                losses = {"step": state.step, "valid": job.validate(state)}
                group.on_all(partial(report.validation, losses))
            if stop or state.step == config.steps or _due(state, config.checkpoint_every):
                _checkpoint(job, state, folder)
    return loss, stop if state.step < config.steps else 0


def _report_step(report: Report, values: dict[str, Any], signals: list[int]) -> int:
    report.step(values)
    return max(signals, default=0)


def _due(state: TrainState, every: int) -> bool:
    return every > 0 and state.step % every == 0


def _gather_equal(state: TrainState) -> RunTensors:
    """Returns what a checkpoint holds, and checks that all ranks have the same."""
    tensors = gather_run_tensors(state.encoder, state.objective_modules, state.optimiser)
    # Nothing else would show that ranks have come apart: each learns by its own weights.
    check_equal_weights(tensors.named(), state.group, step=state.step)
    return tensors


def _checkpoint(job: TrainingJob, state: TrainState, folder: RunFolder) -> None:
    saved = run_state(state)
    tensors = _gather_equal(state)

    def save() -> None:
        folder.check()
        save_checkpoint(
            folder.path,
            saved,
            job.provenance(state),
            encoder=state.encoder,
            tensors=tensors,
            tokenizer=state.tokenizer,
            keep=state.config.keep_checkpoints,
        )

    state.group.on_main(save)


@contextmanager
def _stop_requested() -> Iterator[list[int]]:
    """Gives the signals received: SIGTERM, which pre-emptible machines send, or a first Ctrl-C."""
    requested: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield requested  # Python allows signal handlers in the main thread only.
        return

    # A handler only notes the signal: a step that is under way is finished and saved.
    def note(number: int, _: Any) -> None:
        if number == signal.SIGINT and number in requested:
            raise KeyboardInterrupt
        requested.append(number)

    before = {n: signal.signal(n, note) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _publish(job: TrainingJob, state: TrainState, folder: RunFolder, loss: float | None) -> None:
    """Makes the run's folder a model folder: weights, tokenizer, card, and bitextile.json last."""
    # A complete run that is resumed has no step left and is a model folder already.
    place = folder.path
    if state.group.on_main(lambda: (read_provenance(str(place)) or {}).get("step")) == state.step:
        return
    tensors = gather_run_tensors(state.encoder, state.objective_modules)

    def write() -> None:
        folder.check()
        final = place / FOLDER / "final"
        with atomic_directory(final) as temporary:
            job.write(state, temporary, tensors, loss)
        # bitextile.json last: where it lies, the model beside it is complete.
        for path in sorted(final.iterdir(), key=lambda p: p.name == PROVENANCE):
            os.replace(path, place / path.name)
        final.rmdir()

    state.group.on_main(write)
