"""The configuration of a fine-tuning: what `finetune` is told, checked before anything is read."""

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from bitextile.schema.ids import language_tag
from bitextile.trainer.config import (
    FREE_ON_RESUME,
    Count,
    Positive,
    RunConfig,
    Settings,
    checked,
    placed,
    read_yaml,
)


class TaskSource(Settings):
    """Rows to learn from: a task file, or a dataset that holds its like.

    Attributes:
        file: TSV of premise, hypothesis and label, plain or compressed (XNLI, PAWS-X).
        language: BCP-47 tag of its text; names the rows and finds their candidates.
        dataset: in place of a file, a `codeswitch` dataset of task data, as
            `codeswitch --method task-field` writes it.
    """

    file: str | None = None
    language: str | None = None
    dataset: str | None = None

    @field_validator("language")
    @classmethod
    def _tag(cls, value: str | None) -> str | None:
        return value if value is None else language_tag(value)

    @model_validator(mode="after")
    def _one(self) -> "TaskSource":
        if (self.file is None) == (self.dataset is None):
            raise ValueError("give one of file or dataset")
        if (self.file is None) != (self.language is None):
            raise ValueError("a file needs the language of its text, a dataset says it itself")
        return self


class FinetuneConfig(RunConfig):
    """A fine-tuning for a task. Defaults suit an encoder of BERT's size.

    Attributes:
        task: what is learned (evaluate/tasks.py lists what there is).
        model: local folder of the encoder with its tokenizer; weights in safetensors.
        train: where the rows come from, all shuffled together.
        copies: datasets of kind codeswitch with switched copies of fields (SALT:
            `codeswitch --method candidates`); a row that has one is learned from in both forms.
        candidates: datasets of kind candidates for the fields, made by `model`; each row is also
            learned from with its embeddings mixed with those of the candidates (SALT).
        valid: task files to score while training.
        epochs: passes over the rows.
        batch_rows: rows of a step, over all `accumulate` micro-batches.
        steps: optimiser steps; 0 takes those of `epochs`.
        lr: peak learning rate; 5e-5 is the highest that BERT's authors tried (Devlin et al. 2019,
            A.3); a small encoder wants more.
        warmup_steps: of linear rise; 0 takes a tenth of the steps.
        evaluate_every: steps between two scores on `valid`; 0 is after each epoch.
        checkpoint_every: steps between checkpoints; 0 is after each epoch.
        keep_checkpoints: a fine-tuning is short, so the last alone stays.
    """

    task: str = "classification"
    model: str
    train: Annotated[tuple[TaskSource, ...], Field(min_length=1)]
    copies: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    epochs: Annotated[float, Field(gt=0.0)] = 3.0
    batch_rows: Positive = 32
    steps: Count = 0
    lr: Annotated[float, Field(gt=0.0)] = 5e-5
    warmup_steps: Count = 0
    checkpoint_every: Count = 0
    keep_checkpoints: Positive = 1

    @model_validator(mode="after")
    def _dealt(self) -> "FinetuneConfig":
        if self.batch_rows % self.accumulate:
            raise ValueError(
                f"batch_rows is {self.batch_rows}, no multiple of accumulate {self.accumulate}; "
                "each micro-batch has as many rows"
            )
        return self

    def settled(self, n_rows: int) -> "FinetuneConfig":
        """Returns the configuration with the steps that follow from the number of rows.

        >>> source = TaskSource(file="en.tsv", language="en")
        >>> plain = FinetuneConfig(model="model", train=(source,), epochs=2, valid=("de.tsv",))
        >>> whole = plain.settled(1_000)
        >>> whole.steps, whole.warmup_steps, whole.evaluate_every, whole.checkpoint_every
        (63, 6, 32, 32)
        """
        epoch = math.ceil(n_rows / self.batch_rows)
        steps = self.steps or math.ceil(self.epochs * n_rows / self.batch_rows)
        return self.model_copy(
            update={
                "steps": steps,
                "warmup_steps": self.warmup_steps or steps // 10,
                "evaluate_every": (self.evaluate_every or epoch) if self.valid else 0,
                "checkpoint_every": self.checkpoint_every or epoch,
            }
        )


FREE = FREE_ON_RESUME | {"epochs", "valid"}
"""Settings a resumed fine-tuning may change."""


def load_config(path: str) -> FinetuneConfig:
    """Reads a configuration from a YAML file; relative paths start at the file's folder.

    Args:
        path: of the file.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown key or a wrong value; all are named.
    """
    return parse_config(read_yaml(path), base=Path(path).absolute().parent, where=str(path))


def parse_config(content: object, *, base: Path, where: str = "configuration") -> FinetuneConfig:
    """Checks a configuration given as plain data.

    Args:
        content: what the YAML file holds.
        base: folder that relative paths start at.
        where: named in messages.

    Raises:
        ConfigError: an unknown key or a wrong value; all are named.
    """
    config = checked(FinetuneConfig, content, where=where, keys="model, train, epochs")
    sources = tuple(_placed_source(source, base) for source in config.train)
    lists = {
        name: tuple(placed(path, base) for path in getattr(config, name))
        for name in ("copies", "candidates", "valid")
    }
    return config.model_copy(
        update={"model": placed(config.model, base), "train": sources, **lists}
    )


def _placed_source(source: TaskSource, base: Path) -> TaskSource:
    given = {name: getattr(source, name) for name in ("file", "dataset")}
    return source.model_copy(update={n: placed(p, base) for n, p in given.items() if p})
