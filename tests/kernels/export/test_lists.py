import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.export.lists import join_items, relist


@given(st.lists(st.lists(st.integers(0, 99), max_size=3), max_size=6), st.integers(0, 6))
def test_items_stay_in_their_lists_of_a_slice_too(rows, start):
    lists = pa.array(rows, pa.list_(pa.int32()))[start:]
    words = pa.array([str(item) for row in rows[start:] for item in row], pa.string())
    assert relist(lists, words).to_pylist() == [[str(i) for i in row] for row in rows[start:]]
    assert join_items(lists, words).to_pylist() == [" ".join(map(str, r)) for r in rows[start:]]
