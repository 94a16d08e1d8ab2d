"""IBM model 1 in both directions, trained to agree (Brown et al. 1993; Liang et al. 2006).

The E-step multiplies the posteriors of the two directions:

    count(e, f) = sum over cells (i, j) of p(a_j = i) p(b_i = j)
                = p(f|e) p(e|f) * sum over cells of 1 / (z_j z_i)

because in model 1 both probabilities are the same in every cell of a word pair. So an iteration is
two sweeps: one for the normaliser z of each word, one for the inner sum.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bitextile.kernels.align.corpus import Corpus, gather_by_word
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import (
    Occurrences,
    PairCounts,
    row_chunks,
    target_exposure,
)
from bitextile.kernels.align.hmm.m_step import (
    Marginals,
    add_class_counts,
    add_prior,
    cooccurrence_marginals,
    reset_class_counts,
    sum_by_class,
    translation_probabilities,
)
from bitextile.kernels.align.hmm.prior import Prior
from bitextile.kernels.align.hmm.word_classes import WordClasses
from bitextile.kernels.align.jit import njit, njit_inner
from bitextile.kernels.align.threads import balanced_chunks, thread_map
from bitextile.kernels.arrays import F32, I32


@njit_inner
def _count_below(ascending: I32, bound: int) -> int:
    """Returns how many values are below the bound, by bisection."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def _add_normalisers(
    sentences: tuple[int, int],
    corpus: Corpus,
    occurrences: Occurrences,
    counts: PairCounts,
    marginals: Marginals,
    z: F32,
) -> None:
    """Adds to z of each target token of a range of sentences its probability given each word."""
    # One row of the table at a time is laid out densely, so a cell is a load and an add.
    dense = np.zeros(len(marginals.columns), np.float32)
    class_counts = np.zeros(len(marginals.columns), np.float64)
    for c in range(len(marginals.class_start) - 1):
        class_total = add_class_counts(counts, marginals, c, class_counts)
        for e in marginals.member[marginals.class_start[c] : marginals.class_start[c + 1]]:
            of_word = occurrences.sentence[occurrences.start[e] : occurrences.start[e + 1]]
            # `of_word` is ascending, so the occurrences in this range of sentences are one slice of
            # it.
            a, b = _count_below(of_word, sentences[0]), _count_below(of_word, sentences[1])
            if a == b:
                continue
            for k in range(counts.start[e], counts.start[e + 1]):
                p_tgt, _ = translation_probabilities(
                    counts, marginals, e, k, class_counts, class_total
                )
                dense[counts.tgt[k]] = p_tgt
            for s in of_word[a:b]:
                for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                    z[j] += dense[corpus.tgt[j]]
            for k in range(counts.start[e], counts.start[e + 1]):
                dense[counts.tgt[k]] = 0
        reset_class_counts(counts, marginals, c, class_counts)


@njit
def _set_expected_counts(
    classes: tuple[int, int],
    corpus: Corpus,
    occurrences: Occurrences,
    counts: PairCounts,
    marginals: Marginals,
    null_src: F32,
    inverse_z: F32,
) -> None:
    """Sets the counts of a range of classes to the expected links."""
    n_tgt = len(marginals.columns)
    dense, inner_sum = np.zeros(n_tgt, np.float32), np.zeros(n_tgt, np.float32)
    class_counts = np.zeros(n_tgt, np.float64)
    for c in range(classes[0], classes[1]):
        class_total = add_class_counts(counts, marginals, c, class_counts)
        for e in marginals.member[marginals.class_start[c] : marginals.class_start[c + 1]]:
            of_word = occurrences.sentence[occurrences.start[e] : occurrences.start[e + 1]]
            for k in range(counts.start[e], counts.start[e + 1]):
                p_tgt, p_src = translation_probabilities(
                    counts, marginals, e, k, class_counts, class_total
                )
                dense[counts.tgt[k]] = p_src
                # In place, and safe: sums over the class were taken above, and no other row reads
                # this one's counts. Chunks are of whole classes, so no thread sums rows that
                # another one changes.
                counts.value[k] = p_tgt * p_src
            # z_i of each occurrence, then 1 / (z_j z_i) summed by target word.
            for s in of_word:
                total = np.float32(0)
                for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                    total += dense[corpus.tgt[j]]
                # The null word is one more word to explain i, so it is in z but not in the counts.
                inverse = np.float32(1) / (null_src[e] + total)
                for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                    inner_sum[corpus.tgt[j]] += inverse * inverse_z[j]
            for k in range(counts.start[e], counts.start[e + 1]):
                counts.value[k] *= inner_sum[counts.tgt[k]]
                dense[counts.tgt[k]] = 0
            # Whichever is less work: all words, or those of the sentences once more.
            if occurrences.exposure[e] > n_tgt:
                inner_sum[:] = 0
                continue
            for s in of_word:
                for f in corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]:
                    inner_sum[f] = 0
        reset_class_counts(counts, marginals, c, class_counts)


def _call(function: Callable[..., None], rest: tuple[Any, ...], first: tuple[int, int]) -> None:
    function(first, *rest)


def train_ibm1(
    corpus: Corpus,
    occurrences: Occurrences,
    counts: PairCounts,
    null_src: F32,
    null_tgt: F32,
    classes: WordClasses,
    prior: Prior,
    *,
    config: HmmModelConfig,
    n_threads: int,
    progress: Callable[[str], None] = lambda line: None,
) -> Marginals:
    """Trains in place: co-occurrence counts become expected links; returns their marginals.

    Args:
        corpus: the sample.
        occurrences: of its source words.
        counts: of the word pairs that were kept, how often they are seen together.
        null_src: float32 [source words], weight of the null word for each source word.
        null_tgt: float32 [target words], likewise.
        classes: words that back each other.
        prior: known translations.
        config: how many iterations, and the weights of the M-step.
        n_threads: threads to use; the result does not depend on it.
        progress: called with one line of text after each iteration.
    """
    tgt_exposure = target_exposure(corpus, len(null_tgt))
    marginals = cooccurrence_marginals(occurrences.exposure, tgt_exposure, classes)
    class_chunks = row_chunks(sum_by_class(occurrences.exposure, marginals))
    # Every token's sum runs along the vocabulary wherever the sentences are cut: by threads, then.
    sentence_chunks = balanced_chunks(np.diff(corpus.src_at) * np.diff(corpus.tgt_at), n_threads)
    # One float per target token is all that an iteration keeps: z_i is needed in one row only.
    z = np.empty(len(corpus.tgt), np.float32)
    for iteration in range(config.ibm1_iterations):
        # z starts as the null word's weight. Model 1's alignment probability, 1 / (length + 1), is
        # in every term of a quotient and cancels.
        gather_by_word(null_tgt, corpus.tgt, z)
        inputs = corpus, occurrences, counts, marginals
        add = partial(_call, _add_normalisers, (*inputs, z))
        thread_map(add, sentence_chunks, n_threads=n_threads)
        np.divide(np.float32(1), z, out=z)
        expect = partial(_call, _set_expected_counts, (*inputs, null_src, z))
        thread_map(expect, class_chunks, n_threads=n_threads)
        marginals = add_prior(counts, classes, prior, config)
        progress(f"IBM model 1 {iteration + 1}/{config.ibm1_iterations}")
    return marginals
