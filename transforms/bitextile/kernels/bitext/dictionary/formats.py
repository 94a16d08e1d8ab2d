"""Dictionary files as lines, and lines as entries: one parser a format."""

import html
import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import regex

from bitextile.kernels.bitext.dictionary.glossaries import (
    RawEntry,
    is_cedict,
    is_dictcc,
    is_ding,
    parse_cedict,
    parse_dictcc,
    parse_ding,
)
from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.readers.whole import limited
from bitextile.schema.errors import ConfigError, InputError

FormatName = Literal[
    "auto", "space", "tab", "at", "wiktionary", "ding", "dictcc", "cedict", "tei", "lexicon"
]
"""What an option may name."""

_LOOKED_AT = 1_000
"""Lines at the head of a file that tell its format."""


class LineFormat(NamedTuple):
    """A format read line by line: whether a line is of it, and its entries, None for a bad one."""

    fits: Callable[[str], bool]
    parse: Callable[[str], Iterator[RawEntry | None]]


def read_lines(path: str) -> tuple[list[str], int]:
    """Returns the lines of a text file, uncompressed, and how many could not be read as text.

    Raises:
        InputError: it is missing, damaged or too large.
    """
    corpus = CorpusSource(
        corpus="dictionary",
        languages=("und",),
        files=(path,),
        names=(path,),
        format="lines",
    )
    unreadable = 0

    def readable() -> Iterator[str]:
        nonlocal unreadable
        for part in read_corpus(corpus):
            unreadable += part.rejects.num_rows
            yield from part.kept.column("text").to_pylist()

    lines = list(limited(readable(), path))
    return lines, unreadable


def detect_format(lines: list[str], path: str) -> str:
    """Returns the name of a file's format, by its first lines.

    Args:
        lines: of the file.
        path: named in the message.

    Raises:
        ConfigError: no format fits nine lines in ten.
    """
    head = [line for line in lines[:_LOOKED_AT] if line.strip() and not line.startswith("#")]
    if head and head[0].lstrip("\ufeff ").startswith(("<?xml", "<TEI")):
        return "tei"
    if any(map(is_ding, head)):
        return "ding"
    for name, (fits, _) in LINE_FORMATS.items():
        # Nine in ten, as real files have bad lines, which `parse_entries` counts.
        if head and sum(map(fits, head)) >= 0.9 * len(head):
            return name
    shown = head[0][:60] if head else "nothing"
    raise ConfigError(
        f"{path}: of no known dictionary format, it begins with {shown!r}; name it with --format: "
        f"{', '.join(get_args(FormatName)[1:])}"
    )


def parse_entries(lines: list[str], format: str, path: str) -> tuple[list[RawEntry], Counter[str]]:
    """Returns the entries of a file, both columns NFC and none empty, in the file's column order.

    Args:
        lines: of the file.
        format: name of its format, any but auto and lexicon.
        path: named in messages.

    Returns:
        The entries, and how many were "malformed" or "empty".

    Raises:
        InputError: a TEI file is not readable as XML, or declares entities.
    """
    counts: Counter[str] = Counter()
    if format == "tei":
        found: Iterator[RawEntry | None] = _tei(lines, path)
    else:
        content = (line for line in lines if line.strip() and not _COMMENT.match(line))
        parse = LINE_FORMATS[format].parse
        found = itertools.chain.from_iterable(map(parse, content))
    raw = []
    for entry in found:
        if entry is None:
            counts["malformed"] += 1
            continue
        first, second = _tidy(entry[0], entry[1])
        if first and second:
            raw.append((first, second, entry[2]))
        else:
            counts["empty"] += 1
    return raw, counts


def _tidy(first: str, second: str) -> tuple[str, str]:
    """Returns an entry's sides NFC, with characters for HTML's entities and no marks at the edges.

    A full stop stays if both sides end with one, as abbreviations do; a mark alone stays, too.
    """
    sides = [unicodedata.normalize("NFC", html.unescape(side)).strip() for side in (first, second)]
    abbreviated = all(side.endswith(".") for side in sides)
    edges = _EDGE_MARKS if abbreviated else _EDGE_MARKS + "."
    bare = [side.lstrip(_EDGE_MARKS).rstrip(edges).strip() or side for side in sides]
    return bare[0], bare[1]


def _split_line(separator: str | None) -> Callable[[str], Iterator[RawEntry | None]]:
    def parse(line: str) -> Iterator[RawEntry | None]:
        cells = line.split(separator)
        # A space is the only separator that can also stand inside a translation: more cells are
        # bad.
        if len(cells) < 2 or (separator is None and len(cells) != 2):
            yield None
        else:
            yield cells[0], cells[1], None

    return parse


_COMMENT = regex.compile(r"#(?:[ !]|$)")
_EDGE_MARKS = ' ,;:!?¡¿"“”„«»()[]{}、，。；：！？（）「」『』،؛؟।'
_HEADWORD = regex.compile(r"^.*?(?=\s*(?:[{(\[]|SEE:|$))")
_POS = regex.compile(r"\{([^}]*)\}")
_NOTES = regex.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|/[^/]*/|SEE:.*")


def _wiktionary(line: str) -> Iterator[RawEntry | None]:
    left, separator, right = line.partition("::")
    headword, pos = _HEADWORD.match(left.strip()), _POS.search(left)
    if not separator or headword is None:
        yield None
        return
    for translation in regex.split("[,;、]", _NOTES.sub("", right)):
        yield headword[0], " ".join(translation.split()), pos and pos[1]


# The rarest mark first: a line of any format has spaces, and notes may hold tabs.
LINE_FORMATS = {
    "cedict": LineFormat(is_cedict, parse_cedict),
    "ding": LineFormat(is_ding, parse_ding),
    "wiktionary": LineFormat(lambda line: "::" in line, _wiktionary),
    "at": LineFormat(lambda line: line.count(" @ ") == 1, _split_line(" @ ")),
    "dictcc": LineFormat(is_dictcc, parse_dictcc),
    "tab": LineFormat(lambda line: "\t" in line, _split_line("\t")),
    "space": LineFormat(lambda line: len(line.split()) == 2, _split_line(None)),
}
"""Formats of one entry or headword a line, the surest to tell first."""


def _tei(lines: list[str], path: str) -> Iterator[RawEntry]:
    """Reads FreeDict: headwords, part of speech, definitions or quoted translations."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        # FreeDict's files have a DTD; defusedxml still refuses entities, whose expansion can fill
        # memory.
        root = fromstring("\n".join(lines).encode(), forbid_dtd=False)
    except (ParseError, DefusedXmlException) as error:
        raise InputError(f"{path}: not readable as TEI ({error})") from error
    for entry in root.iterfind(".//{*}body//{*}entry"):
        pos = entry.findtext("{*}gramGrp/{*}pos") or None
        words = [orth.text or "" for orth in entry.iterfind("{*}form/{*}orth")]
        cells = [*entry.iterfind(".//{*}sense/{*}def"), *entry.iterfind(".//{*}cit//{*}quote")]
        for word, cell in itertools.product(words, cells):
            for translation in regex.split("[,;]", _NOTES.sub("", _own_text(cell))):
                yield word, " ".join(translation.split()), pos


def _own_text(cell: Any) -> str:
    """Returns an element's text without that of the notes in it."""
    return (cell.text or "") + "".join(child.tail or "" for child in cell)
