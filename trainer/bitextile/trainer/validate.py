"""Validation losses during a run: the `valid` split, with masks that never change."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch

from bitextile.schema.dataset import Dataset
from bitextile.trainer.data.collate import Batch, collate, group_by_length
from bitextile.trainer.data.mixture import Entry
from bitextile.trainer.losses import LossSum
from bitextile.trainer.step import Training


def split_rows(
    dataset: Dataset, key: str, columns: tuple[str, ...], *, split: str | None, limit: int
) -> pa.Table | None:
    """Returns the first rows of a split of a key in file order, which is that of hashed ids.

    Args:
        dataset: opened.
        key: language pair or language.
        columns: to return.
        split: train, valid or test; None for all.
        limit: rows at most.

    Returns:
        The rows, or None without any.
    """
    read = [*columns] + ["split"] * (split is not None)
    tables, found = [], 0
    for batch in dataset.batches(key=key, columns=list(dict.fromkeys(read))):
        rows = pa.Table.from_batches([batch])
        if split is not None:
            rows = rows.filter(pa.compute.equal(rows.column("split"), split))
        tables.append(rows.slice(0, limit - found).select(list(columns)))
        found += len(tables[-1])
        if found >= limit:
            break
    return pa.concat_tables(tables).combine_chunks() if found else None


def validate(training: Training) -> dict[str, float]:
    """Returns the mean loss of each entry on its `valid` rows; entries without any are left out."""
    losses = {}
    training.encoder.eval()
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


def _valid_batches(training: Training, entry: Entry) -> Iterator[Batch]:
    config, objective, dataset = training.config, entry.objective, entry.dataset
    masking = replace(training.masking, operation="mask/valid")
    limit = -(-config.evaluate_rows // len(entry.streams))
    for stream in entry.streams:
        rows = split_rows(dataset, stream.key, stream.columns, split="valid", limit=limit)
        if rows is None:
            continue
        examples = objective.examples(rows, np.zeros(len(rows), np.int64), training.coder)
        n_tokens = sum(len(e.tokens) for e in examples)
        for group in group_by_length(examples, groups=max(4, n_tokens // 2048)):
            yield collate(group, masking=masking, pad=training.coder.pad)
