"""Bilingual dictionaries: files of several formats read into entries, and looked up by word.

    space      the die                          MUSE, one entry a line
    tab        talk<TAB>トーク                    MUSE jp, TSV
    at         bylo @ was                       CoSDA's .dict, usually the translation first
    wiktionary aardwolf {n} (...) :: hyena {f}  Buchmeier's extracts; several translations a line
    tei        <entry><orth>..</orth>..<def>    FreeDict
    lexicon    a folder                         a dataset of kind lexicon

Which column holds which language is named, or read off the words: by their scripts, or by which
column knows the words of known text. What can not be told is asked for, never guessed.
"""

import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

from bitextile.kernels.arrays import check_share
from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.text.codepoints import SPACED, UNSPACED, char_classes
from bitextile.kernels.text.normalise import lower_nfc
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

Format = Literal["auto", "space", "tab", "at", "wiktionary", "tei", "lexicon"]
Columns = Literal["auto", "src,tgt", "tgt,src"]

_LOOKED_AT = 1_000
_SCRIPTS = {
    "Han": "zh ja cmn yue jpn",
    "Hiragana": "ja jpn",
    "Katakana": "ja jpn",
    "Hangul": "ko kor",
    "Cyrillic": "ru uk bg be mk sr kk rus ukr bul",
    "Arabic": "ar fa ur ps ara fas urd",
    "Hebrew": "he heb yi",
    "Greek": "el ell",
    "Thai": "th tha",
    "Devanagari": "hi mr ne hin",
    "Bengali": "bn ben",
    "Tamil": "ta tam",
    "Telugu": "te tel",
    "Georgian": "ka kat",
    "Armenian": "hy hye",
}
_DECISIVE_SCRIPT, _DECISIVE_COVERAGE = 0.4, 0.1

Raw = tuple[str, str, str | None]
"""First column, second column, part of speech."""


@dataclass(frozen=True, kw_only=True)
class DictionaryFormat:
    """How a dictionary file is read."""

    format: Format = "auto"
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
            ("format", self.format, get_args(Format)),
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
        counts: of what was met: "entries", "duplicate", "empty", "malformed", "unwanted" (by
            min_count, min_probability or pos).
        said: how the column order was found.
    """

    source: DictionarySource
    entries: pa.Table
    counts: dict[str, int] = field(default_factory=dict)
    said: str = ""


def read_dictionary(
    source: DictionarySource, *, known: Mapping[str, Counter[str]] | None = None
) -> Dictionary:
    """Reads a dictionary whole, with format and column order found or checked.

    Args:
        source: what to read.
        known: language to its words in some text, folded, with how often each occurs; tells
            languages of one script apart.

    Raises:
        InputError: the file is missing, damaged, or holds no entry of these languages.
        ConfigError: the format or the column order cannot be told, the named order is not that of
            the file, or a filter asks for what the file does not say.
    """
    if exists(f"{source.path}/{FILE_NAME}") or source.format == "lexicon":
        return _read_lexicon(source)
    lines = _lines(source)
    format = source.format if source.format != "auto" else _format(lines, source.path)
    raw, counts = _parsed(lines, format, source.path)
    if not raw:
        raise InputError(f"{source.path}: no entry in format {format}; name another --format")
    columns, said = _columns(raw, source, known or {})
    settled = DictionarySource(**(vars(source) | {"format": format, "columns": columns}))
    if columns == "tgt,src":
        raw = [(second, first, pos) for first, second, pos in raw]
    return _dictionary(settled, _unique(raw, counts), counts, said)


def words_of_text(texts: pa.Array, spans: pa.ListArray) -> Counter[str]:
    """Returns the folded words of sentences with how often each occurs; `known` for reading.

    >>> from bitextile.kernels.text.segment import segment
    >>> texts = pa.array(["Der Hund.", "der Tag"])
    >>> sorted(words_of_text(texts, segment(texts, "de")).items())
    [('der', 2), ('hund', 1), ('tag', 1)]
    """
    counts: Counter[str] = Counter()
    for text, words in zip(texts.to_pylist(), spans.to_pylist(), strict=True):
        counts.update(lower_nfc(text[w["start"] : w["end"]]) for w in words)
    return Counter({word: n for word, n in counts.items() if has_letter(word)})


class Evidence(NamedTuple):
    """Which order the words speak for ("" for none), and why, in words."""

    columns: str
    said: str


def column_order(
    first: Sequence[str],
    second: Sequence[str],
    *,
    languages: tuple[str, str],
    known: Mapping[str, Counter[str]],
) -> Evidence:
    """Tells which of two columns of words holds which of two languages, if the words do.

    Args:
        first: words of the first column.
        second: as many of the second.
        languages: source and target.
        known: language to the words of some text; either language, both or none.

    >>> column_order(["犬", "走る"], ["dog", "run"], languages=("en", "ja"), known={}).columns
    'tgt,src'
    >>> column_order(["der", "und"], ["the", "and"], languages=("en", "de"), known={}).columns
    ''
    """
    src, tgt = languages
    if _scripts_of(src) != _scripts_of(tgt):
        straight = _fit(first, src) + _fit(second, tgt) - _fit(first, tgt) - _fit(second, src)
        if abs(straight) >= _DECISIVE_SCRIPT:
            return Evidence("src,tgt" if straight > 0 else "tgt,src", "by the scripts")
    knows = [0.0, 0.0]
    for lang, sign in ((src, 1), (tgt, -1)):
        if known.get(lang):
            for column, words in enumerate((first, second)):
                knows[column] += sign * _coverage(words, known[lang])
    straight = knows[0] - knows[1]
    if abs(straight) < _DECISIVE_COVERAGE:
        return Evidence("", "neither scripts nor known words tell")
    said = f"by the share of running words each column knows (difference {abs(straight):.2f})"
    return Evidence("src,tgt" if straight > 0 else "tgt,src", said)


def _columns(
    raw: list[Raw], source: DictionarySource, known: Mapping[str, Counter[str]]
) -> tuple[str, str]:
    """Returns the order and how it is known; raises ConfigError where it is not."""
    first, second, _ = zip(*raw)
    src, tgt = source.src_lang, source.tgt_lang
    found = column_order(first, second, languages=(src, tgt), known=known)
    example = f"{first[0]!r}, {second[0]!r}"
    if source.columns == "auto" and not found.columns:
        raise ConfigError(
            f"{source.path}: cannot tell which of its columns ({example}) is {src} and which "
            f"{tgt}: {found.said}; give --columns src,tgt if {src} comes first, else tgt,src"
        )
    if source.columns not in ("auto", found.columns) and found.columns:
        raise ConfigError(
            f"{source.path}: columns are named {source.columns}, but {found.said} they are "
            f"{found.columns} for {src} to {tgt} ({example}); correct --columns or the languages"
        )
    if source.columns != "auto":
        return source.columns, "as named"
    return found.columns, found.said


def _scripts_of(lang: str) -> frozenset[str]:
    base = lang.split("-")[0]
    return frozenset(s for s, langs in _SCRIPTS.items() if base in langs.split()) or frozenset(
        {"Latin"}
    )


def _fit(words: Sequence[str], lang: str) -> float:
    """Returns the share of the words that hold a letter of the language's script."""
    members = "".join(rf"\p{{{script}}}" for script in sorted(_scripts_of(lang)))
    letter = regex.compile(f"[{members}]")
    looked_at = words[:: max(1, len(words) // _LOOKED_AT)]
    return sum(letter.search(word) is not None for word in looked_at) / len(looked_at)


def _coverage(words: Sequence[str], known: Counter[str]) -> float:
    """Returns the share of running words of a text that are in a column."""
    there = {lower_nfc(word) for word in words}
    return sum(n for word, n in known.items() if word in there) / known.total()


# --- formats ------------------------------------------------------------------------------------


def _lines(source: DictionarySource) -> list[str]:
    corpus = CorpusSource(
        corpus="dictionary",
        languages=(source.src_lang,),
        files=(source.path,),
        names=(source.path,),
        format="lines",
    )
    return [line for part in read_corpus(corpus) for line in part.kept.column("text").to_pylist()]


def _format(lines: list[str], path: str) -> str:
    """Returns the format by the first lines; raises ConfigError if none fits nine in ten."""
    head = [line for line in lines[:_LOOKED_AT] if line.strip() and not line.startswith("#")]
    if head and head[0].lstrip("\ufeff ").startswith(("<?xml", "<TEI")):
        return "tei"
    for name, fits in (
        ("wiktionary", lambda line: "::" in line),
        ("at", lambda line: line.count(" @ ") == 1),
        ("tab", lambda line: line.count("\t") >= 1),
        ("space", lambda line: len(line.split()) == 2),
    ):
        if head and sum(map(fits, head)) >= 0.9 * len(head):
            return name
    shown = head[0][:60] if head else "nothing"
    raise ConfigError(
        f"{path}: of no known dictionary format, it begins with {shown!r}; name it with --format: "
        f"{', '.join(get_args(Format)[1:])}"
    )


def _parsed(lines: list[str], format: str, path: str) -> tuple[list[Raw], Counter[str]]:
    """Returns entries of both columns, NFC, none empty, and how many lines gave none."""
    counts: Counter[str] = Counter()
    if format == "tei":
        found: Iterator[Raw | None] = _tei(lines, path)
    else:
        content = (line for line in lines if line.strip() and not line.startswith("# "))
        parse = _PARSERS[format]
        found = itertools.chain.from_iterable(map(parse, content))
    raw = []
    for entry in found:
        if entry is None:
            counts["malformed"] += 1
            continue
        first, second = (unicodedata.normalize("NFC", side).strip() for side in entry[:2])
        if first and second:
            raw.append((first, second, entry[2]))
        else:
            counts["empty"] += 1
    return raw, counts


def _split_line(separator: str | None) -> Callable[[str], Iterator[Raw | None]]:
    def parse(line: str) -> Iterator[Raw | None]:
        cells = line.split(separator)
        if len(cells) < 2 or (separator is None and len(cells) != 2):
            yield None
        else:
            yield cells[0], cells[1], None

    return parse


_HEADWORD = regex.compile(r"^.*?(?=\s*(?:[{(\[]|SEE:|$))")
_POS = regex.compile(r"\{([^}]*)\}")
_NOTES = regex.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|/[^/]*/|SEE:.*")


def _wiktionary(line: str) -> Iterator[Raw | None]:
    left, separator, right = line.partition("::")
    headword, pos = _HEADWORD.match(left.strip()), _POS.search(left)
    if not separator or headword is None:
        yield None
        return
    for translation in regex.split("[,;、]", _NOTES.sub("", right)):
        yield headword[0], " ".join(translation.split()), pos and pos[1]


def _tei(lines: list[str], path: str) -> Iterator[Raw]:
    """Reads FreeDict: headwords, part of speech, definitions or quoted translations."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
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


_PARSERS: dict[str, Callable[[str], Iterator[Raw | None]]] = {
    "space": _split_line(None),
    "tab": _split_line("\t"),
    "at": _split_line(" @ "),
    "wiktionary": _wiktionary,
}


# --- entries ------------------------------------------------------------------------------------


def _unique(raw: list[Raw], counts: Counter[str]) -> pa.Table:
    """Returns entries with p uniform over a word's translations; equal ones once."""
    unique = sorted(set(raw), key=lambda entry: (entry[0], entry[1], entry[2] or ""))
    counts["duplicate"] += len(raw) - len(unique)
    translations = Counter(src for src, _ in {entry[:2] for entry in unique})
    src, tgt, pos = zip(*unique)
    p = [1 / translations[word] for word in src]
    return pa.table([src, tgt, p, pos, pa.nulls(len(src), pa.int64())], schema=ENTRIES)


def _read_lexicon(source: DictionarySource) -> Dictionary:
    dataset = open_dataset(source.path, LEXICON)
    table, languages = dataset.table(), (source.src_lang, source.tgt_lang)
    order = "src,tgt" if languages == tuple(sorted(languages)) else "tgt,src"
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
    source: DictionarySource, entries: pa.Table, counts: Counter[str], said: str
) -> Dictionary:
    """Returns the dictionary without the entries its filters do not want."""
    for name, asked in (("count", source.min_count > 0), ("pos", bool(source.pos))):
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
        said=said,
    )


def has_letter(word: str) -> bool:
    """Returns whether a word holds a letter of any script."""
    points = np.frombuffer(word.encode("utf-32-le", "surrogatepass"), np.uint32)
    return bool(np.isin(char_classes()[points], (UNSPACED, SPACED)).any())
