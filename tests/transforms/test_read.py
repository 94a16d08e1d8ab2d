"""Datasets and task files read on workers: every row once, and how many were read."""

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from apache_beam.testing.util import assert_that, equal_to

from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import MONO
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.read import ReadDataset, ReadTaskSentences
from bitextile.transforms.write import WriteDataset


@pytest.fixture
def dataset(pipeline, mono_rows, tmp_path) -> str:
    """Eighteen sentences, every third of them of split test."""
    batch = mono_rows(18)
    splits = pa.array(["train", "test", "valid"] * 6)
    batch = batch.set_column(
        batch.schema.get_field_index("split"), MONO.schema.field("split"), splits
    )
    path = str(tmp_path / "mono")
    with pipeline() as root:
        rows, read = root | beam.Create([batch]), root | "Read" >> beam.Create([18])
        _ = TrackedRows(rows, (), read) | WriteDataset(path, MONO, max_shard_rows=8)
    return path


def lines(tracked: TrackedRows) -> beam.PCollection:
    return tracked.kept | "Lines" >> beam.FlatMap(lambda batch: batch["line"].to_pylist())


def test_all_rows_are_read_and_counted(pipeline, dataset) -> None:
    with pipeline() as root:
        tracked = root | ReadDataset(open_dataset(dataset, MONO), batch_rows=4)
        assert_that(lines(tracked), equal_to(range(1, 19)))
        assert_that(tracked.read, equal_to([18]), "read")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_counts_its_own_rows_alone(pipeline, dataset, split) -> None:
    table = open_dataset(dataset, MONO).table()
    want = table.filter(pc.equal(table["split"], split))["line"].to_pylist()
    assert len(want) == 6
    with pipeline() as root:
        tracked = root | ReadDataset(open_dataset(dataset, MONO), batch_rows=4, split=split)
        assert_that(lines(tracked), equal_to(want))
        assert_that(tracked.read | beam.CombineGlobally(sum), equal_to([6]), "read")
        assert_that(tracked.kept | beam.Filter(lambda b: not b.num_rows), equal_to([]), "filled")


def test_fields_of_a_task_file_are_sentences(pipeline, tmp_path) -> None:
    path = tmp_path / "task.tsv"
    path.write_text("a\tb\tyes\nb\tNS\tno\n", encoding="utf-8")
    with pipeline() as root:
        tracked = root | ReadTaskSentences(str(path), "en")
        texts = tracked.kept | beam.FlatMap(lambda batch: batch["text"].to_pylist())
        assert_that(texts, equal_to(["a", "b"]))
        rules = tracked.rejects[0] | "Rules" >> beam.FlatMap(lambda b: b["rule"].to_pylist())
        assert_that(rules, equal_to(["no_sentence/1", "duplicate/1"]), "rules")
        assert_that(tracked.read, equal_to([4]), "read")
