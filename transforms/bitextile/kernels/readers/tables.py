"""Rows of tables: which cells hold the texts, and cells in quotes."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bitextile.kernels.readers.source import CorpusSource, Located, Row, UnreadableRow
from bitextile.schema.errors import InputError

Line = str | UnreadableRow

_MAX_RECORD_LINES = 32
"""Lines of a quoted row at most: after a stray quote the rest of a file would be one cell."""
_MAX_RECORD_CHARS = 1 << 20


class Record(NamedTuple):
    """A row of a table: the line it begins at, as it is written, and its cells."""

    line: int
    raw: str
    cells: list[str] | UnreadableRow


def split_records(lines: Iterable[Line], delimiter: str) -> Iterator[Record]:
    r"""Yields the cells of each line; quotes are text.

    >>> next(split_records(['"犬\tdog'], "\t")).cells
    ['"犬', 'dog']
    """
    for number, line in enumerate(lines, start=1):
        if isinstance(line, UnreadableRow):
            yield Record(number, line.raw, line)
        else:
            yield Record(number, line, line.split(delimiter))


def quoted_records(lines: Iterable[Line], delimiter: str) -> Iterator[Record]:
    r"""Yields the cells of each row; a cell in quotes may hold delimiters, line ends and quotes.

    A row with a quote that does not end, or ends inside a cell, is unreadable as far as its first
    line; the lines after it are read anew, so that one stray quote costs one row.

    Args:
        lines: of a file, without their ends.
        delimiter: between cells.

    Source: Python's module csv, dialect «excel» with `strict`.

    >>> lines = ['"Ja, ""gern"".",да', '"zwei', 'Zeilen",две', '"offen,да', "klar,да"]
    >>> [r.cells if isinstance(r.cells, list) else r.cells.rule for r in quoted_records(lines, ",")]
    [['Ja, "gern".', 'да'], ['zwei\nZeilen', 'две'], 'invalid_quotes/1', ['klar', 'да']]
    """
    numbered, again = enumerate(lines, start=1), deque[tuple[int, Line]]()
    while found := again.popleft() if again else next(numbered, None):
        number, line = found
        if isinstance(line, UnreadableRow):
            yield Record(number, line.raw, line)
        elif '"' not in line:
            yield Record(number, line, line.split(delimiter))
        else:
            more: list[tuple[int, Line]] = []
            rest = _rest_of_record(line, numbered, again, more)
            try:
                cells = next(csv.reader(rest, delimiter=delimiter, strict=True))
                yield Record(number, line, cells)
            except csv.Error as error:
                bad = UnreadableRow("invalid_quotes/1", 0.0, f"quotes: {error}", line)
                if "field limit" in str(error):
                    chars = len(line) + sum(len(text) for _, text in more if isinstance(text, str))
                    got = f"a cell in quotes of more than {csv.field_size_limit()} characters"
                    bad = UnreadableRow("cell_chars/1", chars, got, line)
                yield Record(number, line, bad)
                again.extendleft(reversed(more))


def _rest_of_record(
    line: str,
    numbered: Iterator[tuple[int, Line]],
    again: deque[tuple[int, Line]],
    more: list[tuple[int, Line]],
) -> Iterator[str]:
    """Yields a row's first line and those after it, which are noted in `more`."""
    chars = len(line)
    yield line + "\n"
    while len(more) < _MAX_RECORD_LINES - 1 and chars <= _MAX_RECORD_CHARS:
        found = again.popleft() if again else next(numbered, None)
        if found is None:
            return
        more.append(found)
        if isinstance(found[1], UnreadableRow):
            return
        chars += len(found[1])
        yield found[1] + "\n"


def table_rows(source: CorpusSource, records: Iterator[Record]) -> Iterator[Located]:
    """Yields the texts of each record.

    Args:
        source: whose `columns` are names in the header or numbers, and whose `header` says whether
            the first record holds names.
        records: of the file.

    Raises:
        InputError: the header has no column of that name.
    """
    header: list[str] = []
    if source.header:
        cells = next(records, Record(1, "", [])).cells
        header = [] if isinstance(cells, UnreadableRow) else cells
    wanted = column_numbers(source, header)
    for record in records:
        yield Located(record.line, _row(record, wanted, len(header)))


def _row(record: Record, wanted: Sequence[int], columns: int) -> Row:
    cells, least = record.cells, max(wanted) + 1
    if isinstance(cells, UnreadableRow):
        return cells
    if len(cells) < least:
        got = f"{len(cells)} columns, expected at least {least}"
        return UnreadableRow("missing_columns/1", len(cells), got, record.raw)
    if columns and len(cells) > columns:
        got = f"{len(cells)} columns, expected the {columns} of the header"
        return UnreadableRow("extra_columns/1", len(cells), got, record.raw)
    return tuple(cells[column] for column in wanted)


def column_numbers(source: CorpusSource, header: Sequence[str]) -> list[int]:
    """Returns the 0-based numbers of the columns that hold the texts.

    Args:
        source: numbers them, or names them as the header does, whatever the case.
        header: names, empty without a header.

    Raises:
        InputError: a name is not in the header.
    """
    folded = [name.strip().casefold() for name in header]
    found = [_column_number(column, header, folded) for column in source.columns]
    if -1 in found:
        missing = source.columns[found.index(-1)]
        names = ", ".join(header) or "empty"
        raise InputError(
            f"{source.files[0]}: no column {missing!r}; its header is {names}: give `columns` the "
            "names that hold the text, or numbers from 0"
        )
    return found


def _column_number(column: str | int, header: Sequence[str], folded: Sequence[str]) -> int:
    if isinstance(column, int):
        return column
    if column in header:
        return header.index(column)
    if column.casefold() in folded:
        return folded.index(column.casefold())
    return int(column) if column.isdecimal() else -1
