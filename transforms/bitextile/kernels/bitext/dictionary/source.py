"""Bilingual dictionaries: files of several formats read into entries, and looked up by word.

    space      the die                          MUSE, one entry a line
    tab        talk<TAB>トーク                    MUSE jp, TSV
    at         bylo @ was                       CoSDA's .dict, usually the translation first
    wiktionary aardwolf {n} (...) :: hyena {f}  Buchmeier's extracts; several translations a line
    ding       Haus {n} | Häuser {pl} :: house; building | houses
    dictcc     Hund {m}<TAB>dog [animal]<TAB>noun
    cedict     貓 猫 [mao1] /cat/CL:隻|只[zhi1]/
    tei        <entry><orth>..</orth>..<def>    FreeDict
    lexicon    a folder                         a dataset of kind lexicon

`formats` reads the lines, `column_order` tells which column holds which language.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import check_share
from bitextile.kernels.bitext.dictionary.column_order import Columns, settle_columns
from bitextile.kernels.bitext.dictionary.formats import (
    FormatName,
    RawEntry,
    detect_format,
    parse_entries,
    read_lines,
)
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.fromtext import language_pair
from bitextile.schema.kinds import LEXICON
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists

ENTRIES = pa.schema(
    [
        pa.field("src", pa.string(), False),
        pa.field("tgt", pa.string(), False),
        pa.field("p", pa.float32(), False),
        pa.field("pos", pa.string()),
        pa.field("count", pa.int64()),
    ]
)
"""Columns of a dictionary: word, translation, p(translation given word), part of speech as the
file writes it (null: not said), links it was counted from (null: not a lexicon)."""


@dataclass(frozen=True, kw_only=True)
class DictionaryFormat:
    """How a dictionary file is read."""

    format: FormatName = "auto"
    """Format of the dictionaries. auto goes by the content."""
    columns: Columns = "auto"
    """Order of the languages in a dictionary file. auto goes by the words, or asks."""
    pos: tuple[str, ...] = field(default=(), metadata={"option": "pos"})
    """Part of speech wanted, as the file writes it ("n", "v"). By default all and unnamed ones."""


@dataclass(frozen=True, kw_only=True)
class LexiconLimits:
    """Which entries of a lexicon dataset are used."""

    min_count: int = 0
    """Fewest links of a lexicon's entry. Files have no counts, so another value refuses them."""
    min_probability: float = 0.0
    """Lowest p(translation given word) of an entry, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class DictionarySource(DictionaryFormat, LexiconLimits):
    """One dictionary to take translations from."""

    path: str
    """File (may be compressed), or folder of a lexicon dataset."""
    src_lang: str
    """BCP-47 tag of the words that are looked up."""
    tgt_lang: str
    """BCP-47 tag of their translations."""
    weight: float = 1.0
    """Sampling weight of this target language among others that know the word."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        check_share("min_probability", self.min_probability)
        for name, value, known in (
            ("format", self.format, get_args(FormatName)),
            ("columns", self.columns, get_args(Columns)),
        ):
            if value not in known:
                raise ConfigError(f"{name} is {value!r}, expected one of {'; '.join(known)}")
        if not self.weight > 0:
            raise ConfigError(f"weight of {self.path} is {self.weight}, expected more than 0")
        if self.src_lang == self.tgt_lang:
            raise ConfigError(f"{self.path}: both languages are {self.src_lang}")

    @property
    def name(self) -> str:
        """What replacements name as their origin."""
        return f"dictionary {os.path.basename(self.path.rstrip('/'))}"


def dictionary_named(text: str, **how: Any) -> DictionarySource:
    """Returns the dictionary that SRC,TGT=PATH names.

    Args:
        text: as users write it.
        how: more fields.

    >>> dictionary_named("DE,en=de-en.txt", columns="src,tgt").src_lang
    'de'
    """
    tags, equals, path = text.partition("=")
    if not equals or not path or tags.count(",") != 1:
        raise ConfigError(f"dictionary {text!r}: expected SRC,TGT=PATH, as en,de=en-de.txt")
    src_lang, tgt_lang = language_pair(tags)
    return DictionarySource(path=path, src_lang=src_lang, tgt_lang=tgt_lang, **how)


@dataclass(frozen=True, kw_only=True)
class Dictionary:
    """A dictionary that was read.

    Attributes:
        source: with format and columns settled.
        entries: columns ENTRIES, each (src, tgt, pos) once, sorted.
        counts: of what was met: "entries", "duplicate", "empty", "malformed", "unreadable"
            (lines that are not text), "unwanted" (by min_count, min_probability or pos).
        reason: how the column order was found.
    """

    source: DictionarySource
    entries: pa.Table
    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def read_dictionary(
    source: DictionarySource, *, known: Mapping[str, Counter[str]] | None = None
) -> Dictionary:
    """Reads a dictionary whole, with format and column order found or checked.

    Args:
        source: what to read.
        known: language to its words in some text, lower-cased, with how often each occurs; tells
            languages of one script apart.

    Raises:
        InputError: the file is missing, damaged, or holds no entry of these languages.
        ConfigError: the format or the column order cannot be told, the named order is not that of
            the file, or a filter asks for what the file does not say.
    """
    if exists(f"{source.path}/{FILE_NAME}") or source.format == "lexicon":
        return _read_lexicon(source)
    lines, unreadable = read_lines(source.path)
    format = source.format if source.format != "auto" else detect_format(lines, source.path)
    raw, counts = parse_entries(lines, format, source.path)
    counts["unreadable"] += unreadable
    if not raw:
        raise InputError(f"{source.path}: no entry in format {format}; name another --format")
    columns, reason = settle_columns(
        raw, source.columns, source.path, (source.src_lang, source.tgt_lang), known or {}
    )
    # In place of "auto", so that what is recorded of a run names what was found.
    settled = DictionarySource(**(vars(source) | {"format": format, "columns": columns}))
    if columns == "tgt,src":
        raw = [(second, first, pos) for first, second, pos in raw]
    return _dictionary(settled, _unique(raw, counts), counts, reason)


def _unique(raw: list[RawEntry], counts: Counter[str]) -> pa.Table:
    """Returns entries with p uniform over a word's translations; equal ones once."""
    # A set has no order that holds from run to run; the rows of a dictionary decide draws.
    unique = sorted(set(raw), key=lambda entry: (entry[0], entry[1], entry[2] or ""))
    counts["duplicate"] += len(raw) - len(unique)
    # Without the part of speech: a word that is noun and verb does not count twice.
    translations = Counter(src for src, _ in {entry[:2] for entry in unique})
    src, tgt, pos = zip(*unique)
    p = [1 / translations[word] for word in src]
    return pa.table([src, tgt, p, pos, pa.nulls(len(src), pa.int64())], schema=ENTRIES)


def _read_lexicon(source: DictionarySource) -> Dictionary:
    dataset = open_dataset(source.path, LEXICON)
    table, languages = dataset.table(), (source.src_lang, source.tgt_lang)
    order = "src,tgt" if languages == tuple(sorted(languages)) else "tgt,src"
    # A lexicon's sides are in the order of their tags; looked up from the second language, its
    # columns change their roles, the probabilities with them.
    a, b = ("src", "tgt")[:: 1 if order == "src,tgt" else -1]
    mine = pc.and_(
        pc.equal(table.column(f"{a}_lang"), source.src_lang),
        pc.equal(table.column(f"{b}_lang"), source.tgt_lang),
    )
    table = table.filter(mine)
    if not table.num_rows:
        raise InputError(
            f"{source.path}: no entries of {languages[0]} and {languages[1]}, it holds "
            f"{', '.join(dataset.keys) or 'none'}; make one with `lexicon`"
        )
    columns = [table.column(c) for c in (a, b, f"p_{b}_given_{a}")]
    columns += [pa.nulls(table.num_rows, pa.string()), table.column("count")]
    entries = pa.table(columns, schema=ENTRIES).sort_by(
        [("src", "ascending"), ("tgt", "ascending")]
    )
    settled = DictionarySource(**(vars(source) | {"format": "lexicon", "columns": order}))
    return _dictionary(settled, entries, Counter(), "as the lexicon says")


def _dictionary(
    source: DictionarySource, entries: pa.Table, counts: Counter[str], reason: str
) -> Dictionary:
    """Returns the dictionary without the entries its filters do not want."""
    for name, asked in (("count", source.min_count > 0), ("pos", bool(source.pos))):
        # Compared with null, every entry would be dropped.
        if asked and entries.column(name).null_count == entries.num_rows:
            limit = "min_count" if name == "count" else name
            raise ConfigError(
                f"{source.path}: {limit} is set, but a dictionary of format {source.format} "
                f"gives no {name} of its entries; leave it out"
            )
    wanted = pc.greater_equal(entries.column("p"), source.min_probability)
    if source.min_count:
        wanted = pc.and_(wanted, pc.greater_equal(entries.column("count"), source.min_count))
    if source.pos:
        wanted = pc.and_(wanted, pc.is_in(entries.column("pos"), pa.array(source.pos)))
    kept = entries.filter(wanted).combine_chunks()
    counts["unwanted"] += entries.num_rows - kept.num_rows
    if not kept.num_rows:
        raise InputError(
            f"{source.path}: none of {entries.num_rows} entries is left by the filters"
        )
    return Dictionary(
        source=source,
        entries=kept,
        counts={"entries": kept.num_rows} | {k: n for k, n in sorted(counts.items()) if n},
        reason=reason,
    )
