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
        files: paths; `archive.zip#member` names a member of a zip file.
        names: the same files as the recipe names them; what rows keep as their `file`.
        format: name of a format in `formats.FORMATS`.
        columns: of a TSV 0-based numbers, of JSON lines and Parquet names; one per language.
        header: whether the first line of a TSV holds names.
        split: given to every row; empty to let it be drawn.
    """

    corpus: str
    languages: tuple[str, ...]
    files: tuple[str, ...]
    names: tuple[str, ...]
    format: str
    columns: tuple[str, ...] = ()
    header: bool = False
    split: str = ""


class UnreadableRow(NamedTuple):
    """A row that cannot be read: the rule, what it measured, what was got, and the raw text."""

    rule: str
    value: float
    detail: str
    raw: str


Row = tuple[str, ...] | UnreadableRow
"""The texts of a row, one per language, or why it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format: how it is read, and what a recipe may say of it.

    Attributes:
        name: as a recipe's `format` gives it.
        read: yields the rows of a source; the first is numbered 1, or 2 after a header.
        endings: of file names that tell it, without the ending of a compression.
        files_per_bitext: files that hold the two sides of a parallel corpus.
        columns: what names a text's column: "numbers" from 0, "names", or "none" if the format has
            its own way.
        header: whether the first line may hold names.
    """

    name: str
    read: Callable[[CorpusSource], Iterator[Row]]
    endings: tuple[str, ...] = ()
    files_per_bitext: int = 1
    columns: str = "none"
    header: bool = False


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
