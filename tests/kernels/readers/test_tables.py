"""Rows of tables: quotes, line ends inside cells, stray quotes, columns by name."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.readers.source import UnreadableRow
from bitextile.kernels.readers.tables import column_numbers, quoted_records, split_records
from bitextile.schema.errors import InputError
from corpus_files import source

CELL = st.text(st.sampled_from('ab",;\t\nкصह'), max_size=6)


@given(st.lists(st.lists(CELL, min_size=2, max_size=4), max_size=6), st.sampled_from(",;\t"))
def test_what_the_csv_module_writes_comes_back(rows: list[list[str]], delimiter: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(rows)
    text = written.getvalue()
    records = list(quoted_records(text.split("\n")[:-1], delimiter))
    assert [record.cells for record in records] == rows
    lines = [1]
    for row in rows:
        lines.append(lines[-1] + 1 + sum(cell.count("\n") for cell in row))
    assert [record.line for record in records] == lines[:-1]


@given(st.lists(st.text(st.sampled_from('ab",'), max_size=9), max_size=60))
def test_no_line_is_lost_whatever_its_quotes(lines: list[str]) -> None:
    starts = [record.line for record in quoted_records(lines, ",")]
    bad = [r.line for r in quoted_records(lines, ",") if isinstance(r.cells, UnreadableRow)]
    assert starts == sorted(set(starts))
    assert all(line + 1 in starts or line == len(lines) for line in bad)


def test_a_stray_quote_costs_one_row() -> None:
    lines = ["a,b", '"open,b', *(f"{i},x" for i in range(99))]
    records = list(quoted_records(lines, ","))
    assert [record.line for record in records] == list(range(1, 102))
    assert [isinstance(record.cells, UnreadableRow) for record in records].count(True) == 1


def test_a_quote_inside_a_cell_is_text_and_one_after_a_cell_is_an_error() -> None:
    first, second = quoted_records(['5" disk,x', '"a"b,x'], ",")
    assert first.cells == ['5" disk', "x"]
    assert isinstance(second.cells, UnreadableRow)


def test_a_line_that_cannot_be_read_ends_the_cell_it_is_in() -> None:
    bad = UnreadableRow("invalid_utf8/1", 0, "byte 0xff at 0", "?")
    found = [record.cells for record in quoted_records(['"a', bad, "b,c"], ",")]
    assert isinstance(found[0], UnreadableRow)
    assert found[1:] == [bad, ["b", "c"]]


def test_quotes_are_text_where_they_are_not_asked_for() -> None:
    assert [r.cells for r in split_records(['"a\tb"'], "\t")] == [['"a', 'b"']]


@pytest.mark.parametrize(
    ("columns", "header", "expected"),
    [
        ((1, 0), [], [1, 0]),
        (("ar", "en"), ["en", "ar"], [1, 0]),
        (("ar", "en"), [" EN", "x", "Ar "], [2, 0]),
        (("1", "0"), ["0", "1"], [1, 0]),
        ((1, 2), ["", "0", "1"], [1, 2]),
        (("0", "1"), ["en", "ar"], [0, 1]),
    ],
)
def test_columns_by_name_and_by_number(columns, header: list[str], expected: list[int]) -> None:
    assert column_numbers(source(Path(), "t", columns=columns), header) == expected


def test_a_name_that_is_not_in_the_header_is_refused_with_the_header() -> None:
    with pytest.raises(InputError, match=r"no column 'ar'; its header is en, de: give `columns`"):
        column_numbers(source(Path(), "t", columns=("en", "ar")), ["en", "de"])
