"""Bootstrap intervals: how far a figure would move on another sample of the same sentences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bitextile.kernels.arrays import F64
from bitextile.kernels.randomness import uniform

RESAMPLES = 1_000
"""Enough for two digits of a 95 % interval (Efron and Tibshirani 1993, chapter 13)."""

SEED = 0
"""Of the resamples: the same data give the same interval on any machine."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % bootstrap interval.

    Attributes:
        value: over all sentences.
        low: 2.5th percentile over the resamples.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float


def bootstrap(terms: F64, figure: Callable[[F64], float], *, operation: str) -> Estimate:
    """Returns a figure of summed terms with its percentile interval.

    Args:
        terms: [n, k] what each sentence adds to k sums.
        figure: from the k sums to the figure.
        operation: names the draw.

    Source: Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13.

    >>> hits = np.asarray([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    >>> bootstrap(hits, lambda s: s[0] / s[1], operation="doc").value
    0.75
    """
    n = len(terms)
    resampled = []
    for sample in range(RESAMPLES):
        key = np.asarray([sample], np.uint64)
        draw = uniform(key, seed=SEED, operation=f"bootstrap/{operation}", position=np.arange(n))
        # How often each sentence is drawn: a resample then costs one product, and no copy of rows.
        counts = np.bincount((draw * n).astype(np.int64), minlength=n)
        resampled.append(figure(counts @ terms))
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(float(figure(terms.sum(axis=0))), float(low), float(high))
