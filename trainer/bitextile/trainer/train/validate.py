"""Validation losses during a run: the `valid` split, with masks that never change."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

from bitextile.trainer.data.examples import within
from bitextile.trainer.data.mixture import Entry
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.distributed.fsdp import gather_root, is_sharded
from bitextile.trainer.train.step import Training


def validate(training: Training) -> dict[str, float]:
    """Returns the mean loss of each entry on its `valid` rows; entries without any are left out.

    The batches are dealt to the ranks; under FSDP, where all pass through the encoder together,
    every rank does them all. Every rank must call it.
    """
    sharded, ranks = is_sharded(training.encoder), training.ranks
    training.encoder.eval()
    training.own.eval()
    losses = {}
    for index, label in enumerate(training.labels()):
        if sharded:
            found = _sums(training, index, 0, 1)
        else:
            reports = ranks.all(partial(_sums, training, index, ranks.rank, ranks.size))
            found = [sums for report in reports for sums in report]
        if found:
            losses[label] = math.fsum(_mean(found, part) for part in found[0])
    return losses


Sums = dict[str, tuple[float, int]]
"""Total and weight of each part of a loss."""


def _sums(training: Training, index: int, first: int, every: int) -> list[Sums]:
    """Returns the sums of every so manieth batch of an entry."""
    entry, own = training.entries[index], training.module_of(index)
    found = []
    for batch in islice(_valid_batches(training, entry), first, None, every):
        gather_root(training.encoder)
        with torch.no_grad(), training.autocast():
            parts = entry.objective.losses(training.encoder, own, batch.to(training.device))
        found.append({name: (float(p.total), int(p.weight)) for name, p in parts.items()})
    return found


def _mean(sums: list[Sums], part: str) -> float:
    return math.fsum(s[part][0] for s in sums) / max(1, sum(s[part][1] for s in sums))


def _valid_batches(training: Training, entry: Entry) -> Iterator[Any]:
    config, objective, dataset = training.config, entry.objective, entry.dataset
    masking = replace(training.collation.masking, operation="mask/valid")
    collation = replace(training.collation, masking=masking)
    limit = -(-config.evaluate_rows // len(entry.streams))
    for stream in entry.streams:
        if stream.split is None:
            continue
        rows = split_rows(dataset, stream.key, stream.columns, split="valid", limit=limit)
        if rows is None:
            continue
        examples = objective.examples(rows, np.zeros(len(rows), np.int64), training.coder)
        for group in within(config.batch_tokens, examples):
            yield objective.collate(group, collation)
