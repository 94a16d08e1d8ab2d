"""Validation losses during a run: the `valid` split, with masks that never change."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from bitextile.trainer.data.examples import within
from bitextile.trainer.data.mixture import Entry
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.losses import LossSum
from bitextile.trainer.step import Training


def validate(training: Training) -> dict[str, float]:
    """Returns the mean loss of each entry on its `valid` rows; entries without any are left out."""
    losses = {}
    training.encoder.eval()
    training.own.eval()
    for index, (label, entry) in enumerate(zip(training.labels(), training.entries)):
        sums: dict[str, LossSum] = {}
        own = training.module_of(index)
        for batch in _valid_batches(training, entry):
            with torch.no_grad(), training.autocast():
                parts = entry.objective.losses(training.encoder, own, batch.to(training.device))
            for name, part in parts.items():
                sums[name] = sums[name] + part if name in sums else part
        if sums:
            losses[label] = math.fsum(float(s.mean()) for s in sums.values())
    return losses


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
