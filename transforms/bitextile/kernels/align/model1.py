"""IBM model 1 in both directions, trained to agree (Brown et al. 1993; Liang et al. 2006).

The E-step multiplies the posteriors of the two directions:

    count(e, f) = sum over cells (i, j) of p(a_j = i) p(b_i = j)
                = p(f|e) p(e|f) * sum over cells of 1 / (z_j z_i)

because in model 1 both probabilities are the same in every cell of a word pair. So an iteration is
two sweeps: one for the totals z of each word, one for the inner sum.
"""

from functools import partial

import numpy as np

from bitextile.kernels.align.backoff import Classes, set_probabilities
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.cooccurrence import (
    N_ROW_PARTS,
    Places,
    Table,
    row_work,
)
from bitextile.kernels.align.corpus import F32, I32, Corpus
from bitextile.kernels.align.jit import compiled, inner
from bitextile.kernels.align.threads import even_parts, over_parts


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
    corpus: Corpus,
    places: Places,
    table: Table,
    z_src: F32,
    z_tgt: F32,
    n_tgt: int,
    part: tuple[int, int],
) -> None:
    """Adds to z_src and z_tgt the translation probabilities each word of these sentences faces."""
    dense = np.zeros((n_tgt, 2), np.float32)
    low, high = corpus.src_at[part[0]], corpus.src_at[part[1]]
    for e in range(len(table.start) - 1):
        begin, end = table.start[e], table.start[e + 1]
        here = places.where[places.start[e] : places.start[e + 1]]
        a, b = _below(here, low), _below(here, high)
        if a == b:
            continue
        for k in range(begin, end):
            dense[table.tgt[k], 0] = table.p_tgt[k]
            dense[table.tgt[k], 1] = table.p_src[k]
        for i in here[a:b]:
            s = places.sentence[i]
            z = np.float32(0)
            for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                f = corpus.tgt[j]
                z_tgt[j] += dense[f, 0]
                z += dense[f, 1]
            z_src[i] += z
        for k in range(begin, end):
            dense[table.tgt[k], 0] = 0
            dense[table.tgt[k], 1] = 0


@compiled
def _counts(
    corpus: Corpus,
    places: Places,
    table: Table,
    weight_src: F32,
    weight_tgt: F32,
    counts: F32,
    n_tgt: int,
    part: tuple[int, int],
) -> None:
    """Sets the expected counts of a range of rows; the weights are 1 / z."""
    inner = np.zeros(n_tgt, np.float32)
    for e in range(part[0], part[1]):
        for i in places.where[places.start[e] : places.start[e + 1]]:
            s = places.sentence[i]
            w = weight_src[i]
            for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                inner[corpus.tgt[j]] += w * weight_tgt[j]
        for k in range(table.start[e], table.start[e + 1]):
            counts[k] = table.p_tgt[k] * table.p_src[k] * inner[table.tgt[k]]
        for i in places.where[places.start[e] : places.start[e + 1]]:
            s = places.sentence[i]
            for f in corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]:
                inner[f] = 0


def train_model1(
    corpus: Corpus,
    places: Places,
    table: Table,
    null_src: F32,
    null_tgt: F32,
    classes: Classes,
    *,
    config: AlignerConfig,
    n_threads: int,
) -> None:
    """Trains the table in place.

    Args:
        corpus: the sample.
        places: of its source words.
        table: candidate pairs with their first probabilities.
        null_src: float32 [source words], weight of the null word for each source word.
        null_tgt: float32 [target words], likewise.
        classes: words that back each other.
        config: how many iterations, and the weights of the M-step.
        n_threads: threads to use; the result does not depend on it.
    """
    rows = even_parts(row_work(corpus, places), N_ROW_PARTS)
    # Every word's total is summed along the vocabulary whatever the cut: cut by threads.
    spans = even_parts(np.diff(corpus.src_at) * np.diff(corpus.tgt_at), n_threads)
    # A row's probabilities are not read again once its counts are known: one array serves both.
    counts = table.p_tgt
    for _ in range(config.ibm1_iterations):
        weights = null_src[corpus.src], null_tgt[corpus.tgt]
        totals = partial(_totals, corpus, places, table, *weights, len(null_tgt))
        over_parts(totals, spans, n_threads=n_threads)
        for total in weights:
            np.divide(np.float32(1), total, out=total)
        expect = partial(_counts, corpus, places, table, *weights, counts, len(null_tgt))
        over_parts(expect, rows, n_threads=n_threads)
        set_probabilities(table, counts, classes, config)
