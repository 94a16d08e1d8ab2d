"""`bitextile exchange`: aligned -> exchange, linked words swapped between the sentences."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import pyarrow as pa

from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.text.truecase import EMPTY_CASING, casing_of
from bitextile.pipelines.runner.convert import convert_dataset
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.kinds import ALIGNED, EXCHANGE

_CASING_BATCHES = 4
"""Batches of each key whose casing is counted, the first of its shards, which by the ids' hash are
as good as drawn: 32,768 pairs of captions hold 800,000 running words."""


def exchange(
    aligned: str, out: str, *, config: ExchangeConfig, options: RunOptions
) -> DatasetResult:
    """Writes word-exchange variants of an `aligned` dataset.

    Args:
        aligned: folder of the dataset.
        out: folder for the `exchange` dataset.
        config: rate, which links, how many variants.
        options: how to run.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.exchange import ExchangeWords

        return rows | ExchangeWords(config, casing)

    source = open_dataset(aligned, ALIGNED)
    # Counted before the pipeline: all workers must use the same casing, or a row would depend on
    # the batch it is in.
    casing = casing_of(_first_batches(source)) if config.recase else EMPTY_CASING
    described = {"command": "exchange", **asdict(config)}
    return convert_dataset(source, out, make, kind=EXCHANGE, config=described, options=options)


def _first_batches(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    for key in dataset.keys:
        yield from islice(dataset.batches(key=key), _CASING_BATCHES)
