"""Datasets and task files into a pipeline, read on the workers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.progress import count
from bitextile.kernels.tasks.nli import nli_sentences
from bitextile.schema.dataset import BATCH_ROWS, Dataset
from bitextile.schema.kinds import Kind
from bitextile.schema.manifest import Shard
from bitextile.schema.shards import ROW_GROUP_ROWS, read_shard
from bitextile.transforms.batches import REJECTS_TAG, TrackedRows, type_outputs

_ROW_GROUPS = 2
"""Row groups read at once, 32,768 rows: a second's work for most commands."""


@dataclass(eq=False)
class ReadDataset(beam.PTransform):
    """Reads the rows of a dataset that `open_dataset` has checked.

    Attributes:
        dataset: opened where the pipeline is built, so that a wrong one is refused at once.
        columns: names to read, with `split` if one is named; None for all.
        batch_rows: rows of a batch at most.
        split: the only one to read (train, valid, test); None for all rows. Datasets that models
            write have no split of their own, so what they are made of must not be held out.
    """

    dataset: Dataset
    columns: list[str] | None = None
    batch_rows: int = BATCH_ROWS
    split: str | None = None

    @no_annotations
    def expand(self, root: beam.Pipeline) -> TrackedRows:
        """Returns the rows and their count as a TrackedRows.

        The count is what the manifest promises, or, of one split, what was found.
        """
        # From the manifest alone: no file is opened where the pipeline is built.
        ranges = [part for shard in self.dataset.manifest.shards for part in _ranges(shard)]
        read = beam.FlatMap(
            _read,
            path=self.dataset.path,
            kind=self.dataset.kind,
            columns=self.columns,
            batch_rows=self.batch_rows,
            split=self.split,
            rows=self.dataset.manifest.rows,
        ).with_output_types(pa.RecordBatch)
        out = (
            root
            | "ListShards" >> beam.Create(ranges)
            | "Spread" >> beam.Reshuffle()
            | "ReadShard" >> read.with_outputs("read", main="rows")
        )
        type_outputs(out, {"read": int})
        if self.split is not None:
            return TrackedRows(out.rows, (), out.read)
        # The manifest's number, not what the reader saw: a shard that lost rows then fails the sum
        # in `WriteDataset`, where a count of what was found would agree with itself.
        promised = root | "CountRead" >> beam.Create([self.dataset.manifest.rows])
        return TrackedRows(out.rows, (), promised)


def _ranges(shard: Shard) -> Iterator[tuple[Shard, range]]:
    """Yields a shard's row groups a few at a time, so that workers share even one large shard."""
    # Rounded up. The writer sets the rows of a group, so the file's footer need not be read for it.
    n = -(-shard.rows // ROW_GROUP_ROWS)
    for first in range(0, n, _ROW_GROUPS):
        yield shard, range(first, min(first + _ROW_GROUPS, n))


def _read(
    part: tuple[Shard, range],
    *,
    path: str,
    kind: Kind,
    columns: list[str] | None,
    batch_rows: int,
    split: str | None,
    rows: int,
) -> Iterator[Any]:
    shard, groups = part
    batches = read_shard(
        path, shard, kind, columns=columns, batch_rows=batch_rows, row_groups=groups
    )
    for batch in batches:
        count("Read", batch.num_rows, total=rows)
        if split is None:
            yield batch
            continue
        selected = batch.filter(pc.equal(batch.column("split"), split))
        if selected.num_rows:
            yield selected
        # For a split the manifest's row count is no promise, as foreign writers need not count
        # splits.
        yield beam.pvalue.TaggedOutput("read", selected.num_rows)


@dataclass(eq=False)
class ReadTaskSentences(beam.PTransform):
    """Reads the fields of a file of sentence pairs with labels, each sentence once, as MONO.

    Attributes:
        path: of the file, where workers can read.
        lang: of its text.
    """

    path: str
    lang: str

    @no_annotations
    def expand(self, root: beam.Pipeline) -> TrackedRows:
        """Returns the sentences, and as rejects duplicates and fields without a sentence."""
        read = beam.FlatMap(_sentences, lang=self.lang).with_output_types(pa.RecordBatch)
        out = (
            root
            | "ListTask" >> beam.Create([self.path])
            | "ReadTask" >> read.with_outputs(REJECTS_TAG, "read", main="kept")
        )
        type_outputs(out, {REJECTS_TAG: pa.RecordBatch, "read": int})
        return TrackedRows(out.kept, (out[REJECTS_TAG],), out.read)


def _sentences(path: str, *, lang: str) -> Iterator[Any]:
    sentences = nli_sentences(path, lang=lang)
    for at in range(0, sentences.kept.num_rows, BATCH_ROWS):
        yield sentences.kept.slice(at, BATCH_ROWS)
    yield beam.pvalue.TaggedOutput(REJECTS_TAG, sentences.rejects)
    count = sentences.kept.num_rows + sentences.rejects.num_rows
    yield beam.pvalue.TaggedOutput("read", count)
