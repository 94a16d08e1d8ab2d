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
    """

    name: str
    lines: Callable[[str, pa.RecordBatch], Columns]
    kinds: tuple[Kind, ...]
    header: bool
    doc: str


FORMATS = (
    ExportFormat(
        "pharaoh",
        pharaoh_lines,
        (ALIGNED,),
        False,
        "`KEY.words` (`source words ||| target words`) and `KEY.pharaoh` (`i-j` links from 0)",
    ),
    ExportFormat(
        "moses", moses_lines, (PAIRS, ALIGNED), False, "`KEY.LANG` twice, one sentence a line"
    ),
    ExportFormat("tsv", tsv_lines, (PAIRS, ALIGNED), True, "`KEY.tsv`, a header and every column"),
    ExportFormat("jsonl", jsonl_lines, (PAIRS, ALIGNED), False, "`KEY.jsonl`, every column"),
    ExportFormat("muse", muse_lines, (LEXICON,), False, "of a lexicon, `A-B.txt` and `B-A.txt`"),
)


def format_named(name: str) -> ExportFormat:
    """Returns a format; raises ConfigError for an unknown name."""
    for format in FORMATS:
        if format.name == name:
            return format
    names = ", ".join(format.name for format in FORMATS)
    raise ConfigError(f"format is {name!r}, expected one of {names}")
