"""Parquet: texts by column name, also inside a column `translation`."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bitextile.kernels.readers.archives import archive_member
from bitextile.kernels.readers.jsonl import NESTED
from bitextile.kernels.readers.lines import decode_line
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow, join_sides
from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

_BATCH_ROWS = 8_192
Path = tuple[str, ...]
"""Of a column: the names from the outermost to that of the text."""


def read_parquet(source: CorpusSource) -> Iterator[Row]:
    """Reads the columns of a Parquet file that hold the texts.

    A name is that of a column, a path such as `translation.de`, or of a field of `translation`.
    """
    file = source.files[0]
    if archive_member(file)[1]:
        raise InputError(f"{file}: Parquet is not read inside an archive; unpack it")
    try:
        filesystem_, place = filesystem(file)
        with pq.ParquetFile(filesystem_.open_input_file(place)) as parquet:
            schema = parquet.schema_arrow
            paths = [_find(str(column), schema, file) for column in source.columns]
            outer = list(dict.fromkeys(path[0] for path in paths))
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=outer):
                for row in zip(*(_cells(_inner(batch, path)) for path in paths)):
                    yield _row(row)
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; check its name") from error
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names not UTF-8
        raise InputError(f"{file}: not readable as Parquet ({error}); fetch it again") from error


PARQUET = Format(name="parquet", read=read_parquet, endings=(".parquet",), columns="names")


def _find(name: str, schema: pa.Schema, file: str) -> Path:
    known = {path: kind for field in schema for path, kind in _paths(field)}
    for path in ((name,), tuple(name.split(".")), (NESTED, name)):
        kind = known.get(path)
        outer = known.get(path[:1])
        if kind is None and len(path) == 2 and outer is not None and pa.types.is_map(outer):
            return path
        if kind is not None and not pa.types.is_struct(kind):
            return path
    names = ", ".join(".".join(path) for path, kind in known.items() if not _is_outer(kind))
    raise InputError(f"{file}: no column {name!r}; it has {names}: name those that hold the text")


def _is_outer(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind)


def _paths(field: pa.Field, above: Path = ()) -> Iterator[tuple[Path, pa.DataType]]:
    path = (*above, field.name)
    yield path, field.type
    if pa.types.is_struct(field.type):
        for inner in field.type:
            yield from _paths(inner, path)


def _inner(batch: pa.RecordBatch, path: Path) -> pa.Array:
    column = batch.column(path[0])
    for name in path[1:]:
        if pa.types.is_map(column.type):
            column = pc.map_lookup(column, name, "first")
        else:
            column = pc.struct_field(column, name)
    return column


def _cells(column: pa.Array) -> list[Any]:
    """Returns a column's values; where its strings are not all UTF-8, each one by itself."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [cell if cell is None else decode_line(cell) for cell in raw]


def _row(row: tuple[Any, ...]) -> Row:
    if all(isinstance(cell, str | UnreadableRow) for cell in row):
        return join_sides(row)
    found = sum(isinstance(cell, str) for cell in row)
    return UnreadableRow("missing_columns/1", found, "a null or no text", str(row))
