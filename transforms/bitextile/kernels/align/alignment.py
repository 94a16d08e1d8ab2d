"""The word alignment of a batch of sentence pairs, as every aligner returns it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import Floats, Ints, offsets_of
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import LINK, LINKS

LEAST_SCORE = 1e-6
"""Scores are not below this, so that their logarithm is finite."""
MAX_WORDS = 32767
"""Longest sentence whose word indices fit the int16 of a link."""


@dataclass(frozen=True)
class Alignment:
    """Word alignment of a batch of sentence pairs.

    Attributes:
        links: LINKS [pairs], sorted by (src, tgt); the score of a link lies in (0, 1].
        score: float32 [pairs], mean natural logarithm of the scores of a pair's links; without any
            link the logarithm of LEAST_SCORE, which no pair with links is below.
    """

    links: pa.ListArray
    score: pa.FloatArray

    def slice(self, first: int, n_pairs: int) -> "Alignment":
        """Returns the alignment of at most `n_pairs` pairs from `first` on."""
        return Alignment(self.links.slice(first, n_pairs), self.score.slice(first, n_pairs))


class WordLinks(NamedTuple):
    """Links of many pairs: pair, source word, target word (integers) and score (float), sorted."""

    pair: Ints
    src: Ints
    tgt: Ints
    score: Floats


def to_alignment(links: WordLinks, n_pairs: int) -> Alignment:
    """Returns links as columns of kind ALIGNED.

    Args:
        links: sorted by (pair, src, tgt).
        n_pairs: rows.

    Raises:
        InputError: a word's index does not fit a link.

    >>> one, two = np.array([0, 1]), np.array([1, 0])
    >>> to_alignment(WordLinks(np.array([1, 1]), one, two, np.array([1.0, 0.5])), 2).links[1]
    <pyarrow.ListScalar: [{'src': 0, 'tgt': 1, 'score': 1.0}, {'src': 1, 'tgt': 0, 'score': 0.5}]>
    """
    # Before the cast to int16, which would wrap round in silence.
    last = max(links.src.max(initial=0), links.tgt.max(initial=0))
    if last >= MAX_WORDS:
        raise InputError(f"a sentence has {last + 1} words, links number {MAX_WORDS}; split it")
    n = np.bincount(links.pair, minlength=n_pairs)
    offsets = offsets_of(n).astype(np.int32)
    columns = [
        links.src.astype(np.int16),
        links.tgt.astype(np.int16),
        links.score.astype(np.float32),
    ]
    items = pa.StructArray.from_arrays([pa.array(c) for c in columns], fields=list(LINK))
    # In float64: a float32 sum over the links of a long pair would lose the last digits.
    logs = np.log(links.score.astype(np.float64))
    total = np.bincount(links.pair, logs, minlength=n_pairs)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.log(LEAST_SCORE))
    return Alignment(
        pa.ListArray.from_arrays(pa.array(offsets), items, type=LINKS),
        pa.array(mean.astype(np.float32)),
    )
