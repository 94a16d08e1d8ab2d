"""Which words occur in the same sentence pairs, without an index per cell of every sentence.

All work runs along one source word at a time: its occurrences are known, so the target words of the
same sentence pairs are counted, or looked up, in one dense array that stays in cache. That counts
word pairs in two sweeps, and lets IBM model 1 run without ever storing a cell.

Word pairs are the most memory a fit takes, so each has one count and nothing else: the two
probabilities of a pair are computed from it where they are read (m_step.py).
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.corpus import TOKENS_PER_BATCH, Corpus, count_words
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.jit import njit, njit_inner
from bitextile.kernels.align.threads import balanced_chunks, thread_map
from bitextile.kernels.arrays import F32, I32, I64, offsets_of

MAX_ROW_CHUNKS = 64
"""Ranges of source words; more than cores, because frequent words make ranges uneven."""
MIN_CHUNK_WORK = 1 << 16
"""Cells or entries of a range, about a millisecond's work: less is not worth a thread."""


def row_chunks(work: I64) -> list[tuple[int, int]]:
    """Returns the ranges of rows, or of classes of rows, to work on at a time, given their work."""
    return balanced_chunks(work, min(MAX_ROW_CHUNKS, 1 + int(work.sum()) // MIN_CHUNK_WORK))


class Occurrences(NamedTuple):
    """Where each source word occurs, and how many target words it could be linked to there.

    Attributes:
        start: int64 [source words + 1]; word w occurs in sentence[start[w]:start[w + 1]].
        sentence: int32 [tokens], ascending for each word; one that it occurs in twice comes twice.
        exposure: int64 [source words], target words in these sentences, with repetition.
    """

    start: I64
    sentence: I32
    exposure: I64


class PairCounts(NamedTuple):
    """Sparse counts of word pairs, one row per source word.

    Attributes:
        start: int64 [source words + 1], row e is start[e]:start[e + 1].
        tgt: int32 [entries], target word.
        value: float32 [entries], how often the pair is seen together, then expected links.
    """

    start: I64
    tgt: I32
    value: F32


class TranslationTable(NamedTuple):
    """Sparse translation probabilities, one row per source word.

    Attributes:
        start: int64 [source words + 1], row e is start[e]:start[e + 1].
        tgt: int32 [entries], target word.
        p_tgt: float32 [entries], p(target word | source word).
        p_src: float32 [entries], p(source word | target word).
    """

    start: I64
    tgt: I32
    p_tgt: F32
    p_src: F32


@njit
def find_occurrences(corpus: Corpus, n_src: int) -> Occurrences:
    """Returns where each of `n_src` source words occurs."""
    # sentences [a b] [b] [a a], a = 0, b = 1   ->   start [0 3 5]   sentence [0 2 2 | 0 1]
    # A word that a sentence has twice lists it twice, so a sum over `sentence` is one over tokens.
    start = np.zeros(n_src + 1, np.int64)
    for token in corpus.src:
        start[token + 1] += 1
    for word in range(n_src):
        start[word + 1] += start[word]
    # Counting sort: sizes, offsets, then each token to the next free slot of its word.
    fill = start[:-1].copy()
    sentence = np.empty(len(corpus.src), np.int32)
    exposure = np.zeros(n_src, np.int64)
    for s in range(len(corpus.src_at) - 1):
        for t in range(corpus.src_at[s], corpus.src_at[s + 1]):
            e = corpus.src[t]
            sentence[fill[e]] = s
            fill[e] += 1
            exposure[e] += corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    return Occurrences(start, sentence, exposure)


def target_exposure(corpus: Corpus, n_tgt: int) -> I64:
    """Returns how many source words are in the sentence pairs of each target word.

    The same of target words as `Occurrences.exposure` of source words.
    """
    n_src, n_words = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    # bincount sums weights in float64: exact for whole numbers below 2^53, so the cast is, too.
    total = np.zeros(n_tgt)
    for first, last in balanced_chunks(n_words, -(-len(corpus.tgt) // TOKENS_PER_BATCH)):
        exposure = np.repeat(n_src[first:last], n_words[first:last])
        words = corpus.tgt[corpus.tgt_at[first] : corpus.tgt_at[last]]
        total += np.bincount(words, exposure, minlength=n_tgt)
    return total.astype(np.int64)


class PairFilter(NamedTuple):
    """Which pairs seen together get a parameter.

    Attributes:
        expected: float32 [target words], least count per unit of the source word's exposure.
        frequency: int64 [target words].
        max_singleton_frequency: a pair seen once is left out where both words are seen more often.
    """

    expected: F32
    frequency: I64
    max_singleton_frequency: int


@njit_inner
def _is_kept(seen: int, f: int, exposure: int, n_occurrences: int, rule: PairFilter) -> bool:
    # Both must be frequent: a rare word that meets a frequent one once has no other evidence, while
    # two frequent ones had many chances to meet and took one.
    limit = rule.max_singleton_frequency
    if seen == 1 and n_occurrences > limit and rule.frequency[f] > limit:
        return False
    return seen >= exposure * rule.expected[f]


@njit
def _fill_rows(
    rows: tuple[int, int],
    corpus: Corpus,
    occurrences: Occurrences,
    rule: PairFilter,
    size: I64,
    counts: PairCounts,
) -> None:
    """Sets the sizes of a range of rows; if the counts are allocated already, their content."""
    # As long as the target vocabulary, but never cleared as a whole: `touched` lists what a row has
    # set, so a rare word costs its own few entries only.
    seen = np.zeros(len(rule.expected), np.int32)
    touched = np.empty(len(rule.expected), np.int32)
    for e in range(rows[0], rows[1]):
        n, n_occurrences = 0, occurrences.start[e + 1] - occurrences.start[e]
        for s in occurrences.sentence[occurrences.start[e] : occurrences.start[e + 1]]:
            for f in corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]:
                if seen[f] == 0:
                    touched[n] = f
                    n += 1
                seen[f] += 1
        # A row's entries are in the order in which its words were first met.
        at = counts.start[e]
        for f in touched[:n]:
            if _is_kept(seen[f], f, occurrences.exposure[e], n_occurrences, rule):
                if len(counts.tgt) > 0:
                    counts.tgt[at] = f
                    counts.value[at] = seen[f]
                at += 1
            seen[f] = 0
        size[e] = at - counts.start[e]


def count_cooccurrences(
    corpus: Corpus, occurrences: Occurrences, n_tgt: int, *, config: HmmModelConfig, n_threads: int
) -> PairCounts:
    """Returns the word pairs worth a parameter and how often each is seen together.

    A pair is kept when it is seen at least `min_association` times as often as the target word's
    frequency alone makes expect, and more than once if both its words are frequent.

    Args:
        corpus: the sample.
        occurrences: of its source words.
        n_tgt: target vocabulary size.
        config: with `min_association` and `max_singleton_frequency`.
        n_threads: threads to use; the result does not depend on it.
    """
    frequency = count_words(corpus.tgt, n_tgt)
    expected = config.min_association * frequency / max(1, len(corpus.tgt))
    rule = PairFilter(expected.astype(np.float32), frequency, config.max_singleton_frequency)
    # A thread writes only rows of its own range, so no sum is shared and their number changes no
    # bit.
    chunks = row_chunks(occurrences.exposure)
    size = np.zeros(len(occurrences.exposure), np.int64)

    def fill(counts: PairCounts) -> PairCounts:
        thread_map(
            lambda rows: _fill_rows(rows, corpus, occurrences, rule, size, counts),
            chunks,
            n_threads=n_threads,
        )
        return counts

    # A first sweep finds the sizes of the rows, a second one fills them.
    fill(_allocate(np.zeros(len(size) + 1, np.int64)))
    return fill(_allocate(offsets_of(size)))


def _allocate(start: I64) -> PairCounts:
    n = int(start[-1])
    return PairCounts(start, np.empty(n, np.int32), np.empty(n, np.float32))
