"""Subwords of sentences, their vectors, and windows over sentences an encoder cannot read whole."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bitextile.kernels.arrays import F32, I64, offsets_of


@dataclass(frozen=True)
class Subwords:
    """The subwords of sentences, one sentence after the other.

    Attributes:
        ids: int64 [subwords], of the encoder's vocabulary.
        at: int64 [sentences + 1], where each sentence begins.
        word: int64 [subwords], index in its sentence of the word a subword belongs to, never
            falling.
    """

    ids: I64
    at: I64
    word: I64

    def take(self, rows: I64) -> "Subwords":
        """Returns the sentences of these indices.

        >>> Subwords(np.array([7, 8, 9]), np.array([0, 1, 3]), np.array([0, 0, 1])).take([1]).ids
        array([8, 9])
        """
        lengths = np.diff(self.at)[rows]
        at = offsets_of(lengths)
        # rows [2 0] of at [0 2 5 6]:   lengths [1 2]   at [0 1 3]   index [5 | 0 1]
        index = np.arange(at[-1]) + np.repeat(self.at[rows] - at[:-1], lengths)
        return Subwords(self.ids[index], at, self.word[index])

    def append(self, other: "Subwords") -> "Subwords":
        """Returns these sentences followed by those of `other`."""
        at = np.concatenate([self.at, other.at[1:] + self.at[-1]])
        return Subwords(np.append(self.ids, other.ids), at, np.append(self.word, other.word))


@dataclass(frozen=True)
class TokenVectors:
    """Vectors of the tokens (subwords or words) of sentences, one sentence after the other.

    Attributes:
        vectors: float32 [tokens, H].
        at: int64 [sentences + 1], where each sentence begins.
        word: int64 [tokens], index in its sentence of the word a token belongs to, never falling.
    """

    vectors: F32
    at: I64
    word: I64


class ContextWindow(NamedTuple):
    """A window of a sequence: [start, stop) is encoded, [own_start, own_stop) is taken from it."""

    start: int
    stop: int
    own_start: int
    own_stop: int

    def shift(self, by: int) -> "ContextWindow":
        """Returns the window of a sequence that begins `by` elements later."""
        return ContextWindow(*(place + by for place in self))


def context_windows(length: int, max_length: int) -> list[ContextWindow]:
    """Returns overlapping windows over a sequence, so that each element has context on both sides.

    Windows are spread evenly and overlap by at least a quarter; an overlap is divided in the
    middle, so an element away from the ends sees an eighth of `max_length` or more on either side.

    Args:
        length: elements in all.
        max_length: elements of a window, at most.

    >>> context_windows(5, 8)
    [ContextWindow(start=0, stop=5, own_start=0, own_stop=5)]
    >>> [(p.start, p.stop, p.own_start, p.own_stop) for p in context_windows(14, 8)]
    [(0, 8, 0, 7), (6, 14, 7, 14)]
    """
    if length <= max_length:
        return [ContextWindow(0, length, 0, length)]
    # length 14, max_length 8   |0 . . . . . 6 7|               taken: 0 to 6
    #                                       |6 7 . . . . . 13|  taken: 7 to 13
    overlap = max_length // 4
    n = -(-(length - overlap) // (max_length - overlap))
    # All windows are full, so that the encoder sees no shorter context at the end than elsewhere.
    starts = [k * (length - max_length) // (n - 1) for k in range(n)]
    cuts = [0, *((a + max_length + b) // 2 for a, b in pairwise(starts)), length]
    return [ContextWindow(s, s + max_length, *own) for s, own in zip(starts, pairwise(cuts))]
