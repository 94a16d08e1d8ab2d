"""Parquet: texts by column name, also inside a column `translation`.

What a row group unpacks to is known before any of it is unpacked (`parquet_pages`), and decides
how many rows are read at once.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bitextile.kernels.readers.archives import archive_member
from bitextile.kernels.readers.expansion import Expansion
from bitextile.kernels.readers.jsonl import NESTED
from bitextile.kernels.readers.lines import decode_line
from bitextile.kernels.readers.parquet_pages import content_of
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow, join_sides
from bitextile.kernels.rejects import SHOWN_CHARS
from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

_BATCH_ROWS = 8_192
_BATCH_BYTES = 32 << 20
_MAX_PAGE_BYTES = 100_000_000
"""A page is unpacked whole. Arrow's are of 1 MB, DuckDB's of no more than this."""
_MAX_CELL_BYTES = 1 << 20
_ROW_BYTES = 8
"""What a row without text counts for where it is asked how much a file unpacks to."""
Path = tuple[str, ...]
"""Of a column: the names from the outermost to that of the text."""


def read_parquet(source: CorpusSource) -> Iterator[Row]:
    """Reads the columns of a Parquet file that hold the texts.

    A name is that of a column, a path such as `translation.de`, or of a field of `translation`.

    Raises:
        InputError: it is missing, damaged or no Parquet, has no such column, or unpacks to far more
            than it is.
    """
    file = source.files[0]
    if archive_member(file)[1]:
        raise InputError(f"{file}: Parquet is not read inside an archive; unpack it")
    try:
        filesystem_, place = filesystem(file)
        stream = filesystem_.open_input_file(place)
        # With a buffer a column chunk is read as it is unpacked, not as a whole.
        with pq.ParquetFile(stream, buffer_size=1 << 20) as parquet:
            schema = parquet.schema_arrow
            paths = [_find(str(column), schema, file) for column in source.columns]
            yield from _rows(parquet, stream, paths, file)
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; check its name") from error
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names not UTF-8
        raise InputError(f"{file}: not readable as Parquet ({error}); fetch it again") from error


PARQUET = Format(name="parquet", read=read_parquet, endings=(".parquet",), columns="names")


def _rows(
    parquet: pq.ParquetFile, stream: pa.NativeFile, paths: Sequence[Path], file: str
) -> Iterator[Row]:
    schema = parquet.schema_arrow
    names = list(dict.fromkeys(_read_as(path, schema) for path in paths))
    expansion = Expansion(file, stream.size())
    for group in range(parquet.num_row_groups):
        rows = _rows_at_once(parquet, stream, group, names, file)
        for batch in parquet.iter_batches(rows, row_groups=[group], columns=names):
            expansion.add(max(batch.get_total_buffer_size(), batch.num_rows * _ROW_BYTES))
            yield from map(_row, zip(*(_cells(_inner(batch, path)) for path in paths)))


def _read_as(path: Path, schema: pa.Schema) -> str:
    """Returns what names a column to Arrow: of a map all of it, else the text alone."""
    return path[0] if pa.types.is_map(schema.field(path[0]).type) else ".".join(path)


def _rows_at_once(
    parquet: pq.ParquetFile, stream: pa.NativeFile, group: int, names: Sequence[str], file: str
) -> int:
    """Returns how many rows of a row group fit in a batch.

    Raises:
        InputError: a page is too large, or the row group unpacks to far more than it is.
    """
    metadata, rows = parquet.metadata.row_group(group), _BATCH_ROWS
    for number in range(metadata.num_columns):
        chunk = metadata.column(number)
        path = chunk.path_in_schema
        if not any(path == name or path.startswith(f"{name}.") for name in names):
            continue
        content = content_of(stream, chunk)
        if content.largest_page > _MAX_PAGE_BYTES:
            raise InputError(
                f"{file}: column {path} has a page of {content.largest_page:,} bytes, which is "
                f"read at once; write it with pages of at most {_MAX_PAGE_BYTES:,}"
            )
        longest = max(content.longest, _ROW_BYTES)
        if content.shares_beginnings:
            # No page says how long these get; what they come to is counted as they are read.
            longest = max(longest, content.largest_page)
        else:
            Expansion(f"{file}: column {path}", content.packed).add(content.values * longest)
        rows = min(rows, max(1, _BATCH_BYTES // longest))
    return rows


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
    """Returns a column's values; what is no text in UTF-8, or too long, as an UnreadableRow."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        column = column.cast(kind)
        if (pc.max(pc.binary_length(column)).as_py() or 0) > _MAX_CELL_BYTES:
            return [_cell(cell) for cell in column.cast(pa.large_binary())]
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_cell(cell) for cell in column.cast(pa.large_binary())]


def _cell(cell: pa.LargeBinaryScalar) -> str | UnreadableRow | None:
    if not cell.is_valid:
        return None
    buffer = cell.as_buffer()
    if buffer.size > _MAX_CELL_BYTES:
        got = f"a text of more than {_MAX_CELL_BYTES} bytes"
        start = buffer.slice(0, 4 * SHOWN_CHARS).to_pybytes()
        shown = start.decode(errors="backslashreplace")[:SHOWN_CHARS]
        return UnreadableRow("cell_bytes/1", buffer.size, got, shown)
    return decode_line(buffer.to_pybytes())


def _row(row: tuple[Any, ...]) -> Row:
    if all(isinstance(cell, str | UnreadableRow) for cell in row):
        return join_sides(row)
    found = sum(isinstance(cell, str) for cell in row)
    return UnreadableRow("missing_columns/1", found, "a null or no text", str(row))
