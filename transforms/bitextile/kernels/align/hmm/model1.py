"""IBM model 1 in both directions, trained to agree (Brown et al. 1993; Liang et al. 2006).

The E-step multiplies the posteriors of the two directions:

    count(e, f) = sum over cells (i, j) of p(a_j = i) p(b_i = j)
                = p(f|e) p(e|f) * sum over cells of 1 / (z_j z_i)

because in model 1 both probabilities are the same in every cell of a word pair. So an iteration is
two sweeps: one for the totals z of each word, one for the inner sum.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bitextile.kernels.align.corpus import Corpus, set_by_word
from bitextile.kernels.align.hmm.backoff import (
    Classes,
    Wholes,
    class_sums,
    forget,
    probabilities,
    seen_wholes,
    together_with,
    with_prior,
)
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import Counts, Places, faced, row_parts
from bitextile.kernels.align.hmm.prior import Prior
from bitextile.kernels.align.jit import compiled, inner
from bitextile.kernels.align.threads import even_parts, map_parts
from bitextile.kernels.arrays import F32, I32


@inner
def _below(ascending: I32, bound: int) -> int:
    """Returns how many values are below the bound."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _totals(
    part: tuple[int, int], corpus: Corpus, places: Places, counts: Counts, wholes: Wholes, z: F32
) -> None:
    """Adds to z the probabilities each target word of a range of sentences faces."""
    dense = np.zeros(len(wholes.columns), np.float32)
    together = np.zeros(len(wholes.columns), np.float64)
    for c in range(len(wholes.class_start) - 1):
        whole = together_with(counts, wholes, c, together)
        for e in wholes.member[wholes.class_start[c] : wholes.class_start[c + 1]]:
            here = places.sentence[places.start[e] : places.start[e + 1]]
            a, b = _below(here, part[0]), _below(here, part[1])
            if a == b:
                continue
            for k in range(counts.start[e], counts.start[e + 1]):
                p_tgt, _ = probabilities(counts, wholes, e, k, together, whole)
                dense[counts.tgt[k]] = p_tgt
            for s in here[a:b]:
                for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                    z[j] += dense[corpus.tgt[j]]
            for k in range(counts.start[e], counts.start[e + 1]):
                dense[counts.tgt[k]] = 0
        forget(counts, wholes, c, together)


@compiled
def _expect(
    part: tuple[int, int],
    corpus: Corpus,
    places: Places,
    counts: Counts,
    wholes: Wholes,
    null_src: F32,
    weight: F32,
) -> None:
    """Sets the counts of a range of classes to what is expected; `weight` is 1 / z."""
    n_tgt = len(wholes.columns)
    dense, inner = np.zeros(n_tgt, np.float32), np.zeros(n_tgt, np.float32)
    together = np.zeros(n_tgt, np.float64)
    for c in range(part[0], part[1]):
        whole = together_with(counts, wholes, c, together)
        for e in wholes.member[wholes.class_start[c] : wholes.class_start[c + 1]]:
            for k in range(counts.start[e], counts.start[e + 1]):
                p_tgt, p_src = probabilities(counts, wholes, e, k, together, whole)
                dense[counts.tgt[k]] = p_src
                counts.value[k] = p_tgt * p_src
            for s in places.sentence[places.start[e] : places.start[e + 1]]:
                facing = np.float32(0)
                for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                    facing += dense[corpus.tgt[j]]
                w = np.float32(1) / (null_src[e] + facing)
                for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                    inner[corpus.tgt[j]] += w * weight[j]
            for k in range(counts.start[e], counts.start[e + 1]):
                counts.value[k] *= inner[counts.tgt[k]]
                dense[counts.tgt[k]] = 0
            if places.beside[e] > n_tgt:
                inner[:] = 0
                continue
            for s in places.sentence[places.start[e] : places.start[e + 1]]:
                for f in corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]:
                    inner[f] = 0
        forget(counts, wholes, c, together)


def _apart(function: Callable[..., None], known: tuple[Any, ...], part: tuple[int, int]) -> None:
    function(part, *known)


def train_model1(
    corpus: Corpus,
    places: Places,
    counts: Counts,
    null_src: F32,
    null_tgt: F32,
    classes: Classes,
    prior: Prior,
    *,
    config: HmmModelConfig,
    n_threads: int,
) -> Wholes:
    """Trains in place: counts of candidates become expected links, with what they are shares of.

    Args:
        corpus: the sample.
        places: of its source words.
        counts: of the candidate pairs, how often they are seen together.
        null_src: float32 [source words], weight of the null word for each source word.
        null_tgt: float32 [target words], likewise.
        classes: words that back each other.
        prior: known translations.
        config: how many iterations, and the weights of the M-step.
        n_threads: threads to use; the result does not depend on it.
    """
    wholes = seen_wholes(places.beside, faced(corpus, len(null_tgt)), classes)
    rows = row_parts(class_sums(places.beside, wholes))
    # Every word's total is summed along the vocabulary whatever the cut: cut by threads.
    spans = even_parts(np.diff(corpus.src_at) * np.diff(corpus.tgt_at), n_threads)
    z = np.empty(len(corpus.tgt), np.float32)
    for _ in range(config.ibm1_iterations):
        set_by_word(null_tgt, corpus.tgt, z)
        known = corpus, places, counts, wholes
        map_parts(partial(_apart, _totals, (*known, z)), spans, n_threads=n_threads)
        np.divide(np.float32(1), z, out=z)
        map_parts(partial(_apart, _expect, (*known, null_src, z)), rows, n_threads=n_threads)
        wholes = with_prior(counts, classes, prior, config)
    return wholes
