"""`finetune`: an encoder learns a task, by the loop that pre-trains it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bitextile.kernels.model_digest import encoder_digest
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.mixture import Lane
from bitextile.trainer.data.tokens import Coder, load_coder
from bitextile.trainer.distributed.fsdp import refuse_uneven
from bitextile.trainer.distributed.process_group import ALONE, Ranks
from bitextile.trainer.evaluate.task import FinetuneTask, TaskData
from bitextile.trainer.evaluate.tasks import get_finetune_task
from bitextile.trainer.finetune.augment import augmentation_facts, read_augmentation
from bitextile.trainer.finetune.config import FREE, FinetuneConfig
from bitextile.trainer.finetune.stream import TaskStream
from bitextile.trainer.generate.checkpoint import own_coder
from bitextile.trainer.observe.card import write_identity
from bitextile.trainer.train.checkpoint import Tensors
from bitextile.trainer.train.loop import RunSummary, run
from bitextile.trainer.train.setup import Opened, assemble, device_of, encoder_of, own_modules
from bitextile.trainer.train.step import Training


@dataclass(frozen=True)
class TaskEntry:
    """The one entry of a fine-tuning's mixture.

    Attributes:
        task: what is learned.
        objective: of the task.
        streams: of all rows.
        labels: names of the classes.
        train: what the rows were read from.
        valid: what is scored while training, by the name that figures have.
        weight: the only one.
    """

    task: FinetuneTask
    objective: Any
    streams: tuple[TaskStream, ...]
    labels: tuple[str, ...]
    train: tuple[TaskData, ...]
    valid: Mapping[str, TaskData]
    weight: float = 1.0

    @property
    def shares(self) -> np.ndarray:
        """[1] probability of the only stream."""
        return np.ones(1)


Finetuning = Training[FinetuneConfig, TaskEntry]


def finetune(
    config: FinetuneConfig,
    out: str,
    *,
    overwrite: bool = False,
    resume: bool = False,
    ranks: Ranks = ALONE,
) -> RunSummary:
    """Trains an encoder with a head for a task and writes it to a folder.

    Args:
        config: of the run.
        out: as of `run`; when complete, a model folder for the task's class in transformers.
        overwrite: as of `run`.
        resume: as of `run`.
        ranks: as of `run`.

    Raises:
        ConfigError: no encoder in safetensors, candidates of another model, or as `run` raises it.
        InputError: task data are not of their form, or copies or candidates are of other text.
        DatasetError: a dataset is not whole, or of another kind.
        BitextileError: as `run`.
    """
    return run(_Finetune(config), out, overwrite=overwrite, resume=resume, ranks=ranks)


@dataclass(frozen=True)
class _Finetune:
    """Fine-tuning, as `run` does it."""

    config: FinetuneConfig

    def prepare(self, last: Path | None, ranks: Ranks) -> Finetuning:
        refuse_uneven(self.config, ranks, [self.config.task])
        opened, settings = ranks.together(lambda: _open(self.config, last, ranks))
        config = self.config.settled(len(opened.entries[0].streams[0].rows))
        lanes = [
            Lane(
                opened.entries,
                opened.coder,
                lane,
                config.accumulate,
                batch_tokens=sys.maxsize,
                seed=config.seed,
                batch_rows=config.batch_rows // config.accumulate,
            )
            for lane in range(ranks.rank, config.accumulate, ranks.size)
        ]
        return assemble(
            config,
            opened,
            lanes,
            ranks=ranks,
            collation=_collation(config, opened),
            settings=settings,
        )

    def validate(self, training: Finetuning) -> dict[str, float]:
        entry = training.entries[0]
        return {
            f"{name}/{figure}": value
            for name, part in entry.valid.items()
            for figure, value in entry.task.score(training, part).items()
        }

    def identity(self, training: Finetuning) -> dict[str, Any]:
        entry, config = training.entries[0], training.config
        return {
            "step": training.step,
            "tokenizer": training.coder.digest,
            "labels": list(entry.labels),
            "max_length": config.max_length,
            "task": entry.task.name,
            "datasets": [
                {
                    "objective": entry.objective.name,
                    "kind": entry.task.file_format,
                    "digest": part.digest,
                }
                for part in entry.train
            ],
        }

    def write(
        self, training: Finetuning, folder: Path, tensors: Tensors, loss: float | None
    ) -> None:
        entry = training.entries[0]
        facts = {"steps": training.step, "loss of the last step": loss}
        facts |= augmentation_facts(entry.objective.augmentation)
        entry.task.save(training, folder, tensors, facts)
        written = {"tokenizer": load_coder(str(folder)).digest}
        write_identity(folder, self.identity(training) | written)


def _open(
    config: FinetuneConfig, last: Path | None, ranks: Ranks
) -> tuple[Opened[TaskEntry], dict[str, Any]]:
    """Returns data and model, and what must not change when the run is resumed."""
    device = device_of(config, ranks)
    coder = own_coder(config.model)
    model = ModelConfig(checkpoint=config.model if last is None else str(last))
    encoder = encoder_of(model, coder, config=config).to(device)
    entry, digests = _entry(config, coder)
    own = own_modules((entry,), encoder, config.seed).to(device)
    settings = config.model_dump(mode="json", exclude=set(FREE)) | digests
    return Opened(coder, (entry,), encoder, own, device), settings


def _entry(config: FinetuneConfig, coder: Coder) -> tuple[TaskEntry, dict[str, Any]]:
    task = get_finetune_task(config.task)
    digest = encoder_digest(config.model)
    train = tuple(task.read_source(source) for source in config.train)
    labels = task.labels(train)
    rows = pa.concat_tables([task.targets(part, labels) for part in train]).combine_chunks()
    wanted = {i for name in task.fields for i in rows.column(f"{name}_id").to_pylist()}
    augmentation, digests = read_augmentation(config, wanted, coder, digest)
    objective = task.objective(
        labels, max_length=config.max_length, seed=config.seed, augmentation=augmentation
    )
    valid = task.read(config.valid, task.options())
    for part in valid.values():
        task.targets(part, labels)  # refuses labels that are not learned before the first step
    entry = TaskEntry(task, objective, (TaskStream(rows, config.seed),), labels, train, valid)
    return entry, {"model": digest, "train": [part.digest for part in train]} | digests


def _collation(config: FinetuneConfig, opened: Opened[TaskEntry]) -> Collation:
    coder = opened.coder
    masking = Masking(rate=0.0, mask=coder.mask, ordinary=coder.ordinary, seed=config.seed)
    fixed = config.compile or opened.encoder.flex
    return Collation(masking=masking, pad=coder.pad, width=config.width, fixed=fixed)
