"""Parquet: texts by column name."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bitextile.kernels.readers.lines import decode_line
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow, join_sides
from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

_BATCH_ROWS = 8_192


def read_parquet(source: CorpusSource) -> Iterator[Row]:
    """Reads the columns of a Parquet file that hold the texts."""
    file = source.files[0]
    try:
        filesystem_, path = filesystem(file)
        with pq.ParquetFile(filesystem_.open_input_file(path)) as parquet:
            missing = [c for c in source.columns if c not in parquet.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{file}: no column {missing[0]!r}; it has "
                    f"{', '.join(parquet.schema_arrow.names)}: name those that hold the text"
                )
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(source.columns)):
                for row in zip(*(_cells(batch.column(c)) for c in source.columns)):
                    yield _row(row)
    except (pa.ArrowInvalid, FileNotFoundError, OSError) as error:
        raise InputError(f"{file}: not readable as Parquet ({error})") from error


PARQUET = Format(name="parquet", read=read_parquet, endings=(".parquet",), columns="names")


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
