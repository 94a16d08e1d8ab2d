from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.arrays import check_share, list_offsets, offsets_of, replace_columns, rows_of
from bitextile.schema.errors import ConfigError

LISTS = st.lists(st.none() | st.lists(st.integers(-5, 5), max_size=3), max_size=6)


@given(st.lists(st.integers(0, 5), max_size=8))
def test_offsets_and_rows_describe_the_same_lists(lengths: list[int]) -> None:
    offsets = offsets_of(np.array(lengths, np.int32))
    assert offsets.dtype == np.int64
    assert np.diff(offsets).tolist() == lengths
    assert rows_of(offsets).tolist() == [r for r, n in enumerate(lengths) for _ in range(n)]


def test_offsets_of_flags_count_the_true_ones() -> None:
    assert offsets_of(np.array([True, False, True])).tolist() == [0, 1, 1, 2]


@given(LISTS, st.data())
def test_list_offsets_cut_the_flat_items_of_a_slice(lists: list, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(lists)))
    column = pa.array(lists, pa.list_(pa.int64()))[start:]
    offsets, items = list_offsets(column), column.flatten().to_pylist()
    cut = [items[low:high] for low, high in pairwise(offsets)]
    assert cut == [row or [] for row in lists[start:]]


def test_replaced_columns_keep_their_place_and_the_others() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["a", "b"], "text": ["x", "犬"]})
    new = replace_columns(batch, {"id": pa.array(["c", "d"])})
    assert new.schema == batch.schema
    assert new.to_pydict() == {"id": ["c", "d"], "text": ["x", "犬"]}


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_share_may_be_zero_and_one(value: float) -> None:
    check_share("rate", value)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_no_share_lies_outside(value: float) -> None:
    with pytest.raises(ConfigError, match=r"^rate is .*, expected a share from 0 to 1$"):
        check_share("rate", value)
