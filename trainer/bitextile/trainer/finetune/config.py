"""The configuration of a fine-tuning, checked before anything is read."""

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from bitextile.schema.ids import language_tag
from bitextile.trainer.config import FREE_ON_RESUME, RunConfig
from bitextile.trainer.settings import Count, FilePath, Positive, Settings


class TaskSource(Settings):
    """Rows to learn from: a task file, or a dataset that holds its like."""

    file: FilePath | None = None
    """TSV of premise, hypothesis and label, plain or compressed (XNLI, PAWS-X)."""
    language: str | None = None
    """BCP-47 tag of its text; names the rows and finds their candidates."""
    dataset: FilePath | None = None
    """In place of a file, a `codeswitch` dataset of task data, as `codeswitch --method task-field`
    writes it."""

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
    """A fine-tuning for a task. Defaults suit an encoder of BERT's size."""

    task: str = "classification"
    """What is learned (evaluate/tasks.py lists what there is)."""
    model: FilePath
    """Local folder of the encoder with its tokenizer; weights in safetensors."""
    train: Annotated[tuple[TaskSource, ...], Field(min_length=1)]
    """Where the rows come from, all shuffled together."""
    labels: tuple[str, ...] = ()
    """The classes, in the order of their numbers; a row with another label is an error. By default
    the labels of `train`, sorted, where each has more than a handful of rows."""
    copies: tuple[FilePath, ...] = ()
    """Datasets of kind codeswitch with switched copies of fields (SALT: `codeswitch --method
    candidates`); a row that has one is learned from in both forms."""
    candidates: tuple[FilePath, ...] = ()
    """Datasets of kind candidates for the fields, made by `model`; each row is also learned from
    with its embeddings mixed with those of the candidates (SALT)."""
    valid: tuple[FilePath, ...] = ()
    """Task files to score while training."""
    epochs: Annotated[float, Field(gt=0.0)] = 3.0
    """Passes over the rows."""
    batch_rows: Positive = 32
    """Rows of a step, over all `grad_accumulation` micro-batches."""
    steps: Count = 0
    """Optimiser steps; 0 takes those of `epochs`."""
    lr: Annotated[float, Field(gt=0.0)] = 5e-5
    """Peak learning rate; 5e-5 is the highest that BERT's authors tried (Devlin et al. 2019, A.3);
    a small encoder wants more."""
    warmup_steps: Count = 0
    """Steps of linear rise; 0 takes a tenth of the steps."""
    checkpoint_every: Count = 0
    """Steps between checkpoints; 0 is after each epoch, as it is for `evaluate_every`."""
    keep_checkpoints: Positive = 1
    """Checkpoints kept. A fine-tuning is short, so the last alone stays."""

    @field_validator("labels", mode="before")
    @classmethod
    def _numbers_are_names(cls, value: object) -> object:
        # PAWS-X has 0 and 1, which YAML reads as numbers; a bool is left to be refused.
        given = value if isinstance(value, list | tuple) else ()
        return [str(v) if type(v) is int else v for v in given] if given else value

    @field_validator("labels")
    @classmethod
    def _told_apart(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) == 1 or len(set(value)) < len(value):
            raise ValueError(f"labels are {', '.join(value)}; give two or more, each once")
        return value

    @model_validator(mode="after")
    def _equal_micro_batches(self) -> "FinetuneConfig":
        if self.batch_rows % self.grad_accumulation:
            raise ValueError(
                f"batch_rows is {self.batch_rows}, not a multiple of grad_accumulation "
                f"{self.grad_accumulation}; each micro-batch has as many rows"
            )
        return self

    def rows_in_all(self, n_rows: int) -> int | None:
        """Returns how many rows the run reads; None where `steps` says how long it is.

        Args:
            n_rows: of an epoch.

        >>> source = TaskSource(file="en.tsv", language="en")
        >>> FinetuneConfig(model="model", train=(source,), epochs=2).rows_in_all(5)
        10
        """
        return None if self.steps else max(1, round(self.epochs * n_rows))

    def with_steps(self, n_rows: int, *, steps: int = 0, rows: int = 0) -> "FinetuneConfig":
        """Returns the configuration with the steps that follow from the number of rows.

        Args:
            n_rows: of an epoch.
            steps: done before, where a run is resumed.
            rows: read in them.

        >>> source = TaskSource(file="en.tsv", language="en")
        >>> plain = FinetuneConfig(model="model", train=(source,), epochs=2, valid=("de.tsv",))
        >>> whole = plain.with_steps(1_000)
        >>> whole.steps, whole.warmup_steps, whole.evaluate_every, whole.checkpoint_every
        (63, 6, 32, 32)
        """
        # Rounded up: what is due after each epoch must not come before its last row.
        epoch = math.ceil(n_rows / self.batch_rows)
        # The last step has what is left of the rows. A run that is resumed with more epochs may
        # have such a step behind it.
        left = max(0, (self.rows_in_all(n_rows) or 0) - rows)
        steps = self.steps or steps + math.ceil(left / self.batch_rows)
        return self.model_copy(
            update={
                "steps": steps,
                "warmup_steps": self.warmup_steps or steps // 10,
                # Without held-out files there is nothing to score.
                "evaluate_every": (self.evaluate_every or epoch) if self.valid else 0,
                "checkpoint_every": self.checkpoint_every or epoch,
            }
        )


FREE = FREE_ON_RESUME | {"epochs", "valid"}
"""Settings a resumed fine-tuning may change."""
