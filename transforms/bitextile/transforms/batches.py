"""Kernels over PCollections of record batches, with counters and without losing a row.

A `TrackedRows` is what flows: the rows kept so far, the rows rejected on the way, and how many were
read. A transform that drops rows returns one; piping it into the next transform applies that to
the rows kept and carries the rest along, so that the last one, `WriteDataset`, can prove that
read = kept + rejected, and writes what was drawn (counters) into the manifest.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.rejects import Filtered
from bitextile.kernels.switch.core import Counters, SwitchOutput
from bitextile.transforms.coders import RecordBatchCoder

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch | Filtered | SwitchOutput]

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
        counters: PCollections of COUNTERS batches, one for each step that counts what it draws.
    """

    kept: beam.PCollection
    rejects: tuple[beam.PCollection, ...]
    read: beam.PCollection
    counters: tuple[beam.PCollection, ...] = ()

    def __or__(self, transform: beam.PTransform) -> Any:
        """Applies a transform to the rows kept; rejects and counts are carried along.

        A transform that makes rows of another sort (entries of words) returns its own TrackedRows.
        """
        if getattr(transform, "takes_tracked", False):
            return tuple(self) | transform
        result = self.kept | transform
        if isinstance(result, TrackedRows):
            return result
        read = self.read
        if (factor := getattr(transform, "outputs_per_row", 1)) != 1:
            read = read | f"Expect{transform.label}" >> beam.Map(lambda n, k: n * k, factor)
        if isinstance(result, FilterOutput):
            rejects, counters = (*self.rejects, result.rejects), (*self.counters, *result.counters)
            return TrackedRows(result.kept, rejects, read, counters)
        return TrackedRows(result, self.rejects, read, self.counters)


class FilterOutput(NamedTuple):
    """What a transform that may drop rows returns: PCollections of batches kept and rejected.

    `counters` holds one PCollection if the transform counts what it draws.
    """

    kept: beam.PCollection
    rejects: beam.PCollection
    counters: tuple[beam.PCollection, ...] = ()


class _ApplyKernel(beam.DoFn):
    def __init__(self, kernel: Kernel, namespace: str) -> None:
        self.kernel = kernel
        self.namespace = namespace

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        Metrics.counter(self.namespace, "in").inc(batch.num_rows)
        result = self.kernel(batch)
        kept, rejects = (
            result[:2] if isinstance(result, Filtered | SwitchOutput) else (result, None)
        )
        Metrics.counter(self.namespace, "kept").inc(kept.num_rows)
        if kept.num_rows:
            yield kept
        if rejects is not None and rejects.num_rows:
            for rule, rows in _count(rejects.column("rule")):
                Metrics.counter(self.namespace, f"rejected/{rule}").inc(rows)
            yield beam.pvalue.TaggedOutput(REJECTS_TAG, rejects)
        if isinstance(result, SwitchOutput) and result.counters:
            yield beam.pvalue.TaggedOutput(COUNTERS_TAG, counter_batch(result.counters))


def counter_batch(counters: Counters) -> pa.RecordBatch:
    """Returns counters as rows (key, name, count).

    >>> counter_batch({"en": {"words": 3}}).to_pylist()
    [{'key': 'en', 'name': 'words', 'count': 3}]
    """
    rows = [(key, *item) for key, tally in counters.items() for item in tally.items()]
    columns = zip(*rows) if rows else ((), (), ())
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, COUNTERS)], schema=COUNTERS
    )


def _count(values: pa.Array) -> list[tuple[str, int]]:
    return [(c["values"], c["counts"]) for c in values.value_counts().to_pylist()]


class MapBatches(beam.PTransform):
    """Applies a kernel to each batch, where every row comes out again.

    Args:
        kernel: RecordBatch -> RecordBatch; picklable (a function or a `functools.partial`).

    Counters, in the namespace of the label: `in` and `kept`, in rows.
    """

    def __init__(self, kernel: Kernel, label: str | None = None) -> None:
        super().__init__(label)
        self.kernel = kernel

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Returns the PCollection of the kernel's batches; empty ones are dropped."""
        do = _ApplyKernel(self.kernel, self.label)
        return batches | "Apply" >> beam.ParDo(do).with_output_types(pa.RecordBatch)


class FilterBatches(beam.PTransform):
    """Applies a kernel that sorts rows into kept ones and rejects.

    Args:
        kernel: RecordBatch -> Filtered; picklable.
        outputs_per_row: how many rows, kept or rejected, the kernel makes of one (variants).
        tallied: whether the kernel counts what it draws, that is returns SwitchOutput.

    Counters, in the namespace of the label: `in`, `kept` and `rejected/RULE`, in rows.
    """

    def __init__(
        self,
        kernel: Kernel,
        label: str | None = None,
        *,
        outputs_per_row: int = 1,
        tallied: bool = False,
    ) -> None:
        super().__init__(label)
        self.kernel = kernel
        self.outputs_per_row = outputs_per_row
        self.tallied = tallied

    @no_annotations
    def expand(self, batches: beam.PCollection) -> FilterOutput:
        """Returns the kept and the rejected batches."""
        do = beam.ParDo(_ApplyKernel(self.kernel, self.label)).with_output_types(pa.RecordBatch)
        tags = (REJECTS_TAG, *((COUNTERS_TAG,) if self.tallied else ()))
        out = batches | "Apply" >> do.with_outputs(*tags, main="kept")
        return FilterOutput(
            out.kept, out[REJECTS_TAG], (out[COUNTERS_TAG],) if self.tallied else ()
        )
