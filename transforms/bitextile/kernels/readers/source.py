"""What a reader is given and what it yields: a corpus to read, rows, and rows it cannot read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class CorpusSource:
    """One corpus file (or two line-aligned ones) to read.

    Attributes:
        corpus: the name the recipe gives it.
        languages: BCP-47 tags: two of a bitext, one of monolingual text.
        files: paths; `archive.zip#member` or `archive.tar.gz#member` names a member of an archive.
        names: the same files as the recipe names them; what rows keep as their `file`.
        format: name of a format in `formats.FORMATS`.
        columns: one per language: of a table a name in its header or a 0-based number, of JSON
            lines and Parquet a name, or a path such as `translation.de`.
        header: whether the first row of a table holds names.
        quoted: whether cells of a TSV may stand in quotes.
        encoding: of text files without a byte order mark; empty for UTF-8.
        on_error: "fail" or "reject": what a part of a TMX file that is not well-formed does.
        split: given to every row; empty to let it be drawn.
    """

    corpus: str
    languages: tuple[str, ...]
    files: tuple[str, ...]
    names: tuple[str, ...]
    format: str
    columns: tuple[str | int, ...] = ()
    header: bool = False
    quoted: bool = False
    encoding: str = ""
    on_error: str = "fail"
    split: str = ""


class UnreadableRow(NamedTuple):
    """A row that cannot be read: the rule, what it measured, what was got, and the raw text."""

    rule: str
    value: float
    detail: str
    raw: str


Row = tuple[str, ...] | UnreadableRow
"""The texts of a row, one per language, or why it cannot be read."""


class Located(NamedTuple):
    """A row of a format whose rows are not lines: the line it begins at, from 1."""

    line: int
    row: Row


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format: how it is read, and what a recipe may say of it.

    Attributes:
        name: as a recipe's `format` gives it.
        read: yields the rows of a source. A row that is not Located has the line after that of the
            row before it; the first has line 1, or 2 after a header.
        endings: of file names that tell it, without the ending of a compression.
        files_per_bitext: files that hold the two sides of a parallel corpus.
        columns: what names a text's column where the recipe does not: "numbers" from 0, "names",
            or "none" if the format has its own way.
        options: fields of CorpusSource beyond the columns that the format reads.
    """

    name: str
    read: Callable[[CorpusSource], Iterator[Row | Located]]
    endings: tuple[str, ...] = ()
    files_per_bitext: int = 1
    columns: str = "none"
    options: tuple[str, ...] = ()


def join_sides(sides: tuple[Any, ...]) -> Row:
    r"""Returns the sides of a row as one; unreadable if one is, with the raw text of all.

    >>> join_sides(("犬", UnreadableRow("invalid_utf8/1", 0, "byte 0xff at 0", "?"))).raw
    '犬\t?'
    """
    bad = [side for side in sides if isinstance(side, UnreadableRow)]
    if not bad:
        return sides
    raw = "\t".join(side.raw if isinstance(side, UnreadableRow) else side for side in sides)
    return bad[0]._replace(raw=raw)
