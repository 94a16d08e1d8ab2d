"""Kernels over PCollections of record batches, with counters and without losing a row.

A `Ledger` is what flows: the rows kept so far, the rows rejected on the way, and how many were
read. A transform that drops rows returns one; piping a Ledger into the next transform applies it to
the rows kept and carries the rest along, so that the last one, `WriteDataset`, can prove that
read = kept + rejected.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.sift import Sifted
from bitextile.transforms.coders import RecordBatchCoder

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch | Sifted]

REJECTS_TAG = "rejects"
RecordBatchCoder  # noqa: B018 - importing it registers it, for every pipeline that has batches


class Ledger(NamedTuple):
    """Rows on their way, with what became of the others.

    Attributes:
        kept: PCollection of record batches.
        rejects: PCollections of REJECTS batches, one for each step that dropped rows.
        read: PCollection of row counts; their sum must be kept + rejected.
    """

    kept: beam.PCollection
    rejects: tuple[beam.PCollection, ...]
    read: beam.PCollection

    def __or__(self, transform: beam.PTransform) -> Any:
        """Applies a transform to the rows kept; rejects and counts are carried along.

        A transform that makes rows of another sort (entries of words) returns a Ledger of its own.
        """
        if getattr(transform, "takes_ledger", False):
            return tuple(self) | transform
        result = self.kept | transform
        if isinstance(result, Ledger):
            return result
        read = self.read
        if (factor := getattr(transform, "outputs_per_row", 1)) != 1:
            read = read | f"Expect{transform.label}" >> beam.Map(lambda n, k: n * k, factor)
        if isinstance(result, Sieved):
            return Ledger(result.kept, (*self.rejects, result.rejects), read)
        return Ledger(result, self.rejects, read)


class Sieved(NamedTuple):
    """What a transform that may drop rows returns: PCollections of batches kept and rejected."""

    kept: beam.PCollection
    rejects: beam.PCollection


class _ApplyKernel(beam.DoFn):
    def __init__(self, kernel: Kernel, namespace: str) -> None:
        self.kernel = kernel
        self.namespace = namespace

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        Metrics.counter(self.namespace, "in").inc(batch.num_rows)
        result = self.kernel(batch)
        kept, rejects = result if isinstance(result, Sifted) else (result, None)
        Metrics.counter(self.namespace, "kept").inc(kept.num_rows)
        if kept.num_rows:
            yield kept
        if rejects is not None and rejects.num_rows:
            for rule, rows in _count(rejects.column("rule")):
                Metrics.counter(self.namespace, f"rejected/{rule}").inc(rows)
            yield beam.pvalue.TaggedOutput(REJECTS_TAG, rejects)


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


class SieveBatches(beam.PTransform):
    """Applies a kernel that sorts rows into kept ones and rejects.

    Args:
        kernel: RecordBatch -> Sifted; picklable.
        outputs_per_row: how many rows, kept or rejected, the kernel makes of one (variants).

    Counters, in the namespace of the label: `in`, `kept` and `rejected/RULE`, in rows.
    """

    def __init__(
        self, kernel: Kernel, label: str | None = None, *, outputs_per_row: int = 1
    ) -> None:
        super().__init__(label)
        self.kernel = kernel
        self.outputs_per_row = outputs_per_row

    @no_annotations
    def expand(self, batches: beam.PCollection) -> Sieved:
        """Returns the kept and the rejected batches."""
        do = beam.ParDo(_ApplyKernel(self.kernel, self.label)).with_output_types(pa.RecordBatch)
        out = batches | "Apply" >> do.with_outputs(REJECTS_TAG, main="kept")
        return Sieved(out.kept, out[REJECTS_TAG])
