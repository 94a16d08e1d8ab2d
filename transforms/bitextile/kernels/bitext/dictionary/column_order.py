"""Which column of a dictionary holds which language, found from the words.

By their scripts, or by which column has the words of a known text. Where neither tells, an error
asks for the order; it is never guessed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import pyarrow as pa
import regex

from bitextile.kernels.bitext.dictionary.formats import RawEntry
from bitextile.kernels.text.codepoints import has_letter
from bitextile.kernels.text.folding import fold_word
from bitextile.kernels.text.scripts import scripts_of_language
from bitextile.schema.errors import ConfigError

Columns = Literal["auto", "src,tgt", "tgt,src"]
"""What an option may name."""

_LOOKED_AT = 1_000
"""Words of a column whose scripts are looked at, evenly over the file."""
_DECISIVE_SCRIPT, _DECISIVE_COVERAGE = 0.4, 0.1


def count_words(texts: pa.Array, spans: pa.ListArray) -> Counter[str]:
    """Returns the folded words of sentences with how often each occurs.

    >>> from bitextile.kernels.text.segment import segment
    >>> texts = pa.array(["Der Hund.", "der Tag"])
    >>> sorted(count_words(texts, segment(texts, "de")).items())
    [('der', 2), ('hund', 1), ('tag', 1)]
    """
    counts: Counter[str] = Counter()
    for text, words in zip(texts.to_pylist(), spans.to_pylist(), strict=True):
        counts.update(fold_word(text[w["start"] : w["end"]]) for w in words)
    return Counter({word: n for word, n in counts.items() if has_letter(word)})


class ColumnEvidence(NamedTuple):
    """Which order the words indicate ("" for none), and the reason, as a phrase for messages."""

    columns: str
    reason: str


def column_order(
    first: Sequence[str],
    second: Sequence[str],
    *,
    languages: tuple[str, str],
    known: Mapping[str, Counter[str]],
) -> ColumnEvidence:
    """Tells which of two columns of words holds which of two languages, if their words tell.

    Args:
        first: words of the first column.
        second: as many of the second.
        languages: source and target.
        known: language to the words of some text, folded, with how often each occurs; for
            either language, both or none.

    >>> column_order(["犬", "走る"], ["dog", "run"], languages=("en", "ja"), known={}).columns
    'tgt,src'
    >>> column_order(["der", "und"], ["the", "and"], languages=("en", "de"), known={}).columns
    ''
    """
    src, tgt = languages
    if scripts_of_language(src) != scripts_of_language(tgt):
        # en as src, ja as tgt:   1 + 1 - 0 - 0 = 2;   the columns swapped:   0 + 0 - 1 - 1 = -2
        straight = _fit(first, src) + _fit(second, tgt) - _fit(first, tgt) - _fit(second, src)
        if abs(straight) >= _DECISIVE_SCRIPT:
            return ColumnEvidence("src,tgt" if straight > 0 else "tgt,src", "by the scripts")
    # By running words, so that frequent words, which any dictionary has, weigh most.
    knows = [0.0, 0.0]
    for lang, sign in ((src, 1), (tgt, -1)):
        if known.get(lang):
            for column, words in enumerate((first, second)):
                knows[column] += sign * _coverage(words, known[lang])
    straight = knows[0] - knows[1]
    if abs(straight) < _DECISIVE_COVERAGE:
        return ColumnEvidence("", "neither scripts nor known words tell")
    reason = f"by the share of running words each column knows (difference {abs(straight):.2f})"
    return ColumnEvidence("src,tgt" if straight > 0 else "tgt,src", reason)


def settle_columns(
    raw: list[RawEntry],
    named: str,
    path: str,
    languages: tuple[str, str],
    known: Mapping[str, Counter[str]],
) -> tuple[str, str]:
    """Returns the order of a file's columns, named or told by the words, and how it is known.

    Args:
        raw: entries, at least one.
        named: the order the user names, or "auto".
        path: of the file, for messages.
        languages: source and target.
        known: as in `column_order`.

    Raises:
        ConfigError: the order cannot be told, or the named one is not that of the file.
    """
    first, second, _ = zip(*raw)
    src, tgt = languages
    found = column_order(first, second, languages=(src, tgt), known=known)
    example = f"{first[0]!r}, {second[0]!r}"
    if named == "auto" and not found.columns:
        raise ConfigError(
            f"{path}: cannot tell which of its columns ({example}) is {src} and which "
            f"{tgt}: {found.reason}; give --columns src,tgt if {src} comes first, else tgt,src"
        )
    # A named order is checked, too: swapped columns would match hardly any word, and raise no
    # error.
    if named not in ("auto", found.columns) and found.columns:
        raise ConfigError(
            f"{path}: columns are named {named}, but {found.reason} they are "
            f"{found.columns} for {src} to {tgt} ({example}); correct --columns or the languages"
        )
    if named != "auto":
        return named, "as named"
    return found.columns, found.reason


def _fit(words: Sequence[str], lang: str) -> float:
    """Returns the share of the words that hold a letter of the language's script."""
    members = "".join(rf"\p{{{script}}}" for script in sorted(scripts_of_language(lang)))
    letter = regex.compile(f"[{members}]")
    # Evenly, as dictionaries are sorted: the head of one may be numbers or abbreviations.
    looked_at = words[:: max(1, len(words) // _LOOKED_AT)]
    return sum(letter.search(word) is not None for word in looked_at) / len(looked_at)


def _coverage(words: Sequence[str], known: Counter[str]) -> float:
    """Returns the share of running words of a text that are in a column."""
    there = {fold_word(word) for word in words}
    return sum(n for word, n in known.items() if word in there) / known.total()
