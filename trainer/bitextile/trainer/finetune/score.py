"""Loss and accuracy on held-out rows while a classifier is trained."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from bitextile.trainer.data.examples import batch_by_tokens
from bitextile.trainer.distributed.fsdp import gather_root
from bitextile.trainer.evaluate.task import NO_AUGMENTATION
from bitextile.trainer.finetune.classify import ClassificationBatch, logits
from bitextile.trainer.finetune.model import Classifier
from bitextile.trainer.losses import masked_lm

if TYPE_CHECKING:
    from bitextile.trainer.finetune.loop import FinetuneState

BATCH_TOKENS = 8_192
"""Tokens of a batch: keeps a base model within some hundred MB."""


def score(state: "FinetuneState", rows: pa.Table) -> dict[str, float]:
    """Scores rows without augmentation; every rank scores all, for they are few.

    Args:
        state: a fine-tuning.
        rows: held out, with their `class`.

    Returns:
        loss: mean negative log likelihood, nats; accuracy: share of rows whose most probable class
        is theirs.
    """
    encoder, head = state.encoder, state.module_of(0)
    assert isinstance(head, Classifier)
    encoder.eval()
    state.objective_modules.eval()
    loss, right, n = 0.0, 0, 0
    for batch in _batches(state, rows):
        gather_root(encoder)  # FSDP frees the root's parameters after each pass
        on_device = batch.to(state.device)
        with torch.no_grad(), state.autocast():
            found = logits(encoder, head, on_device)
        loss += float(masked_lm(found, on_device.targets).total)
        right += int((found.argmax(dim=1) == on_device.targets).sum())
        n += batch.n_rows
    return {"loss": loss / n, "accuracy": right / n}


def _batches(state: "FinetuneState", rows: pa.Table) -> Iterator[ClassificationBatch]:
    objective = replace(state.entries[0].objective, augmentation=NO_AUGMENTATION)
    examples = objective.examples(rows, np.zeros(len(rows), np.int64), state.tokenizer)
    # Alike lengths side by side leave little padding.
    examples.sort(key=lambda e: e.n_tokens)
    for group in batch_by_tokens(BATCH_TOKENS, examples):
        yield objective.collate(group, state.collation)
