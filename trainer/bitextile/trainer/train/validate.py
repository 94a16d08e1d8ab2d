"""Validation losses during a run: the `valid` split, with masks that never change."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

from bitextile.trainer.data.examples import batch_by_tokens
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.distributed.fsdp import gather_root, is_sharded
from bitextile.trainer.objectives.objective import DatasetEntry
from bitextile.trainer.train.state import TrainState


def validate(state: TrainState) -> dict[str, float]:
    """Returns the mean loss of each entry on its `valid` rows; entries without one are left out.

    The batches are shared by the ranks; under FSDP, where all pass through the encoder together,
    every rank does them all. Every rank must call it.
    """
    sharded, group = is_sharded(state.encoder), state.group
    # The next training step calls `train()` again.
    state.encoder.eval()
    state.objective_modules.eval()
    losses = {}
    for index, label in enumerate(state.labels()):
        if sharded:
            found = _sums(state, index, 0, 1)
        else:
            reports = group.collect(partial(_sums, state, index, group.rank, group.size))
            found = [sums for report in reports for sums in report]
        means = [_mean(found, part) for part in found[0] if _weight(found, part)] if found else []
        # Rows in which nothing is masked have no loss, least of all 0.
        if means:
            losses[label] = math.fsum(means)
    return losses


Sums = dict[str, tuple[float, int]]
"""Total and weight of each part of a loss."""


def _sums(state: TrainState, index: int, first: int, every: int) -> list[Sums]:
    """Returns the sums of every `every`-th batch of an entry, from `first` on."""
    entry, module = state.entries[index], state.module_of(index)
    found = []
    for batch in islice(_valid_batches(state, entry), first, None, every):
        gather_root(state.encoder)
        with torch.no_grad(), state.autocast():
            parts = entry.objective.losses(state.encoder, module, batch.to(state.device))
        found.append({name: (float(p.total), int(p.weight)) for name, p in parts.items()})
    return found


def _weight(sums: list[Sums], part: str) -> int:
    return sum(s[part][1] for s in sums)


def _mean(sums: list[Sums], part: str) -> float:
    return math.fsum(s[part][0] for s in sums) / _weight(sums, part)


def _valid_batches(state: TrainState, entry: DatasetEntry) -> Iterator[Any]:
    config, objective, dataset = state.config, entry.objective, entry.dataset
    # Keyed apart from training, and without an epoch: the same masks at every validation, and for
    # every entry, so that losses of entries on one dataset can be compared.
    masking = replace(state.collation.masking, operation="mask/valid")
    collation = replace(state.collation, masking=masking)
    # Equally many of each language, rounded up so that each has some.
    limit = -(-config.evaluate_rows // len(entry.row_streams))
    for row_stream in entry.row_streams:
        if row_stream.split is None:
            continue
        rows = split_rows(dataset, row_stream.key, row_stream.columns, split="valid", limit=limit)
        if rows is None:
            continue
        # Always epoch 0: a loss moves with the model, not with other masks.
        examples = objective.examples(rows, np.zeros(len(rows), np.int64), state.tokenizer)
        for batch in batch_by_tokens(config.batch_tokens, examples):
            yield objective.collate(batch, collation)
