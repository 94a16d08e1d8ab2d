"""The whole of a run, whatever it learns: from a configuration to a folder transformers loads."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml

from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.trainer.config import RunConfig
from bitextile.trainer.data.loader import steps
from bitextile.trainer.distributed.process_group import Ranks
from bitextile.trainer.observe.card import IDENTITY, read_identity
from bitextile.trainer.observe.metrics import Report, reporting
from bitextile.trainer.train.checkpoint import (
    FOLDER,
    Tensors,
    appearing,
    last_usable,
    save_checkpoint,
    tensors_of,
    tidy,
)
from bitextile.trainer.train.resume import check_alike, restore, state_of
from bitextile.trainer.train.step import Training, train_step

RUN_CONFIG = "run.yaml"


class Job(Protocol):
    """What tells one sort of run from another: pre-training, fine-tuning."""

    @property
    def config(self) -> RunConfig:
        """As it was given; written to run.yaml."""

    def prepare(self, last: Path | None, ranks: Ranks) -> Training:
        """Opens data and model, the weights of checkpoint `last` if there is one."""

    def validate(self, training: Training) -> dict[str, float]:
        """Returns figures on held-out data by name; every rank calls it."""

    def identity(self, training: Training) -> dict[str, Any]:
        """Returns what bitextile.json says beside a model."""

    def write(self, training: Training, folder: Path, tensors: Tensors, loss: float | None) -> None:
        """Writes model, tokenizer, card and bitextile.json, on the first rank alone.

        Args:
            training: done.
            folder: empty.
            tensors: the weights, gathered.
            loss: of the last step, if this call did any.
        """


@dataclass(frozen=True)
class RunSummary:
    """What a run came to.

    Attributes:
        out: the run's folder, itself a model folder once the run is complete.
        steps: done in all, over every resumption.
        tokens: useful tokens learned from, likewise.
        loss: of the last step; None if this call did no step.
        seconds: this call took.
        interrupted: a SIGTERM or Ctrl-C ended it early; `resume` goes on from there.
    """

    out: str
    steps: int
    tokens: int
    loss: float | None
    seconds: float
    interrupted: bool


def run(job: Job, out: str, *, overwrite: bool, resume: bool, ranks: Ranks) -> RunSummary:
    """Trains and writes the model to a folder.

    Args:
        job: what is learned.
        out: a local folder, the same for all ranks: the model itself when complete; checkpoints,
            metrics and card in it.
        overwrite: replace an earlier run in `out`.
        resume: go on from the last checkpoint in `out` that is whole, exactly as if never stopped;
            from the start if there is none.
        ranks: the processes of the run, as `joined` gives them; each calls it.

    Raises:
        ConfigError: a setting is wrong or differs from the run to resume.
        OutputExistsError: `out` exists and neither flag is given.
        TrainingError: a loss is not finite, all checkpoints are damaged, or a rank is lost.
    """
    began = time.perf_counter()
    folder = Path(out)
    name = ranks.led(lambda: _name(_last_checkpoint(folder, overwrite=overwrite, resume=resume)))
    last = folder / FOLDER / name if name else None
    with torch.random.fork_rng():
        training = job.prepare(last, ranks)
        check_alike(training)
        if last is not None:
            ranks.together(lambda: restore(training, last))
        ranks.led(lambda: _open_folder(folder, job.config, last))
        loss, interrupted = _train(job, training, folder)
        if not interrupted:
            _publish(job, training, folder, loss)
    seconds = time.perf_counter() - began
    return RunSummary(out, training.step, training.tokens, loss, seconds, interrupted)


def _name(path: Path | None) -> str | None:
    return None if path is None else path.name


def _open_folder(folder: Path, config: RunConfig, last: Path | None) -> None:
    _clear(folder, last)
    _write_config(folder, config)


def _last_checkpoint(folder: Path, *, overwrite: bool, resume: bool) -> Path | None:
    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other; give one")
    if not folder.exists():
        return None
    is_run = (folder / RUN_CONFIG).is_file()
    if resume and (is_run or not any(folder.iterdir())):
        return last_usable(folder)
    if overwrite and (is_run or not any(folder.iterdir())):
        return None
    if resume or overwrite:
        raise OutputExistsError(f"{folder}: is there and is no run of ours; give another --out")
    raise OutputExistsError(
        f"{folder}: is there already; give --resume to go on, --overwrite to replace it, "
        "or another --out"
    )


def _clear(folder: Path, last: Path | None) -> None:
    """Makes room for a run: all of it goes, or what a resumed one will write again."""
    if last is None and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if last is not None:
        tidy(folder, last)


def _write_config(folder: Path, config: RunConfig) -> None:
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / RUN_CONFIG).write_text(content, encoding="utf-8")


def _train(job: Job, training: Training, folder: Path) -> tuple[float | None, bool]:
    """Runs the steps that are left; returns the last loss and whether a signal cut them short."""
    config, ranks = training.config, training.ranks
    loss, stop = None, False
    with ExitStack() as stack:
        asked = stack.enter_context(_asked_to_stop())
        report = stack.enter_context(
            reporting(folder, total=config.steps, done=training.step, silent=not ranks.leads)
        )
        pin = training.device.type == "cuda"
        feed = steps(training.lanes, training.collation, workers=config.workers, pin=pin)
        stack.enter_context(closing(feed))
        while training.step < config.steps and not stop:
            values = train_step(training, feed)
            loss = values["loss"]
            # A signal that has reached any rank stops all of them, behind the same step.
            stop = any(ranks.all(partial(_tell, report, values, asked)))
            if _due(training, config.evaluate_every):
                losses = {"step": training.step, "valid": job.validate(training)}
                ranks.together(partial(report.validation, losses))
            if stop or training.step == config.steps or _due(training, config.checkpoint_every):
                _checkpoint(job, training, folder)
    return loss, training.step < config.steps


def _tell(report: Report, values: dict[str, Any], asked: threading.Event) -> bool:
    report.step(values)
    return asked.is_set()


def _due(training: Training, every: int) -> bool:
    return every > 0 and training.step % every == 0


def _checkpoint(job: Job, training: Training, folder: Path) -> None:
    state = state_of(training)
    tensors = tensors_of(training.encoder, training.own, training.optimiser)

    def save() -> None:
        save_checkpoint(
            folder,
            state,
            job.identity(training),
            encoder=training.encoder,
            tensors=tensors,
            coder=training.coder,
            keep=training.config.keep_checkpoints,
        )

    training.ranks.led(save)


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Gives an event that SIGTERM sets, which pre-emptible machines send, or a first Ctrl-C."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # Python allows signal handlers in the main thread only.
        return

    def interrupt(*_: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: asked.set()),
        signal.SIGINT: signal.signal(signal.SIGINT, interrupt),
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _publish(job: Job, training: Training, folder: Path, loss: float | None) -> None:
    """Makes the run's folder a model folder: weights, tokenizer, card, and bitextile.json last."""
    if training.ranks.led(lambda: (read_identity(str(folder)) or {}).get("step")) == training.step:
        return
    tensors = tensors_of(training.encoder, training.own)

    def write() -> None:
        final = folder / FOLDER / "final"
        with appearing(final) as temporary:
            job.write(training, temporary, tensors, loss)
        for path in sorted(final.iterdir(), key=lambda p: p.name == IDENTITY):
            os.replace(path, folder / path.name)
        final.rmdir()

    training.ranks.led(write)
