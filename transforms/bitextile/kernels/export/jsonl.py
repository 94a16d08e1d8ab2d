"""JSON lines: every column of a row as an object on one line."""

import json

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.export.columns import Columns, sides_of_key
from bitextile.kernels.export.lists import relist


def jsonl_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns each row as a JSON object on one line.

    Args:
        key: the language pair of every row.
        batch: rows of kind `pairs` or `aligned`.
    """
    sides_of_key(key, batch)
    columns = [_shortest_floats(column) for column in batch.columns]
    rows = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
    # Python would write NaN and Infinity, which are no JSON; `_shortest_floats` has made them null.
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    return {f"{key}.jsonl": pa.array(lines, pa.string())}


def _shortest_floats(column: pa.Array) -> pa.Array:
    """Returns the column with each float32 as the float64 of its shortest decimal, or null.

    That is 0.9, not 0.8999999761581421: the same float32 when read back.
    """
    if pa.types.is_float32(column.type):
        # Arrow prints the shortest decimal that reads back as the same float32; as float64 that
        # decimal is what `json` prints.
        finite = pc.if_else(pc.is_finite(column), column, None)
        return pc.cast(pc.cast(finite, pa.string()), pa.float64())
    if pa.types.is_list(column.type):
        return relist(column, _shortest_floats(column.flatten()))
    if pa.types.is_struct(column.type):
        names = [field.name for field in column.type]
        return pa.StructArray.from_arrays(
            [_shortest_floats(column.field(name)) for name in names], names=names
        )
    return column
