"""Loss and accuracy on held-out task data while a classifier is trained."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bitextile.trainer.data.examples import within
from bitextile.trainer.distributed.fsdp import gather_root
from bitextile.trainer.finetune.classify import Pairs, logits
from bitextile.trainer.finetune.data import Task, classes
from bitextile.trainer.losses import masked_lm

BATCH_TOKENS = 8_192
"""Tokens of a batch: keeps a base model within some hundred MB."""


@dataclass(frozen=True)
class Scored:
    """How well a classifier does on a task.

    Attributes:
        loss: mean negative log likelihood, nats.
        accuracy: share of rows whose most probable class is theirs.
    """

    loss: float
    accuracy: float


def scores(training: Any, task: Task) -> Scored:
    """Scores the plain rows of a task; every rank scores all, for they are few.

    Args:
        training: a fine-tuning.
        task: held-out rows, with labels that the model knows.
    """
    encoder, own = training.encoder, training.module_of(0)
    encoder.eval()
    training.own.eval()
    loss, right, n = 0.0, 0, 0
    for batch in _batches(training, task):
        gather_root(encoder)
        on_device = batch.to(training.device)
        with torch.no_grad(), training.autocast():
            found = logits(encoder, own, on_device)
        loss += float(masked_lm(found, on_device.targets).total)
        right += int((found.argmax(dim=1) == on_device.targets).sum())
        n += batch.n_rows
    return Scored(loss / n, right / n)


def _batches(training: Any, task: Task) -> Iterator[Pairs]:
    objective = replace(training.entries[0].objective, copies=None, choices=None)
    rows = task.rows.append_column("class", pa.array(classes(task, objective.labels)))
    examples = objective.examples(rows, np.zeros(len(rows), np.int64), training.coder)
    # Alike lengths side by side leave little padding.
    examples.sort(key=lambda e: e.n_tokens)
    for group in within(BATCH_TOKENS, examples):
        yield objective.collate(group, training.collation)
