"""Comma-separated values: cells in quotes where needed, columns by the names in the first row."""

import csv
import itertools
from collections.abc import Iterator

from bitextile.kernels.readers.lines import text_lines
from bitextile.kernels.readers.source import CorpusSource, Format, Located, UnreadableRow
from bitextile.kernels.readers.tables import Line, column_numbers, quoted_records, table_rows
from bitextile.schema.errors import InputError

_DELIMITERS = ",;\t|"
"""Spreadsheets write semicolons where a comma stands between the digits of a number."""


def read_csv(source: CorpusSource) -> Iterator[Located]:
    """Reads the columns of a table that hold the texts.

    The delimiter is the first of comma, semicolon, tab and bar by which the first line has them.
    """
    lines = text_lines(source.files[0], source.encoding)
    head = list(itertools.islice(lines, 1))
    delimiter = next((_delimiter(source, line) for line in head), _DELIMITERS[0])
    return table_rows(source, quoted_records(itertools.chain(head, lines), delimiter))


CSV = Format(
    name="csv",
    read=read_csv,
    endings=(".csv",),
    columns="names",
    options=("encoding", "header"),
)


def _delimiter(source: CorpusSource, first: Line) -> str:
    if isinstance(first, UnreadableRow):
        return _DELIMITERS[0]
    return next((d for d in _DELIMITERS if _has_columns(source, first, d)), _DELIMITERS[0])


def _has_columns(source: CorpusSource, first: str, delimiter: str) -> bool:
    try:
        cells = next(csv.reader([first], delimiter=delimiter), [])
        return max(column_numbers(source, cells if source.header else [])) < len(cells)
    except (csv.Error, InputError):
        return False
