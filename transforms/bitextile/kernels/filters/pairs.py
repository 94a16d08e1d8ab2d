"""Which rows are fit for training: rules with a name, a version and a measured value."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, Bool
from bitextile.kernels.rejects import Filtered, join, reject_rows
from bitextile.schema.errors import ConfigError

# Characters that make a word, so that lengths compare across scripts. Measured on the shared
# Tatoeba text: Han 1.55 per jieba word (21,007 Chinese sentences), kana 1.86 per Sudachi mode-A
# word (43,953 Japanese ones, least squares beside Han). Thai is our estimate.
_CHARS_PER_WORD = {r"\p{Han}": 1.5, r"[\p{Hiragana}\p{Katakana}ー]": 1.9, r"\p{Thai}": 4.0}
_SPACED = r"[^\s\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}]+"


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Limits of `Filter`.

    Attributes:
        max_words: of a side; our choice: 200 words fill most of the 512 positions that the usual
            encoders have.
        max_length_ratio: of the longer side to the shorter, in words, after adding
            `length_smoothing` to both; 3 is our choice (it drops 25 of 447,179 real pairs).
        length_smoothing: words added to both sides, so that "Go." may be "Va t'en d'ici !".
        drop_identical: drop pairs whose sides are the same text of more than 3 words, that is,
            untranslated ones (1.5 % of Hansards and of lafand en-sw).
    """

    max_words: int = 200
    max_length_ratio: float = 3.0
    length_smoothing: float = 3.0
    drop_identical: bool = True

    def __post_init__(self) -> None:
        # Asked for what is right, so that a NaN is refused too.
        if not (self.max_words >= 1 and self.max_length_ratio >= 1 and self.length_smoothing >= 0):
            raise ConfigError(
                f"filters: max_words {self.max_words}, max_length_ratio {self.max_length_ratio}, "
                f"length_smoothing {self.length_smoothing}; expected at least 1, 1 and 0"
            )


def estimate_words(text: pa.StringArray) -> F64:
    """Returns about how many words each text has, without cutting it into words.

    Args:
        text: [n] strings.

    Returns:
        [n] space-separated runs, plus characters of unspaced scripts over their usual word length.

    >>> estimate_words(pa.array(["one two three", "我们明天去学校。"])).round().tolist()
    [3.0, 6.0]
    """
    words = pc.count_substring_regex(text, _SPACED).to_numpy(zero_copy_only=False)
    total = words.astype(np.float64)
    if len(text) and pc.min(pc.equal(pc.utf8_length(text), pc.binary_length(text))).as_py():
        return total
    for script, chars in _CHARS_PER_WORD.items():
        total += pc.count_substring_regex(text, script).to_numpy(zero_copy_only=False) / chars
    return total


def filter_pairs(batch: pa.RecordBatch, *, config: FilterConfig) -> Filtered:
    """Returns the pairs within the limits, and the others as rejects of the first rule they break.

    Args:
        batch: PAIRS rows, normalised.
        config: the limits.

    Rules: `empty/1` (value: empty sides), `too_long/1` (words of the longer side),
    `length_ratio/1` (the ratio), `identical/1` (words).
    """
    src, tgt = batch.column("src"), batch.column("tgt")
    words = np.stack([estimate_words(src), estimate_words(tgt)])
    empty = sum(
        pc.equal(side, "").to_numpy(zero_copy_only=False).astype(float) for side in (src, tgt)
    )
    longest, shortest = words.max(0), words.min(0)
    ratio = (longest + config.length_smoothing) / np.maximum(
        shortest + config.length_smoothing, 1e-9
    )
    same = pc.equal(src, tgt).to_numpy(zero_copy_only=False) & (longest > 3)
    rules = [
        ("empty/1", empty > 0, empty),
        ("too_long/1", longest > config.max_words, longest),
        ("length_ratio/1", ratio > config.max_length_ratio, ratio),
        ("identical/1", same & config.drop_identical, longest),
    ]
    return apply_rules(batch, rules)


def filter_mono(batch: pa.RecordBatch, *, config: FilterConfig) -> Filtered:
    """Returns the sentences within the limits, and the others as rejects.

    Args:
        batch: MONO rows, normalised.
        config: the limits; those on pairs do not apply.
    """
    words = estimate_words(batch.column("text"))
    empty = pc.equal(batch.column("text"), "").to_numpy(zero_copy_only=False)
    rules = [
        ("empty/1", empty, empty.astype(float)),
        ("too_long/1", words > config.max_words, words),
    ]
    return apply_rules(batch, rules)


def apply_rules(
    batch: pa.RecordBatch,
    rules: list[tuple[str, Bool, F64]],
) -> Filtered:
    """Returns the rows that no rule drops; each other row is a reject of its first rule.

    Args:
        batch: [n] rows.
        rules: name, [n] whether it drops the row, [n] what it measured.
    """
    rejects, dropped = [], np.zeros(batch.num_rows, bool)
    for rule, drops, value in rules:
        first = np.flatnonzero(drops & ~dropped)
        rejects.append(reject_rows(batch.take(pa.array(first)), rule=rule, value=value[first]))
        dropped |= drops
    return Filtered(batch.filter(pa.array(~dropped)) if dropped.any() else batch, join(rejects))
