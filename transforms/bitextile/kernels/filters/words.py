"""About how many words a text has: the length that rules compare across scripts."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64

MAX_NAME_WORDS = 3.0
"""Names, numbers and greetings of up to so many words are rightly the same in both languages."""

# Characters that make a word, so that lengths compare across scripts. Measured on Tatoeba: Han
# 1.55 per jieba word (21,007 Chinese sentences), kana 1.86 per Sudachi mode-A word (43,953 Japanese
# ones, least squares beside Han). The others are our estimates; marks count as characters.
_CHARS_PER_WORD = {
    r"\p{Han}": 1.5,
    r"[\p{Hiragana}\p{Katakana}ー]": 1.9,
    r"\p{Thai}": 4.0,
    r"\p{Lao}": 4.0,
    r"\p{Khmer}": 4.5,
    r"\p{Myanmar}": 5.5,
    r"\p{Tibetan}": 4.5,
    r"[\p{Javanese}\p{Balinese}]": 4.5,
    r"[\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}]": 4.0,
    r"[\p{Yi}\p{Bopomofo}\p{Nushu}\p{Tangut}]": 1.5,
}
UNSPACED = "".join(script.strip("[]") for script in _CHARS_PER_WORD)
"""Scripts written without spaces between words, as the inside of a character class."""
# The zero-width space parts words of these scripts, which are counted by their characters.
_SPACED = rf"[^\s\x{{200B}}{UNSPACED}]+"


def estimate_words(text: pa.StringArray) -> F64:
    """Returns about how many words each text has, without cutting it into words.

    Args:
        text: [n] strings.

    Returns:
        [n] space-separated runs, plus characters of unspaced scripts over their usual word length.

    >>> estimate_words(pa.array(["one two three", "我们明天去学校。"])).round().tolist()
    [3.0, 6.0]
    """
    # "我们 run 3 km"   ->   3 runs + 2 Han / 1.5   ->   4.3
    words = pc.count_substring_regex(text, _SPACED).to_numpy(zero_copy_only=False)
    total = words.astype(np.float64)
    # A batch of ASCII, whose bytes are as many as its characters, has none of these scripts.
    if len(text) and pc.min(pc.equal(pc.utf8_length(text), pc.binary_length(text))).as_py():
        return total
    for script, chars in _CHARS_PER_WORD.items():
        total += pc.count_substring_regex(text, script).to_numpy(zero_copy_only=False) / chars
    return total


def sides_of(batch: pa.RecordBatch) -> list[pa.StringArray]:
    """Returns the texts of a batch: those of two sides, or one column of sentences."""
    names = ("src", "tgt") if "src" in batch.schema.names else ("text",)
    return [batch.column(name) for name in names]


def words_per_side(batch: pa.RecordBatch) -> F64:
    """Returns the estimated words of each side, [n, 2] of pairs, [n, 1] of sentences."""
    return np.stack([estimate_words(side) for side in sides_of(batch)], axis=1)
