"""Which words stand beside which, without an index per cell of every sentence.

All work runs along one source word at a time: its places are known, so the target words beside it
are counted, or looked up, in one dense array that stays in cache. That counts candidate pairs in
two sweeps, and lets model 1 run without ever storing a cell.

Candidates are the most memory a fit takes, so each has one count and nothing else: the two
probabilities of a pair are worked out of it where they are read (backoff.py).
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.corpus import TOKENS_AT_ONCE, Corpus, frequencies
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.jit import compiled, inner
from bitextile.kernels.align.threads import even_parts, map_parts
from bitextile.kernels.arrays import F32, I32, I64, offsets_of

MOST_ROW_PARTS = 64
"""Ranges of source words; more than cores, because frequent words make ranges uneven."""
LEAST_ROW_WORK = 1 << 16
"""Cells or entries of a range, about a millisecond's work: less is not worth a thread."""


def row_parts(work: I64) -> list[tuple[int, int]]:
    """Returns the ranges of rows, or of classes of rows, to work on at a time, given their work."""
    return even_parts(work, min(MOST_ROW_PARTS, 1 + int(work.sum()) // LEAST_ROW_WORK))


class Places(NamedTuple):
    """Where each source word occurs, and what that makes it face.

    Attributes:
        start: int64 [source words + 1]; word w occurs in sentence[start[w]:start[w + 1]].
        sentence: int32 [tokens], ascending for each word; one that it occurs in twice comes twice.
        beside: int64 [source words], target words in these sentences, with repetition.
    """

    start: I64
    sentence: I32
    beside: I64


class Counts(NamedTuple):
    """Sparse counts of word pairs, one row per source word.

    Attributes:
        start: int64 [source words + 1], row e is start[e]:start[e + 1].
        tgt: int32 [entries], target word.
        value: float32 [entries], how often the pair is seen together, then expected links.
    """

    start: I64
    tgt: I32
    value: F32


class Table(NamedTuple):
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


@compiled
def places_of(corpus: Corpus, n_src: int) -> Places:
    """Returns where each of `n_src` source words occurs."""
    start = np.zeros(n_src + 1, np.int64)
    for token in corpus.src:
        start[token + 1] += 1
    for word in range(n_src):
        start[word + 1] += start[word]
    fill = start[:-1].copy()
    sentence = np.empty(len(corpus.src), np.int32)
    beside = np.zeros(n_src, np.int64)
    for s in range(len(corpus.src_at) - 1):
        for t in range(corpus.src_at[s], corpus.src_at[s + 1]):
            e = corpus.src[t]
            sentence[fill[e]] = s
            fill[e] += 1
            beside[e] += corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    return Places(start, sentence, beside)


def faced(corpus: Corpus, n_tgt: int) -> I64:
    """Returns how many source words each target word stands beside, with repetition."""
    n_src, n_words = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    total = np.zeros(n_tgt)
    for first, last in even_parts(n_words, -(-len(corpus.tgt) // TOKENS_AT_ONCE)):
        beside = np.repeat(n_src[first:last], n_words[first:last])
        words = corpus.tgt[corpus.tgt_at[first] : corpus.tgt_at[last]]
        total += np.bincount(words, beside, minlength=n_tgt)
    return total.astype(np.int64)


class Rule(NamedTuple):
    """Which pairs seen together become candidates.

    Attributes:
        expected: float32 [target words], least count per cell beside the source word.
        frequency: int64 [target words].
        often: a pair seen once is left out where both words are seen more often than this.
    """

    expected: F32
    frequency: I64
    often: int


@inner
def _is_candidate(seen: int, f: int, beside: int, occurrences: int, rule: Rule) -> bool:
    if seen == 1 and occurrences > rule.often and rule.frequency[f] > rule.often:
        return False
    return seen >= beside * rule.expected[f]


@compiled
def _rows(
    part: tuple[int, int], corpus: Corpus, places: Places, rule: Rule, size: I64, counts: Counts
) -> None:
    """Sets the sizes of a range of rows; where the counts have room already, their content."""
    seen = np.zeros(len(rule.expected), np.int32)
    touched = np.empty(len(rule.expected), np.int32)
    for e in range(part[0], part[1]):
        n, n_places = 0, places.start[e + 1] - places.start[e]
        for s in places.sentence[places.start[e] : places.start[e + 1]]:
            for f in corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]:
                if seen[f] == 0:
                    touched[n] = f
                    n += 1
                seen[f] += 1
        at = counts.start[e]
        for f in touched[:n]:
            if _is_candidate(seen[f], f, places.beside[e], n_places, rule):
                if len(counts.tgt) > 0:
                    counts.tgt[at] = f
                    counts.value[at] = seen[f]
                at += 1
            seen[f] = 0
        size[e] = at - counts.start[e]


def candidates(
    corpus: Corpus, places: Places, n_tgt: int, *, config: HmmModelConfig, n_threads: int
) -> Counts:
    """Returns the word pairs worth a parameter and how often each is seen together.

    A pair is a candidate when it is seen at least `min_association` times as often as the target
    word's frequency alone makes expect, and more than once if both its words are frequent.

    Args:
        corpus: the sample.
        places: of its source words.
        n_tgt: target vocabulary size.
        config: with `min_association` and `max_singleton_frequency`.
        n_threads: threads to use; the result does not depend on it.
    """
    frequency = frequencies(corpus.tgt, n_tgt)
    expected = config.min_association * frequency / max(1, len(corpus.tgt))
    rule = Rule(expected.astype(np.float32), frequency, config.max_singleton_frequency)
    parts = row_parts(places.beside)
    size = np.zeros(len(places.beside), np.int64)

    def filled(counts: Counts) -> Counts:
        map_parts(
            lambda part: _rows(part, corpus, places, rule, size, counts),
            parts,
            n_threads=n_threads,
        )
        return counts

    filled(_room(np.zeros(len(size) + 1, np.int64)))
    return filled(_room(offsets_of(size)))


def _room(start: I64) -> Counts:
    n = int(start[-1])
    return Counts(start, np.empty(n, np.int32), np.empty(n, np.float32))
