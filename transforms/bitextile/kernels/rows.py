"""Rows as a RecordBatch, from whatever table a caller has."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Union

import pyarrow as pa

from bitextile.schema.errors import InputError, SchemaError
from bitextile.schema.kinds import KINDS, REJECTS, Kind

if TYPE_CHECKING:
    import pandas

Tabular = Union[pa.RecordBatch, pa.Table, "pandas.DataFrame"]
"""What kernels take for rows."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def as_batch(rows: Tabular) -> pa.RecordBatch:
    """Returns rows as one RecordBatch; a RecordBatch is returned as it is.

    Args:
        rows: a RecordBatch, a Table, or a pandas DataFrame with the columns of a dataset kind.

    Raises:
        InputError: something else, or a Table whose text does not fit one batch (2 GiB a column).
        SchemaError: a DataFrame has the columns of no kind, or other types.

    >>> as_batch(pa.table({"lang": ["de", "ar"]})).num_rows
    2
    """
    if isinstance(rows, pa.RecordBatch):
        return rows
    if isinstance(rows, pa.Table):
        batches = rows.replace_schema_metadata().combine_chunks().to_batches()
        if len(batches) > 1:
            raise InputError(
                f"a table of {rows.num_rows:,} rows does not fit one batch, since a column holds "
                "more than 2 GiB; pass its `to_batches()` one by one"
            )
        return batches[0] if batches else pa.RecordBatch.from_pylist([], rows.schema)
    # By name: pandas is no dependency, and importing it takes half a second.
    if type(rows).__module__.split(".")[0] == "pandas" and hasattr(rows, "columns"):
        return _of_frame(rows)
    raise InputError(
        f"rows are {type(rows).__name__}, expected a pyarrow RecordBatch or Table or a pandas "
        "DataFrame; `pyarrow.RecordBatch.from_pylist` makes one of a list of dicts"
    )


def takes_tables(
    kernel: Callable[Concatenate[pa.RecordBatch, _P], _R],
) -> Callable[Concatenate[Tabular, _P], _R]:
    """Decorates a kernel, so that its first argument may be any of `Tabular`."""

    @wraps(kernel)
    def taking_tables(batch: Tabular, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return kernel(as_batch(batch), *args, **kwargs)

    return taking_tables


def _of_frame(frame: Any) -> pa.RecordBatch:
    # pandas has no types for lists of structs, so they come from the kind.
    kind = _kind_of([str(name) for name in frame.columns])
    known = set(kind.schema.names)
    others = [name for name in frame.columns if name not in known]
    extra = pa.Schema.from_pandas(frame[others], preserve_index=False) if others else []
    schema = pa.schema([*kind.schema, *extra])
    try:
        # By a table, as pandas may hold strings in several chunks.
        return as_batch(pa.Table.from_pandas(frame, schema, preserve_index=False))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(
            f"the DataFrame's values do not fit kind {kind.name}: {error}; compare with "
            "`to_pandas()` of a dataset of that kind"
        ) from error


def _kind_of(names: list[str]) -> Kind:
    """Returns the kind with the most columns that all are among `names`."""
    fitting = [
        kind
        for kind in (*KINDS.values(), REJECTS)
        if set(kind.schema.names) <= set(names)
        and (kind.extensible or len(kind.columns) == len(names))
    ]
    if not fitting:
        raise SchemaError(
            f"the DataFrame has columns {', '.join(names)}, which are those of no dataset kind "
            f"({', '.join(KINDS)}); kinds.py lists the columns of each"
        )
    return max(fitting, key=lambda kind: len(kind.columns))
