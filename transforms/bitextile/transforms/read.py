"""Datasets into a pipeline: one element per shard, read on the workers."""

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints.decorators import no_annotations

from bitextile.schema.dataset import BATCH_ROWS, Dataset
from bitextile.schema.kinds import Kind
from bitextile.schema.manifest import Shard
from bitextile.schema.shards import read_shard
from bitextile.transforms.batches import Ledger


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
        shards = root | "ListShards" >> beam.Create(list(self.dataset.manifest.shards))
        batches = (
            shards
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


def _read(
    shard: Shard, *, path: str, kind: Kind, columns: list[str] | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    yield from read_shard(path, shard, kind, columns=columns, batch_rows=batch_rows)
