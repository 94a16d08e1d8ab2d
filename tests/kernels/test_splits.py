"""Splits: drawn by id alone, in the shares asked for, independent of shards; given ones stay."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.sharding import record_hash, split_by_bucket
from bitextile.kernels.splits import SplitConfig, assign_splits
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO

N = 30_000


def rows(n: int, split: str = "") -> pa.RecordBatch:
    texts = pa.array([f"جملة {i}" for i in range(n)], pa.string())
    columns = {
        "text_id": text_ids("ar", texts),
        "lang": pa.repeat("ar", n),
        "text": texts,
        "corpus": pa.repeat("c", n),
        "file": pa.repeat("f", n),
        "line": pa.array(range(1, n + 1), pa.int64()),
        "split": pa.repeat(split, n),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=MONO.schema)


ROWS = rows(N)


def share(batch: pa.RecordBatch, split: str) -> float:
    return batch.column("split").to_pylist().count(split) / batch.num_rows


@pytest.mark.parametrize(("valid", "test"), [(0.01, 0.01), (0.1, 0.3), (0.0, 0.05), (0.2, 0.0)])
@pytest.mark.parametrize("seed", [0, 7])
def test_shares_are_within_three_sigma(valid: float, test: float, seed: int) -> None:
    out = assign_splits(ROWS, config=SplitConfig(valid=valid, test=test, seed=seed))
    for split, p in (("valid", valid), ("test", test), ("train", 1 - valid - test)):
        assert abs(share(out, split) - p) <= 3 * np.sqrt(p * (1 - p) / N)


def test_shares_are_the_same_in_every_shard() -> None:
    out = assign_splits(ROWS, config=SplitConfig(valid=0.3, test=0.1))
    for _, shard in split_by_bucket(out, record_hash(out, MONO), 8):
        sigma = np.sqrt(0.3 * 0.7 / shard.num_rows)
        assert abs(share(shard, "valid") - 0.3) < 4 * sigma


def test_another_seed_draws_another_split() -> None:
    a, b = (assign_splits(ROWS, config=SplitConfig(valid=0.5, test=0, seed=s)) for s in (0, 1))
    same = np.mean(np.array(a.column("split")) == np.array(b.column("split")))
    assert abs(same - 0.5) < 4 * np.sqrt(0.25 / N)


@given(st.permutations(range(10)), st.integers(0, 10))
def test_a_row_is_drawn_by_itself(order, cut: int) -> None:
    config = SplitConfig(valid=0.3, test=0.3)
    batch = ROWS.slice(5, 10)
    whole = assign_splits(batch, config=config)
    assert assign_splits(batch.take(pa.array(order)), config=config).equals(
        whole.take(pa.array(order))
    )
    parts = [assign_splits(p, config=config) for p in (batch.slice(0, cut), batch.slice(cut))]
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([whole]))


def test_a_split_that_is_given_stays_and_nothing_else_changes() -> None:
    config = SplitConfig(valid=0.5, test=0.4)
    given_split = rows(50, "train")
    assert assign_splits(given_split, config=config).equals(given_split)
    mixed = pa.concat_batches([rows(50), given_split])
    out = assign_splits(mixed, config=config)
    assert out.drop_columns("split").equals(mixed.drop_columns("split"))
    assert "" not in out.column("split").to_pylist()
    assert set(out.column("split").to_pylist()[50:]) == {"train"}


def test_no_rows_are_split_into_none() -> None:
    assert assign_splits(rows(0), config=SplitConfig()).num_rows == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid": -0.1},
        {"test": -0.1},
        {"valid": 0.5, "test": 0.5},
        {"valid": 1.0},
        {"valid": float("nan")},
        {"test": float("nan")},
    ],
)
def test_shares_that_leave_nothing_to_train_on_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=r"^splits: valid .* expected shares of at least 0"):
        SplitConfig(**wrong)
