"""The rule `long_word`: an encoded file, a list of genes or a line of dashes is no sentence."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule
from bitextile.kernels.filters.words import sides_of
from bitextile.schema.errors import ConfigError

# Scripts that put no spaces between words: a run of them is a clause.
_UNSPACED = "".join(
    rf"\p{{{script}}}"
    for script in (
        *("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"),
        *("Tai_Tham", "Tai_Le", "New_Tai_Lue", "Tai_Viet", "Javanese", "Balinese"),
    )
)
_WORD = regex.compile(rf"[^\s{_UNSPACED}ー々〆]+")


@dataclass(frozen=True, kw_only=True)
class LongWordOptions:
    """Options of `long_word`."""

    max_word_chars: int = 200
    """Most characters between two spaces. The longest address in 570,000 lines of parallel text
    has 103, and German compounds stay below 80."""

    def __post_init__(self) -> None:
        """Raises ConfigError for a limit that would drop everything."""
        if self.max_word_chars < 1:
            raise ConfigError(f"filters: max_word_chars {self.max_word_chars}; expected at least 1")


def longest_word_chars(rows: Rows, config: LongWordOptions) -> F64:
    """Returns the characters of the longest word of each row, [n]; NaN where it cannot be too long.

    Only sides of more than `max_word_chars` characters are looked at.
    """
    sides = [_longest_words(side, config.max_word_chars) for side in sides_of(rows.batch)]
    # fmax ignores a NaN where the other side has a value; both NaN stay NaN, which fails no rule.
    return np.fmax.reduce(sides)


def _longest_words(text: pa.StringArray, limit: int) -> F64:
    longest = np.full(len(text), np.nan)
    # A text no longer than the limit has no longer word: nearly all rows are settled here.
    long = np.flatnonzero(pc.greater(pc.utf8_length(text), limit).to_numpy(zero_copy_only=False))
    for row in long.tolist():
        words = _WORD.finditer(text[row].as_py())
        longest[row] = max((word.end() - word.start() for word in words), default=0)
    return longest


LONG_WORD = Rule(
    name="long_word",
    version=1,
    doc="Drops rows with a word of more than `max_word_chars` characters, in scripts that put "
    "spaces between words; the value is its length.",
    measure=longest_word_chars,
    limit=lambda config: config.max_word_chars,
    options=LongWordOptions,
)
