"""Lists as text, and lists of other items in the same places."""

import pyarrow as pa
import pyarrow.compute as pc


def join_items(lists: pa.ListArray, items: pa.Array) -> pa.Array:
    """Returns the items, one per element of `lists`, joined by spaces within each list.

    >>> join_items(pa.array([[7, 8], [], [9]]), pa.array(["a", "b", "c"])).to_pylist()
    ['a b', '', 'c']
    """
    return pc.binary_join(relist(lists, items), " ")


def relist(lists: pa.ListArray, items: pa.Array) -> pa.ListArray:
    """Returns `items` cut into lists of the same lengths; right for a slice of an array too."""
    # Not `lists.offsets`: those of a slice do not begin at 0, while `flatten` gives its items only.
    lengths = pc.list_value_length(lists)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    return pa.ListArray.from_arrays(pc.cast(offsets, pa.int32()), items)
