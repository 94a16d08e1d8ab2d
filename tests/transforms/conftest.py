"""Pipelines as the command line runs them, and rows to run through them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO
from bitextile.transforms.batches import TrackedRows


@pytest.fixture
def pipeline() -> Callable[[], Any]:
    """Returns what opens a pipeline on the runner that running.py names, run when it closes."""

    @contextlib.contextmanager
    def opened() -> Iterator[beam.Pipeline]:
        with beam.Pipeline(runner=FnApiRunner()) as root:
            yield root

    return opened


@pytest.fixture
def mono_rows() -> Callable[..., pa.RecordBatch]:
    """Returns what makes n MONO rows with ids, in two languages."""

    def rows(n: int, langs: tuple[str, ...] = ("ar", "de"), first: int = 0) -> pa.RecordBatch:
        numbers = range(first, first + n)
        tags = [langs[i % len(langs)] for i in numbers]
        texts = [f"جملة {i} Satz" for i in numbers]
        ids = [text_ids(t, pa.array([s]))[0].as_py() for t, s in zip(tags, texts)]
        fixed = {"corpus": "c", "file": "f", "split": "train"}
        return pa.RecordBatch.from_pylist(
            [
                fixed | {"text_id": i, "lang": t, "text": s, "line": n + 1}
                for i, t, s, n in zip(ids, tags, texts, numbers)
            ],
            schema=MONO.schema,
        )

    return rows


@pytest.fixture
def check_counts() -> Callable[..., None]:
    """Returns what asserts how many rows were read, kept and rejected when the pipeline runs."""

    def check(rows: TrackedRows, *, read: int, kept: int, rejected: int) -> None:
        def total(counts: beam.PCollection, name: str, expected: int) -> None:
            summed = counts | f"Sum{name}" >> beam.CombineGlobally(sum)
            assert_that(summed, equal_to([expected]), name)

        rejects = rows.rejects | beam.Flatten(pipeline=rows.kept.pipeline)
        total(rows.read, "Read", read)
        total(rows.kept | "CountKept" >> beam.Map(lambda batch: batch.num_rows), "Kept", kept)
        dropped = rejects | "CountRejects" >> beam.Map(lambda batch: batch.num_rows)
        total(dropped, "Rejected", rejected)

    return check
