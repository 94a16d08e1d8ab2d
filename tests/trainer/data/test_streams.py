"""A stream gives each row of its split once per epoch, to any number of readers, from anywhere."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitextile.schema.shards as shards
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import DatasetError
from bitextile.trainer.data.streams import DatasetStream, split_rows

COLUMNS = ("pair_id", "src")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_dataset):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "ROW_GROUP_ROWS", 7)  # several windows from few rows
        path = make_dataset(tmp_path_factory.mktemp("s") / "pairs", "pairs", rows=170, shards=3)
    return open_dataset(path)


@pytest.fixture(scope="module")
def train_ids(dataset):
    table = dataset.table()
    return {
        i
        for i, s in zip(*(table.column(c).to_pylist() for c in ("pair_id", "split")))
        if s == "train"
    }


def stream(dataset, split="train", seed=3) -> DatasetStream:
    return DatasetStream(dataset, "ar-en", COLUMNS, seed, split)


def ids(rows) -> list[str]:
    return rows.table.column("pair_id").to_pylist()


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_readers_together_meet_each_row_once_per_epoch(dataset, train_ids, readers):
    seen: dict[int, Counter] = {0: Counter(), 1: Counter()}
    for reader in range(readers):
        # Rows enough for three epochs, so that the first two are whole, whichever reader is behind.
        rows = stream(dataset).take(0, 3 * len(train_ids) // readers, offset=reader, stride=readers)
        for record, epoch in zip(ids(rows), rows.epochs.tolist()):
            seen.setdefault(epoch, Counter())[record] += 1
    assert set(seen[0]) == train_ids
    assert set(seen[0].values()) == {1}
    assert set(seen[1]) == train_ids
    assert set(seen[1].values()) == {1}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 250), st.integers(1, 60), st.integers(1, 3))
def test_any_position_continues_the_same_sequence(dataset, behind, count, stride):
    whole = stream(dataset).take(0, behind + count, offset=0, stride=stride)
    position = int(whole.after[behind - 1]) if behind else 0
    rest = stream(dataset).take(position, count, offset=0, stride=stride)
    assert ids(rest) == ids(whole)[behind:]
    assert rest.after.tolist() == whole.after[behind:].tolist()
    assert rest.epochs.tolist() == whole.epochs[behind:].tolist()


def test_shards_without_rows_are_no_hindrance(tmp_path, make_dataset):
    path = make_dataset(tmp_path / "pairs", "pairs", rows=5, shards=9)
    few = open_dataset(path)
    assert 0 in [s.rows for s in few.manifest.shards]
    rows = stream(few, split=None).take(0, 10, offset=0, stride=1)
    # Ten rows are two epochs of five, across shards of which some are empty.
    assert sorted(ids(rows)) == sorted(few.table().column("pair_id").to_pylist() * 2)


def test_another_seed_is_another_order(dataset):
    one, two = (stream(dataset, seed=s).take(0, 40, offset=0, stride=1) for s in (1, 2))
    assert ids(one) != ids(two)


def test_a_split_without_rows_is_refused(dataset):
    with pytest.raises(DatasetError, match="key ar-en has no row of split 'dev'"):
        stream(dataset, split="dev").take(0, 1, offset=1, stride=3)


def test_no_split_takes_every_row(dataset):
    rows = stream(dataset, split=None).take(0, dataset.manifest.rows, offset=0, stride=1)
    assert sorted(ids(rows)) == sorted(dataset.table().column("pair_id").to_pylist())


def test_split_rows_are_of_the_split_and_no_more_than_asked(dataset):
    rows = split_rows(dataset, "ar-en", ("pair_id",), split="valid", limit=5)
    assert rows.num_rows == 5
    table = dataset.table()
    splits = dict(zip(*(table.column(c).to_pylist() for c in ("pair_id", "split"))))
    assert {splits[i] for i in rows.column("pair_id").to_pylist()} == {"valid"}
    assert split_rows(dataset, "ar-en", ("pair_id",), split="dev", limit=5) is None
