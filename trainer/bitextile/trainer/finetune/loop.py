"""`finetune`: an encoder learns a task, by the loop that pre-trains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa

from bitextile.kernels.model_digest import encoder_digest
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import Tokenizer, load_tokenizer
from bitextile.trainer.distributed.fsdp import EncoderUse, check_parallelism
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.evaluate.task import FinetuneTask, TaskData
from bitextile.trainer.evaluate.tasks import get_finetune_task
from bitextile.trainer.finetune.augment import augmentation_facts, read_augmentation
from bitextile.trainer.finetune.config import FREE, FinetuneConfig
from bitextile.trainer.finetune.stream import TaskStream
from bitextile.trainer.generate.checkpoint import model_tokenizer
from bitextile.trainer.observe.card import write_provenance
from bitextile.trainer.train.checkpoint import RunTensors, load_state
from bitextile.trainer.train.loop import RunFlags, RunSummary, run_training
from bitextile.trainer.train.setup import (
    RunParts,
    build_objective_modules,
    build_state,
    device_of_rank,
    open_encoder,
)
from bitextile.trainer.train.state import TrainState


@dataclass(frozen=True)
class TaskEntry:
    """The one entry of a fine-tuning's mixture.

    Attributes:
        task: what is learned.
        objective: of the task.
        row_streams: one, of all rows.
        labels: names of the classes.
        train: what the rows were read from.
        valid: what is scored while training, by the name that figures have.
        weight: the only one.
    """

    task: FinetuneTask
    objective: Any
    row_streams: tuple[TaskStream, ...]
    labels: tuple[str, ...]
    train: tuple[TaskData, ...]
    valid: Mapping[str, TaskData]
    weight: float = 1.0

    @property
    def probabilities(self) -> np.ndarray:
        """[1] probability of the only stream."""
        return np.ones(1)


FinetuneState = TrainState[FinetuneConfig, TaskEntry]


def finetune(config: FinetuneConfig, out: str, **options: Unpack[RunFlags]) -> RunSummary:
    """Trains an encoder with a head for a task and writes it to a folder.

    Args:
        config: of the run.
        out: a local folder for the run; when complete, a model folder for the task's class in
            transformers.
        **options: see `RunFlags`.

    Raises:
        ConfigError: no encoder in safetensors, candidates of another model, or as `run_training`
            raises it.
        InputError: task data are not of their form, or copies or candidates are of other text.
        DatasetError: a dataset is not whole, or of another kind.
        BitextileError: as `run_training`.
    """
    return run_training(FinetuneJob(config), out, **options)


@dataclass(frozen=True)
class FinetuneJob:
    """Fine-tuning, as `run_training` does it."""

    config: FinetuneConfig

    def open(self, last: Path | None, group: ProcessGroup) -> FinetuneState:
        """Opens task data and model."""
        check_parallelism(self.config, group, [EncoderUse(self.config.task, 1, head=False)])
        parts, fingerprint = group.on_all(lambda: _open_parts(self.config, last, group))
        # Now, not before: the rows of an epoch are known once they have been read.
        n_rows = len(parts.entries[0].row_streams[0].rows)
        steps, rows = _done(last)
        return build_state(
            self.config.with_steps(n_rows, steps=steps, rows=rows),
            parts,
            group=group,
            # Nothing is predicted but the class.
            mask_rate=0.0,
            fingerprint=fingerprint,
            batch_rows=self.config.batch_rows // self.config.grad_accumulation,
            max_rows=self.config.rows_in_all(n_rows),
        )

    def validate(self, state: FinetuneState) -> dict[str, float]:
        """Returns the task's metrics on each held-out file."""
        entry = state.entries[0]
        return {
            f"{name}/{figure}": value
            for name, part in entry.valid.items()
            for figure, value in entry.task.score(state, part).items()
        }

    def provenance(self, state: FinetuneState) -> dict[str, Any]:
        """Returns step, labels and digests of what was learned from."""
        entry, config = state.entries[0], state.config
        return {
            "step": state.step,
            "tokenizer": state.tokenizer.digest,
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
        self, state: FinetuneState, folder: Path, tensors: RunTensors, loss: float | None
    ) -> None:
        """Writes the model of the task."""
        entry = state.entries[0]
        facts = {"steps": state.step, "loss of the last step": loss}
        facts |= augmentation_facts(entry.objective.augmentation)
        entry.task.save(state, folder, tensors, facts)
        written = {"tokenizer": load_tokenizer(str(folder)).digest}
        write_provenance(folder, self.provenance(state) | written)


def _done(last: Path | None) -> tuple[int, int]:
    """Returns the steps behind a checkpoint, and the rows that were read in them."""
    if last is None:
        return 0, 0
    saved = load_state(last)
    rows = sum(entry["draws"] for stream in saved["streams"] for entry in stream["entries"])
    return saved["step"], rows


def _open_parts(
    config: FinetuneConfig, last: Path | None, group: ProcessGroup
) -> tuple[RunParts[TaskEntry], dict[str, Any]]:
    """Returns data and model, and what must not change when the run is resumed."""
    device = device_of_rank(config, group)
    tokenizer = model_tokenizer(config.model)
    model = ModelConfig(checkpoint=config.model if last is None else str(last))
    encoder = open_encoder(model, tokenizer, config=config).to(device)
    entry, digests = _entry(config, tokenizer)
    modules = build_objective_modules((entry,), encoder, config.seed).to(device)
    fingerprint = config.model_dump(mode="json", exclude=set(FREE)) | digests
    return RunParts(tokenizer, (entry,), encoder, modules, device), fingerprint


def _entry(config: FinetuneConfig, tokenizer: Tokenizer) -> tuple[TaskEntry, dict[str, Any]]:
    task = get_finetune_task(config.task)
    digest = encoder_digest(config.model)
    train = tuple(task.read_source(source) for source in config.train)
    labels = task.labels(train, config.labels)
    rows = pa.concat_tables([task.targets(part, labels) for part in train]).combine_chunks()
    wanted = {i for name in task.fields for i in rows.column(f"{name}_id").to_pylist()}
    augmentation, digests = read_augmentation(config, wanted, tokenizer, digest)
    objective = task.objective(
        labels,
        max_length=config.max_length,
        seed=config.seed,
        augmentation=augmentation,
        model=config.model,
    )
    valid = task.read(config.valid, task.options())
    for part in valid.values():
        task.targets(part, labels)  # refuses labels that are not learned before the first step
    entry = TaskEntry(task, objective, (TaskStream(rows, config.seed),), labels, train, valid)
    return entry, {"model": digest, "train": [part.digest for part in train]} | digests
