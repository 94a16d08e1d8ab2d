"""Kernels over batches: rows counted in and out, and carried along with what became of each."""

from functools import partial

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.transforms.batches import (
    ApplyToKept,
    FilterBatches,
    MapBatches,
    TrackedRows,
    track,
)


def upper(batch: pa.RecordBatch) -> pa.RecordBatch:
    at = batch.schema.get_field_index("text")
    return batch.set_column(at, batch.schema.field("text"), pc.utf8_upper(batch.column("text")))


def drop_multiples(batch: pa.RecordBatch, *, of: int) -> Filtered:
    line = batch.column("line").to_numpy()
    return split_rejects(batch, line % of != 0, rule=f"multiple_{of}/1", value=line.astype(float))


def nothing(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.slice(0, 0)


def lines(batch: pa.RecordBatch) -> list[int]:
    return batch.column("line").to_pylist()


def counters(result) -> dict[tuple[str, str], int]:
    found = result.metrics().query(MetricsFilter())["counters"]
    return {(c.key.metric.namespace, c.key.metric.name): c.committed for c in found}


def test_a_kernel_is_applied_to_each_batch_on_a_plain_list(mono_rows) -> None:
    batches = [mono_rows(3), mono_rows(2, first=3)]
    out = batches | beam.Map(lambda b: b) | MapBatches(upper, "Upper")
    assert [b.num_rows for b in out] == [3, 2]
    assert {t for b in out for t in b.column("text").to_pylist()} == {
        f"جملة {i} SATZ" for i in range(5)
    }


def test_kept_and_rejected_rows_come_out_apart_and_are_counted(mono_rows) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    batches = pipeline | beam.Create([mono_rows(7), mono_rows(5, first=7)])
    out = batches | FilterBatches(partial(drop_multiples, of=3), "DropThirds")
    kept = out.kept | "KeptLines" >> beam.FlatMap(lines)
    rejects = out.rejects | beam.Flatten()
    dropped = rejects | "DroppedLines" >> beam.FlatMap(lines)
    rules = rejects | beam.FlatMap(lambda b: b.column("rule").to_pylist())
    assert_that(kept, equal_to([n for n in range(1, 13) if n % 3]), label="kept")
    assert_that(dropped, equal_to([3, 6, 9, 12]), label="dropped")
    assert_that(rules, equal_to(["multiple_3/1"] * 4), label="rules")
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result) == {
        ("DropThirds", "in"): 12,
        ("DropThirds", "kept"): 8,
        ("DropThirds", "rejected/multiple_3/1"): 4,
    }


def test_empty_batches_are_not_passed_on(pipeline, mono_rows) -> None:
    with pipeline() as root:
        out = root | beam.Create([mono_rows(3)]) | MapBatches(nothing, "Nothing")
        assert_that(out, equal_to([]))


def tracked(root: beam.Pipeline, batch: pa.RecordBatch) -> TrackedRows:
    kept = root | "Rows" >> beam.Create([batch.slice(0, 5), batch.slice(5)])
    return TrackedRows(kept, (), root | "Read" >> beam.Create([batch.num_rows]))


def test_tracked_rows_carry_rejects_and_counts_through_every_step(pipeline, mono_rows) -> None:
    with pipeline() as root:
        out = (
            tracked(root, mono_rows(12))
            | FilterBatches(partial(drop_multiples, of=3), "DropThirds")
            | MapBatches(upper, "Upper")
            | "DropFifths" >> FilterBatches(partial(drop_multiples, of=5), "Filter")
        )
        assert isinstance(out, TrackedRows)
        assert len(out.rejects) == 2
        kept = out.kept | beam.FlatMap(lines)
        dropped = out.rejects | beam.Flatten() | "Lines" >> beam.FlatMap(lines)
        assert_that(kept, equal_to([1, 2, 4, 7, 8, 11]), label="kept")
        assert_that(dropped, equal_to([3, 6, 9, 12, 5, 10]), label="dropped")
        assert_that(out.read, equal_to([12]), label="read")


def test_a_transform_of_another_library_may_stand_in_the_chain(pipeline, mono_rows) -> None:
    with pipeline() as root:
        out = (
            tracked(root, mono_rows(4))
            | ApplyToKept(beam.Map(lambda b: b))
            | "Again" >> ApplyToKept(beam.Map(lambda b: b))
            | FilterBatches(partial(drop_multiples, of=2), "DropSeconds")
        )
        assert_that(out.kept | beam.FlatMap(lines), equal_to([1, 3]), label="kept")
        assert_that(out.read, equal_to([4]), label="read")


def test_plain_batches_are_counted_once_where_they_enter(pipeline, mono_rows) -> None:
    with pipeline() as root:
        plain = root | beam.Create([mono_rows(7), mono_rows(5, first=7)])
        out = (
            plain
            | FilterBatches(partial(drop_multiples, of=3), "DropThirds")
            | MapBatches(upper, "Upper")
        )
        assert_that(out.read | beam.CombineGlobally(sum), equal_to([12]), label="read")
        assert_that(out.kept | beam.FlatMap(lines), equal_to([n for n in range(1, 13) if n % 3]))
        assert track(out) is out


def test_batches_keep_their_coder_through_the_chain(pipeline, mono_rows) -> None:
    with pipeline() as root:
        rows = tracked(root, mono_rows(2)) | MapBatches(upper, "Upper")
        rows = rows | FilterBatches(partial(drop_multiples, of=3), "DropThirds")
        assert rows.kept.element_type is pa.RecordBatch
        # Of any type, they would be pickled, with the whole parent of a slice.
        assert [of_step.element_type for of_step in rows.rejects] == [pa.RecordBatch]
        assert [of_step.element_type for of_step in rows.counters] == [pa.RecordBatch]


def doubled(batch: pa.RecordBatch) -> Filtered:
    twice = pa.concat_batches([batch, batch])
    return split_rejects(twice, np.arange(twice.num_rows) > 0, rule="first/1", value=0.0)


def test_rows_made_of_rows_are_expected_of_each_of_them(pipeline, mono_rows) -> None:
    with pipeline() as root:
        once = tracked(root, mono_rows(8)) | FilterBatches(doubled, "Double", outputs_per_row=2)
        twice = once | "Label" >> FilterBatches(doubled, "DoubleAgain", outputs_per_row=2)
        thrice = twice | "Third" >> FilterBatches(doubled, "DoubleMore", outputs_per_row=2)
        assert_that(once.read, equal_to([16]), label="once")
        assert_that(twice.read, equal_to([32]), label="twice")
        assert_that(thrice.read, equal_to([64]), label="thrice")


def failing(batch: pa.RecordBatch) -> pa.RecordBatch:
    raise ArithmeticError(f"no kernel for line {lines(batch)[0]}")


def test_a_kernel_that_fails_ends_the_run(pipeline, mono_rows) -> None:
    with pytest.raises(Exception, match="no kernel for line 1"), pipeline() as root:
        _ = root | beam.Create([mono_rows(3)]) | MapBatches(failing, "Fail")
