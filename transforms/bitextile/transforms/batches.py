"""Kernels over PCollections of record batches, with counters and without losing a row.

What flows between transforms is a `TrackedRows`: the rows kept so far, the rows rejected on the
way, and how many were read; so the last transform, `WriteDataset`, can prove that read = kept +
rejected. Every transform of rows takes a TrackedRows or a plain PCollection of record batches. One
that may reject rows returns a TrackedRows, beginning to count where it was given a plain
PCollection; one that keeps all rows returns what it was given.

    ReadDataset -> kept 9  rejects ()      read 9
    Filter      -> kept 7  rejects (2,)    read 9
    Exchange x3 -> kept 18 rejects (6, 3)  read 27     each row, kept or rejected, counts 3 times

Beam finds the PCollections inside a named tuple by itself, so `|` is Beam's own.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.progress import count
from bitextile.kernels.rejects import Filtered
from bitextile.kernels.splits import Assigned
from bitextile.kernels.switch.core import Counters, SwitchOutput
from bitextile.transforms.coders import RecordBatchCoder

MapKernel = Callable[[pa.RecordBatch], pa.RecordBatch]
FilterKernel = Callable[..., Filtered | SwitchOutput | Assigned]

REJECTS_TAG = "rejects"
COUNTERS_TAG = "counters"

COUNTERS = pa.schema([("key", pa.string()), ("name", pa.string()), ("count", pa.int64())])
"""Columns of counters: numbers that add up over batches, by the key of the rows they are about."""
RecordBatchCoder  # noqa: B018 - importing it registers it, for every pipeline that has batches


class TrackedRows(NamedTuple):
    """Rows on their way, with what became of the others.

    Attributes:
        kept: PCollection of record batches.
        rejects: PCollections of REJECTS batches, one for each step that dropped rows.
        read: PCollection of row counts; their sum must be kept + rejected.
        counters: PCollections of COUNTERS batches, one for each step that counts what it samples.
    """

    kept: beam.PCollection
    rejects: tuple[beam.PCollection, ...]
    read: beam.PCollection
    counters: tuple[beam.PCollection, ...] = ()


AnyRows: TypeAlias = beam.PCollection | TrackedRows
"""What transforms of rows take: a plain PCollection of record batches, or a TrackedRows."""


def track(rows: AnyRows) -> TrackedRows:
    """Returns rows as a TrackedRows; of a plain PCollection all rows count as read."""
    if isinstance(rows, TrackedRows):
        return rows
    return TrackedRows(rows, (), rows | "CountRows" >> beam.Map(_n_rows))


def _n_rows(batch: pa.RecordBatch) -> int:
    return batch.num_rows


def kept_of(rows: AnyRows) -> beam.PCollection:
    """Returns the PCollection of record batches that are kept."""
    return rows.kept if isinstance(rows, TrackedRows) else rows


def with_kept(rows: AnyRows, kept: beam.PCollection) -> AnyRows:
    """Returns `rows` with others kept, as many in all: tracked as they were, or plain."""
    return rows._replace(kept=kept) if isinstance(rows, TrackedRows) else kept


class ApplyToKept(beam.PTransform):
    """Applies any transform of batches to the rows kept; rejects and counts are carried along.

    Args:
        transform: from a PCollection of record batches to another with as many rows in all. Of a
            function use `MapBatches` instead.
    """

    def __init__(self, transform: beam.PTransform, label: str | None = None) -> None:
        super().__init__(label or f"ApplyToKept({transform.label})")
        self.transform = transform

    @no_annotations
    def expand(self, rows: AnyRows) -> AnyRows:
        """Returns the rows with those kept transformed; plain ones stay plain."""
        return with_kept(rows, kept_of(rows) | self.transform)


class MapBatches(beam.PTransform):
    """Applies a kernel to each batch, where every row comes out again.

    Args:
        kernel: RecordBatch -> RecordBatch; picklable (a function or a `functools.partial`).
        outputs_per_row: how many rows the kernel makes of one.

    Counters, in the namespace of the label: `in` and `kept`, in rows.
    """

    def __init__(
        self, kernel: MapKernel, label: str | None = None, *, outputs_per_row: int = 1
    ) -> None:
        super().__init__(label)
        self.kernel = kernel
        self.outputs_per_row = outputs_per_row

    @no_annotations
    def expand(self, rows: AnyRows) -> AnyRows:
        """Returns the kernel's batches, tracked as `rows` are; empty ones are dropped."""
        do = beam.ParDo(_Map(self.kernel, self.label)).with_output_types(pa.RecordBatch)
        if isinstance(rows, TrackedRows):
            rows = rows._replace(read=_times(rows.read, self.outputs_per_row))
        return with_kept(rows, kept_of(rows) | "Apply" >> do)


class FilterBatches(beam.PTransform):
    """Applies a kernel that splits rows into kept ones and rejects.

    Args:
        kernel: RecordBatch -> (kept, rejects), as `Filtered`, or (kept, rejects, counters), as
            `SwitchOutput`; picklable.
        outputs_per_row: how many rows, kept or rejected, the kernel makes of one (variants).
        side_inputs: what the kernel takes after the batch, such as an `AsSingleton`.

    Counters, in the namespace of the label: `in`, `kept` and `rejected/RULE`, in rows.
    """

    def __init__(
        self,
        kernel: FilterKernel,
        label: str | None = None,
        *,
        outputs_per_row: int = 1,
        side_inputs: tuple[beam.pvalue.AsSideInput, ...] = (),
    ) -> None:
        super().__init__(label)
        self.side_inputs = side_inputs
        self.kernel = kernel
        self.outputs_per_row = outputs_per_row

    @no_annotations
    def expand(self, rows: AnyRows) -> TrackedRows:
        """Returns the kept rows, with rejects and counters beside those of earlier steps."""
        rows = track(rows)
        do = beam.ParDo(_Filter(self.kernel, self.label), *self.side_inputs).with_output_types(
            pa.RecordBatch
        )
        out = rows.kept | "Apply" >> do.with_outputs(REJECTS_TAG, COUNTERS_TAG, main="kept")
        type_outputs(out, {REJECTS_TAG: pa.RecordBatch, COUNTERS_TAG: pa.RecordBatch})
        # Rejects of each step stay a PCollection of their own and are flattened once, in
        # `WriteDataset`; a Flatten in every step would add a stage each.
        rejects, counters = (*rows.rejects, out[REJECTS_TAG]), (*rows.counters, out[COUNTERS_TAG])
        return TrackedRows(out.kept, rejects, _times(rows.read, self.outputs_per_row), counters)


def type_outputs(out: beam.pvalue.DoOutputsTuple, types: dict[str, type]) -> None:
    """Says what the tagged outputs of a step are.

    Beam's `with_output_types` is about the main output. Others are of any type, so a batch would be
    pickled, which takes five times the bytes of `RecordBatchCoder` for the rejects of a corpus.

    Args:
        out: of `with_outputs`.
        types: tag to type.
    """
    for tag, type_ in types.items():
        out[tag].element_type = type_


def _times(read: beam.PCollection, factor: int) -> beam.PCollection:
    return read if factor == 1 else read | "ExpectOutputs" >> beam.Map(lambda n, k: n * k, factor)


class _Map(beam.DoFn):
    def __init__(self, kernel: MapKernel, namespace: str) -> None:
        self.kernel = kernel
        self.namespace = namespace

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        Metrics.counter(self.namespace, "in").inc(batch.num_rows)
        kept = self.kernel(batch)
        count(self.namespace, batch.num_rows)
        Metrics.counter(self.namespace, "kept").inc(kept.num_rows)
        # An empty batch costs a coder's schema and a call in every step behind it.
        if kept.num_rows:
            yield kept


class _Filter(beam.DoFn):
    def __init__(self, kernel: FilterKernel, namespace: str) -> None:
        self.kernel = kernel
        self.namespace = namespace

    def process(self, batch: pa.RecordBatch, *side_inputs: Any) -> Iterator[Any]:
        Metrics.counter(self.namespace, "in").inc(batch.num_rows)
        # `Filtered` has two fields and `SwitchOutput` three; both are tuples so that this one DoFn
        # takes either.
        kept, rejects, *counters = self.kernel(batch, *side_inputs)
        count(self.namespace, batch.num_rows)
        yield from filtered_outputs(self.namespace, kept, rejects)
        for counted in counters:
            yield beam.pvalue.TaggedOutput(COUNTERS_TAG, counter_batch(counted))


def filtered_outputs(
    namespace: str, kept: pa.RecordBatch, rejects: pa.RecordBatch
) -> Iterator[Any]:
    """Yields what a step that rejects rows puts out of a batch, and counts the rows.

    Args:
        namespace: of the counters `kept` and `rejected/RULE`.
        kept: rows, for the main output.
        rejects: those of REJECTS, for the output of that tag.
    """
    Metrics.counter(namespace, "kept").inc(kept.num_rows)
    if kept.num_rows:
        yield kept
    if rejects.num_rows:
        for rule, rows in _count(rejects.column("rule")):
            Metrics.counter(namespace, f"rejected/{rule}").inc(rows)
        yield beam.pvalue.TaggedOutput(REJECTS_TAG, rejects)


def counter_batch(counters: Counters) -> pa.RecordBatch:
    """Returns counters as rows (key, name, count).

    >>> counter_batch({"en": {"words": 3}}).to_pylist()
    [{'key': 'en', 'name': 'words', 'count': 3}]
    """
    rows = [(key, *item) for key, counts in counters.items() for item in counts.items()]
    # `zip` of no rows yields no columns at all.
    columns = zip(*rows) if rows else ((), (), ())
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, COUNTERS)], schema=COUNTERS
    )


def _count(values: pa.Array) -> list[tuple[str, int]]:
    return [(c["values"], c["counts"]) for c in values.value_counts().to_pylist()]
