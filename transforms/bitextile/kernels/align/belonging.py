"""Whether the sides of a corpus belong together: links of its pairs against links of chance pairs.

    a(i, j) = sum of link scores between source i and target j, over the shorter side's words
    d = mean over i of (a(i, i) - a(i, j)), over the standard deviation;  j another pair's target

The aligner is fitted on three quarters of the pairs and looks at the fourth, in turn: on the pairs
it was fitted to it finds links in any corpus, as it learns by heart what happens to stand together.
The mean log score of the links tells less: of 5,000 shuffled pairs of Tanaka's en-ja it is -0.35,
of 50 of the right pairs -0.38.

Measured with the HMM (six draws of each size; en with de, cs, fr, es, ru, sw, zh, ja of Multi30k,
Tatoeba, Tanaka, LAFAND and NTREX-128, and de, zh, ar of the embedded sample):

    pairs   right, least d   shuffled, largest d   shifted by one line, largest d
       40        0.31                0.36                    0.51
       80        0.52                0.31                    0.42
      160        0.74                0.22                    0.55
      400        1.15                0.15                    0.50
    5,000        1.86 (two folds)    0.02                    0.24

The least is Tanaka's, whose sentences have little in common. Shifted lines have something to do
with each other in running text, in news (NTREX) most of all.
"""

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.engine import Runtime
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.arrays import F64

MIN_PAIRS = 40
"""Of fewer pairs nothing is said."""
SAMPLE_PAIRS = 2_000
"""Pairs that are enough: 0.7 s on one core, and the figure rises little with more."""
MIN_WORDS = 2.5
"""Mean words of the shorter side below which nothing is said: entries of a word list seldom have a
word in common, so they agree as little (0.3 to 0.5 in MUSE's) as what does not belong together."""
_FOLDS = 4
_LEAST = ((160, 0.6), (80, 0.45), (MIN_PAIRS, 0.3))


def least_agreement(n_pairs: int) -> float:
    """Returns the agreement below which sides do not belong together, for a number of pairs.

    >>> [least_agreement(n) for n in (39, 40, 100, 5_000)]
    [-inf, 0.3, 0.45, 0.6]
    """
    return next((least for n, least in _LEAST if n_pairs >= n), -np.inf)


def is_judged(first: pa.ListArray, second: pa.ListArray) -> bool:
    """Returns whether there are enough pairs, and sentences on both sides, to judge by.

    >>> words = pa.array([["a"] * 3] * 40, pa.list_(pa.string()))
    >>> is_judged(words, words), is_judged(words[:39], words[:39])
    (True, False)
    """
    return len(first) >= MIN_PAIRS and bool(np.minimum(*_words(first, second)).mean() >= MIN_WORDS)


def differences(first: pa.ListArray, second: pa.ListArray) -> F64:
    """Returns how much more of each pair is linked than of its source with a chance target.

    Args:
        first: list<string> [n], words of one side, in an order that has nothing to do with the
            text, such as that of ids: the chance target is that of a later pair.
        second: list<string> [n], words of the other side.

    Returns:
        float64 [n], in shares of the shorter side's words.
    """
    n = len(first)
    out = np.zeros(n)
    fold = np.arange(n) % _FOLDS
    config, runtime = HmmConfig(), Runtime(n_threads=1)
    for k in range(_FOLDS):
        learned, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        aligner = config.aligner_class().fit(
            first.take(pa.array(learned)),
            second.take(pa.array(learned)),
            config=config,
            runtime=runtime,
        )
        source = first.take(pa.array(held))
        right = linked_share(aligner, source, second.take(pa.array(held)))
        out[held] = right - linked_share(aligner, source, second.take(pa.array(np.roll(held, 1))))
    return out


def linked_share(aligner: object, first: pa.ListArray, second: pa.ListArray) -> F64:
    """Returns the sum of the scores of each pair's links over the shorter side's words, [n]."""
    links = aligner.align(first, second).links  # type: ignore[attr-defined]
    pair = np.repeat(np.arange(len(first)), np.diff(links.offsets.to_numpy()))
    scores = links.flatten().field("score").to_numpy(zero_copy_only=False)
    total = np.bincount(pair, scores, minlength=len(first))
    return total / np.maximum(np.minimum(*_words(first, second)), 1)


def _words(*sides: pa.ListArray) -> list[F64]:
    return [np.diff(side.offsets.to_numpy()).astype(np.float64) for side in sides]


def agreement(found: F64) -> float | None:
    """Returns d of some `differences`; None where all are equal, of which nothing can be said.

    >>> agreement(np.array([0.5, 1.5])), agreement(np.zeros(3))
    (2.0, None)
    """
    spread = float(found.std())
    return float(found.mean()) / spread if spread > 1e-9 else None
