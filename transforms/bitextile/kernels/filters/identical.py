"""The rule `identical`: a side that repeats the other has not been translated."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule
from bitextile.kernels.filters.words import MAX_NAME_WORDS, sides_of, words_per_side
from bitextile.schema.kinds import PAIRS


@dataclass(frozen=True, kw_only=True)
class IdenticalOptions:
    """Options of `identical`."""

    drop_identical: bool = True
    """Whether pairs are dropped whose sides are the same text of more than 3 words, that is,
    untranslated ones (1.5 % of Hansards and of lafand en-sw)."""


def identical_words(rows: Rows, config: IdenticalOptions) -> F64:
    """Returns the words of each row whose sides are the same text, 0 for others, [n]."""
    src, tgt = sides_of(rows.batch)
    # Exact equality: what is nearly the same may be a translation between close languages.
    same = pc.equal(src, tgt).to_numpy(zero_copy_only=False)
    return np.where(same, rows.feature(words_per_side).max(axis=1), 0.0)


IDENTICAL = Rule(
    name="identical",
    version=1,
    doc="Drops pairs whose sides are the same text; the value is its number of words.",
    measure=identical_words,
    limit=lambda config: MAX_NAME_WORDS if config.drop_identical else None,
    kinds=(PAIRS,),
    options=IdenticalOptions,
)
