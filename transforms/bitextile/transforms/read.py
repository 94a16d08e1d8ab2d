"""Datasets into a pipeline: one element per stretch of a shard, read on the workers."""

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints.decorators import no_annotations

from bitextile.schema.dataset import BATCH_ROWS, Dataset
from bitextile.schema.kinds import Kind
from bitextile.schema.manifest import Shard
from bitextile.schema.shards import ROW_GROUP_ROWS, read_shard
from bitextile.transforms.batches import Ledger

_ROW_GROUPS = 2
"""Row groups read at once, 32,768 rows: a second's work for most verbs."""


@dataclass(eq=False)
class ReadDataset(beam.PTransform):
    """Reads the rows of a dataset that `open_dataset` has checked.

    Attributes:
        dataset: opened where the pipeline is built, so that a wrong one is refused at once.
        columns: names to read; None for all.
        batch_rows: rows of a batch at most.
    """

    dataset: Dataset
    columns: list[str] | None = None
    batch_rows: int = BATCH_ROWS

    @no_annotations
    def expand(self, root: beam.Pipeline) -> Ledger:
        """Returns the rows and the count the manifest promises, as a Ledger."""
        stretches = [part for shard in self.dataset.manifest.shards for part in _stretches(shard)]
        batches = (
            root
            | "ListShards" >> beam.Create(stretches)
            | "Spread" >> beam.Reshuffle()
            | "ReadShard"
            >> beam.FlatMap(
                _read,
                path=self.dataset.path,
                kind=self.dataset.kind,
                columns=self.columns,
                batch_rows=self.batch_rows,
            ).with_output_types(pa.RecordBatch)
        )
        read = root | "CountRead" >> beam.Create([self.dataset.manifest.rows])
        return Ledger(batches, (), read)


def _stretches(shard: Shard) -> Iterator[tuple[Shard, range]]:
    """Yields a shard's row groups a few at a time, so that workers share even one large shard."""
    n = -(-shard.rows // ROW_GROUP_ROWS)
    for first in range(0, n, _ROW_GROUPS):
        yield shard, range(first, min(first + _ROW_GROUPS, n))


def _read(
    stretch: tuple[Shard, range],
    *,
    path: str,
    kind: Kind,
    columns: list[str] | None,
    batch_rows: int,
) -> Iterator[pa.RecordBatch]:
    shard, groups = stretch
    yield from read_shard(
        path, shard, kind, columns=columns, batch_rows=batch_rows, row_groups=groups
    )
