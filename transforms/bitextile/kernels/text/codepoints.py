"""Text as arrays of code points: offsets into sentences become plain index arithmetic.

A column of n sentences is one uint32 array of all code points and n + 1 offsets into it, so that
words are cut out and put together for a whole batch at once; no sentence passes through Python.

    "ab" "犬"   ->   points [0x61, 0x62, 0x72AC]   offsets [0, 2, 3]
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

from bitextile.kernels.arrays import I64, U8, U32, Bool, offsets_of

NEUTRAL, UNSPACED, SPACED, DIGIT, SPACE, OPENING, CLOSING = range(7)
"""Classes of a code point: other; letter of a script written without spaces; other letter; number;
white space; opening and closing punctuation that clings to the word beside it."""

_UNSPACED_SCRIPTS = (
    "Han Hiragana Katakana Bopomofo Yi Nushu Tangut "
    "Thai Lao Khmer Myanmar Tai_Le New_Tai_Lue Tai_Tham Tibetan Javanese Balinese"
)
"""Scripts that put no space between words (UAX #14, classes ID, CJ and SA, and their like)."""


PRIVATE_PLANES, N_MIRRORED = 0xF0000, 0x20000
"""First code point of the private-use planes 15 and 16, and how many they hold: as many as planes 0
and 1, whose characters `private_script` sets there."""


class Texts(NamedTuple):
    """Sentences as code points: `points` [all], `offsets` [n + 1] into it."""

    points: U32
    offsets: I64


def to_texts(column: pa.StringArray) -> Texts:
    """Returns a column of n strings as code points; a null counts as an empty string.

    >>> to_texts(pa.array(["ab", "犬"])).offsets.tolist()
    [0, 2, 3]
    """
    # All texts joined by Arrow and encoded once: UTF-32 is the array itself, whatever was in it.
    whole = pc.binary_join(pa.ListArray.from_arrays([0, len(column)], pc.fill_null(column, "")), "")
    points = np.frombuffer(whole[0].as_py().encode("utf-32-le"), np.uint32)
    lengths = pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False)
    return Texts(points, offsets_of(lengths))


def to_strings(texts: Texts) -> pa.StringArray:
    """Returns code points as a column of strings, the inverse of `to_texts`.

    >>> to_strings(to_texts(pa.array(["หมา", ""]))).to_pylist()
    ['หมา', '']
    """
    points, offsets = texts
    # UTF-8 takes 1 to 4 bytes by the value of the code point, so byte offsets follow from the code
    # points, and Arrow's buffers can be handed over without a string for each text.
    width = 1 + (points > 0x7F).astype(np.int8) + (points > 0x7FF) + (points > 0xFFFF)
    places = offsets_of(width)[offsets].astype(np.int32)
    content = points.tobytes().decode("utf-32-le").encode()
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(places), pa.py_buffer(content)
    )


def gather(points: U32, starts: I64, lengths: I64) -> U32:
    """Returns the spans `points[start : start + length]` one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    # starts [5 9], lengths [2 3]:   arange  0 1 2 3 4   +   repeated 5 5 7 7 7   =   5 6 9 10 11
    return points[np.repeat(starts - (ends - lengths), lengths) + np.arange(total)]


def cut(texts: Texts, starts: I64, ends: I64) -> pa.StringArray:
    """Returns spans of `texts.points` as strings.

    Args:
        texts: sentences.
        starts: [k] absolute, that is offset of the sentence + offset in it.
        ends: [k] exclusive.
    """
    lengths = ends - starts
    return to_strings(Texts(gather(texts.points, starts, lengths), offsets_of(lengths)))


def any_between(marks: Bool, starts: I64, ends: I64) -> Bool:
    """Returns for each span whether `marks[start:end]` has a True."""
    # marks [0 1 0 0]   counts [0 0 1 1 1]   any in 0:2: counts[2] > counts[0], in 2:4: not
    counts = offsets_of(marks)
    return counts[ends] > counts[starts]


@cache
def char_classes() -> U8:
    """Returns the class of every code point, [0x110000].

    Full-width letters and punctuation are set like Han, so the former are UNSPACED and the
    latter, which bring their own space, NEUTRAL; dashes, slashes and the like join what stands
    beside them and are NEUTRAL. Marks have the class of the script they belong to. The private-use
    planes 15 and 16, where `derive` sets planes 0 and 1, have the classes of these.
    """
    scripts = _UNSPACED_SCRIPTS.split()
    letters = "".join(rf"\p{{scx={script}}}" for script in scripts)
    marks = "".join(rf"\p{{sc={script}}}" for script in scripts) + r"\u3099\u309A"
    # A table of a megabyte, made once a process: the class of any text is then one gather. Later
    # entries overwrite earlier ones, so the order below is from the general to the particular.
    table = np.zeros(0x110000, np.uint8)
    for members, code in (
        (r"[\p{L}\p{M}]", SPACED),
        (r"\p{N}", DIGIT),
        (rf"[[\p{{L}}\p{{N}}]&&[{letters}]]", UNSPACED),
        (rf"[\p{{M}}&&[{marks}]]", UNSPACED),
        (r"\s", SPACE),
        # UAX #14 keeps opening punctuation with what follows and closing with what precedes; these
        # are their general categories. Signs that join words are no closing punctuation.
        (r"[\p{Ps}\p{Pi}]", OPENING),
        (r"[\p{Pe}\p{Pf}\p{Po}--[/@&#*\\]]", CLOSING),
        # Wide by UAX #11: CJK punctuation has its space in the glyph; full-width and half-width
        # letters are set without spaces, but for Hangul, which is written with them.
        (r"[[\p{ea=W}\p{ea=F}]&&\p{P}]", NEUTRAL),
        (r"[[\p{ea=F}\p{ea=H}]&&[\p{L}\p{N}]--\p{Hangul}]", UNSPACED),
        # Variation selectors: of emoji and symbols, then of ideographs.
        (r"[\uFE00-\uFE0F]", NEUTRAL),
        (r"[\U000E0100-\U000E01EF]", UNSPACED),
    ):
        _mark(table, members, code)
    table[PRIVATE_PLANES:] = table[:N_MIRRORED]
    return table


def has_letter(word: str) -> bool:
    """Returns whether a word holds a letter of any script.

    >>> has_letter("7犬"), has_letter("7!")
    (True, False)
    """
    # surrogatepass, as bad input may hold a lone surrogate: it has a class like any code point.
    points = np.frombuffer(word.encode("utf-32-le", "surrogatepass"), np.uint32)
    return bool(is_letter()[points].any())


@cache
def is_letter() -> Bool:
    """Returns for every code point whether it is a letter or a mark on one, [0x110000]."""
    return np.isin(char_classes(), (UNSPACED, SPACED))


@cache
def is_word_char() -> Bool:
    """Returns for every code point whether it is a letter, a mark on one or a digit, [0x110000]."""
    return np.isin(char_classes(), (UNSPACED, SPACED, DIGIT))


@cache
def is_grapheme_extend() -> Bool:
    """Returns for every code point whether it joins the character before it, [0x110000].

    That is: combining marks, joiners, variation selectors, emoji modifiers (UAX #29, Extend and
    SpacingMark) and the Hangul vowels and finals that NFC composes with what precedes; planes 15
    and 16 as in `char_classes`.
    """
    table = np.zeros(0x110000, np.uint8)
    members = r"[\p{M}\p{Grapheme_Extend}\p{Emoji_Modifier}\u200D\u1160-\u11FF\uD7B0-\uD7FF]"
    _mark(table, members, 1)
    table[PRIVATE_PLANES:] = table[:N_MIRRORED]
    return table.astype(bool)


def _mark(table: U8, members: str, code: int) -> None:
    # Planes 4 to 13 hold no character (Unicode 17), so two ranges cover all there are.
    for first, last in ((0, 0x40000), (0xE0000, 0xE0200)):
        characters = "".join(map(chr, range(first, last)))
        for run in regex.finditer(f"(?V1){members}+", characters):
            table[first + run.start() : first + run.end()] = code
