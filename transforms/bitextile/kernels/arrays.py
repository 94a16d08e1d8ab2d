"""Array types that signatures name, and the arithmetic of offsets that all kernels share.

A column of n lists is one flat array of items and n + 1 offsets into it:

    [a b] [] [c]   ->   items [a b c]   lengths [2 0 1]   offsets [0 2 2 3]   rows [0 0 2]
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.schema.errors import ConfigError

Bool = npt.NDArray[np.bool_]
I8 = npt.NDArray[np.int8]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]


def offsets_of(lengths: Ints | Bool) -> I64:
    """Returns [n + 1] offsets of n adjacent lists.

    >>> offsets_of(np.array([2, 0, 1])).tolist()
    [0, 2, 2, 3]
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def list_offsets(lists: pa.ListArray) -> I64:
    """Returns the [n + 1] offsets of a list column into its `flatten()`; works on slices too.

    >>> list_offsets(pa.array([[7], [7, 8], None, [9]])[1:]).tolist()
    [0, 2, 2, 3]
    """
    # Not `lists.offsets`: those of a slice begin anywhere, and a null may lie over items, while
    # `flatten` has neither.
    return offsets_of(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))


def rows_of(offsets: Ints) -> I64:
    """Returns the row of each item of lists with these offsets.

    >>> rows_of(np.array([0, 2, 2, 3])).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def replace_columns(batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Returns the batch with some columns replaced by others of the same type.

    >>> batch = pa.RecordBatch.from_pydict({"lang": ["ar"], "text": [" مرحبا"]})
    >>> replace_columns(batch, {"text": pa.array(["مرحبا"])}).to_pylist()
    [{'lang': 'ar', 'text': 'مرحبا'}]
    """
    arrays = [columns.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def check_share(name: str, value: float) -> None:
    """Raises ConfigError unless option `name` lies in 0 to 1."""
    # Asked for what is right, so that a NaN is refused too.
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value}, expected a share from 0 to 1")
