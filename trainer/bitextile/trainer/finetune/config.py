"""The configuration of a fine-tuning: what `finetune` is told, checked before anything is read."""

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from bitextile.schema.ids import language_tag
from bitextile.trainer.config import FREE_ON_RESUME, RunConfig
from bitextile.trainer.settings import Count, FilePath, Positive, Settings


class TaskSource(Settings):
    """Rows to learn from: a task file, or a dataset that holds its like.

    Attributes:
        file: TSV of premise, hypothesis and label, plain or compressed (XNLI, PAWS-X).
        language: BCP-47 tag of its text; names the rows and finds their candidates.
        dataset: in place of a file, a `codeswitch` dataset of task data, as
            `codeswitch --method task-field` writes it.
    """

    file: FilePath | None = None
    language: str | None = None
    dataset: FilePath | None = None

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
        batch_rows: rows of a step, over all `grad_accumulation` micro-batches.
        steps: optimiser steps; 0 takes those of `epochs`.
        lr: peak learning rate; 5e-5 is the highest that BERT's authors tried (Devlin et al. 2019,
            A.3); a small encoder wants more.
        warmup_steps: of linear rise; 0 takes a tenth of the steps.
        evaluate_every: steps between two scores on `valid`; 0 is after each epoch.
        checkpoint_every: steps between checkpoints; 0 is after each epoch.
        keep_checkpoints: a fine-tuning is short, so the last alone stays.
    """

    task: str = "classification"
    model: FilePath
    train: Annotated[tuple[TaskSource, ...], Field(min_length=1)]
    copies: tuple[FilePath, ...] = ()
    candidates: tuple[FilePath, ...] = ()
    valid: tuple[FilePath, ...] = ()
    epochs: Annotated[float, Field(gt=0.0)] = 3.0
    batch_rows: Positive = 32
    steps: Count = 0
    lr: Annotated[float, Field(gt=0.0)] = 5e-5
    warmup_steps: Count = 0
    checkpoint_every: Count = 0
    keep_checkpoints: Positive = 1

    @model_validator(mode="after")
    def _dealt(self) -> "FinetuneConfig":
        if self.batch_rows % self.grad_accumulation:
            raise ValueError(
                f"batch_rows is {self.batch_rows}, no multiple of grad_accumulation "
                f"{self.grad_accumulation}; each micro-batch has as many rows"
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
