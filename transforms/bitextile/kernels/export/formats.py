"""The formats that datasets are exported to; a new one is a module and an entry here."""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa

from bitextile.kernels.export.columns import Columns
from bitextile.kernels.export.jsonl import jsonl_lines
from bitextile.kernels.export.moses import moses_lines
from bitextile.kernels.export.muse import muse_lines
from bitextile.kernels.export.pharaoh import pharaoh_lines
from bitextile.kernels.export.tsv import tsv_lines
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, LEXICON, PAIRS, Kind


class ExportFormat(NamedTuple):
    """One format.

    Attributes:
        name: as the command's option names it.
        lines: from a language pair's key and a batch of its rows to the lines of each file.
        kinds: of the datasets it can represent.
        header: whether each file begins with the names of the columns.
        doc: what it writes, for the command's help.
        blank: from a file's name and the number of columns to the line that stands for a row that
            was dropped; None for a format whose lines are no rows of a corpus.
    """

    name: str
    lines: Callable[[str, pa.RecordBatch], Columns]
    kinds: tuple[Kind, ...]
    header: bool
    doc: str
    blank: Callable[[str, int], str] | None = None


def _empty(name: str, n_columns: int) -> str:
    return ""


def _no_words(name: str, n_columns: int) -> str:
    # Both sides without words, as fast_align and `align-text` read such a line.
    return " ||| " if name.endswith(".words") else ""


def _empty_fields(name: str, n_columns: int) -> str:
    # Not an empty line, which readers such as pandas pass over.
    return "\t" * (n_columns - 1)


def _empty_object(name: str, n_columns: int) -> str:
    return "{}"


FORMATS = (
    ExportFormat(
        "pharaoh",
        pharaoh_lines,
        (ALIGNED,),
        False,
        "`KEY.words` (`source words ||| target words`) and `KEY.pharaoh` (`i-j` links from 0)",
        _no_words,
    ),
    ExportFormat(
        "moses",
        moses_lines,
        (PAIRS, ALIGNED),
        False,
        "`KEY.LANG` twice, one sentence a line",
        _empty,
    ),
    ExportFormat(
        "tsv",
        tsv_lines,
        (PAIRS, ALIGNED),
        True,
        "`KEY.tsv`, a header and every column",
        _empty_fields,
    ),
    ExportFormat(
        "jsonl",
        jsonl_lines,
        (PAIRS, ALIGNED),
        False,
        "`KEY.jsonl`, every column",
        _empty_object,
    ),
    ExportFormat("muse", muse_lines, (LEXICON,), False, "of a lexicon, `A-B.txt` and `B-A.txt`"),
)


def format_named(name: str) -> ExportFormat:
    """Returns a format; raises ConfigError for an unknown name."""
    for format in FORMATS:
        if format.name == name:
            return format
    names = ", ".join(format.name for format in FORMATS)
    raise ConfigError(f"format is {name!r}, expected one of {names}")
