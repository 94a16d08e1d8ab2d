"""Which words stand beside which, without an index per cell of every sentence.

All work runs along one source word at a time: its places are known, so the target words beside it
are counted, or looked up, in one dense array that stays in cache. That makes the table of candidate
pairs in a single sweep, and lets model 1 run without ever storing a cell.
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.corpus import F32, F64, I32, I64, Corpus
from bitextile.kernels.align.jit import compiled, inner
from bitextile.kernels.align.threads import even_parts, over_parts

N_ROW_PARTS = 64
"""Ranges of source words; more than cores, because frequent words make ranges uneven."""


class Places(NamedTuple):
    """Where each word occurs: word w at tokens `where[start[w]:start[w + 1]]`, ascending.

    Attributes:
        start: int64 [words + 1].
        where: int32 [tokens], positions in the token array.
        sentence: int32 [tokens], the sentence each token (not each place) belongs to.
    """

    start: I64
    where: I32
    sentence: I32


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

    @property
    def rows(self) -> I32:
        """The source word of each entry, int32 [entries]."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))


@compiled
def places_of(tokens: I32, offsets: I64, n_words: int) -> Places:
    """Returns where each of `n_words` words occurs in a token array cut by `offsets`."""
    start = np.zeros(n_words + 1, np.int64)
    for token in tokens:
        start[token + 1] += 1
    for word in range(n_words):
        start[word + 1] += start[word]
    fill = start[:-1].copy()
    where = np.empty(len(tokens), np.int32)
    sentence = np.empty(len(tokens), np.int32)
    for s in range(len(offsets) - 1):
        for t in range(offsets[s], offsets[s + 1]):
            where[fill[tokens[t]]] = t
            fill[tokens[t]] += 1
            sentence[t] = s
    return Places(start, where, sentence)


@compiled
def row_work(corpus: Corpus, places: Places) -> I64:
    """Returns the number of cells beside each source word, int64 [source words]."""
    work = np.zeros(len(places.start) - 1, np.int64)
    for e in range(len(work)):
        for o in range(places.start[e], places.start[e + 1]):
            s = places.sentence[places.where[o]]
            work[e] += corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    return work


@inner
def _tally(e: int, corpus: Corpus, places: Places, seen: I32, touched: I32) -> int:
    """Counts into `seen` the target words beside source word e; returns how many are distinct."""
    n = 0
    for o in range(places.start[e], places.start[e + 1]):
        s = places.sentence[places.where[o]]
        for f in corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]:
            if seen[f] == 0:
                touched[n] = f
                n += 1
            seen[f] += 1
    return n


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
def _candidate_sizes(
    first: int, last: int, corpus: Corpus, places: Places, work: I64, rule: Rule, size: I64
) -> None:
    seen = np.zeros(len(rule.expected), np.int32)
    touched = np.empty(len(rule.expected), np.int32)
    for e in range(first, last):
        n_places = places.start[e + 1] - places.start[e]
        for f in touched[: _tally(e, corpus, places, seen, touched)]:
            size[e] += _is_candidate(seen[f], f, work[e], n_places, rule)
            seen[f] = 0


@compiled
def _candidate_rows(
    first: int, last: int, corpus: Corpus, places: Places, work: I64, rule: Rule, table: Table
) -> None:
    seen = np.zeros(len(rule.expected), np.int32)
    touched = np.empty(len(rule.expected), np.int32)
    for e in range(first, last):
        n_places = places.start[e + 1] - places.start[e]
        n = _tally(e, corpus, places, seen, touched)
        at = table.start[e]
        for f in touched[:n]:
            if _is_candidate(seen[f], f, work[e], n_places, rule):
                table.tgt[at] = f
                table.p_tgt[at] = seen[f] / work[e]
                table.p_src[at] = seen[f]
                at += 1
            seen[f] = 0


def candidates(
    corpus: Corpus, places: Places, n_tgt: int, *, config: AlignerConfig, n_threads: int
) -> Table:
    """Returns the word pairs worth a parameter, each with the probabilities chance would see.

    A pair is a candidate when it is seen at least `min_association` times as often as the target
    word's frequency alone makes expect, and more than once if both its words are frequent.
    p_tgt starts as the share of the target word among all
    words beside the source word, p_src the other way round.

    Args:
        corpus: the sample.
        places: of its source words.
        n_tgt: target vocabulary size.
        config: with `min_association` and `often`.
        n_threads: threads to use; the result does not depend on it.
    """
    work = row_work(corpus, places)
    frequency = np.bincount(corpus.tgt, minlength=n_tgt)
    expected = config.min_association * frequency / max(1, len(corpus.tgt))
    rule = Rule(expected.astype(np.float32), frequency, config.often)
    parts = even_parts(work, N_ROW_PARTS)
    size = np.zeros(len(work), np.int64)
    over_parts(
        lambda part: _candidate_sizes(*part, corpus, places, work, rule, size),
        parts,
        n_threads=n_threads,
    )
    start = np.concatenate([[0], np.cumsum(size)])
    n = int(start[-1])
    table = Table(start, np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.float32))
    over_parts(
        lambda part: _candidate_rows(*part, corpus, places, work, rule, table),
        parts,
        n_threads=n_threads,
    )
    source_words = np.repeat(np.diff(corpus.src_at), np.diff(corpus.tgt_at))
    beside = np.bincount(corpus.tgt, source_words, minlength=n_tgt).astype(np.float64)
    _divide(table.p_src, table.tgt, beside)
    return table


@compiled
def _divide(counts: F32, tgt: I32, beside: F64) -> None:
    for k in range(len(counts)):
        counts[k] /= beside[tgt[k]]


@compiled
def _kept_before(table: Table, least: float) -> I64:
    start = np.zeros(len(table.start), np.int64)
    for e in range(len(table.start) - 1):
        start[e + 1] = start[e]
        for k in range(table.start[e], table.start[e + 1]):
            start[e + 1] += table.p_tgt[k] > least or table.p_src[k] > least
    return start


@compiled
def _copy_kept(table: Table, least: float, to: Table) -> None:
    at = 0
    for k in range(len(table.tgt)):
        if table.p_tgt[k] > least or table.p_src[k] > least:
            to.tgt[at] = table.tgt[k]
            to.p_tgt[at] = table.p_tgt[k]
            to.p_src[at] = table.p_src[k]
            at += 1


def pruned(table: Table, least: float) -> Table:
    """Returns the table without the entries whose probabilities are both at most `least`."""
    start = _kept_before(table, least)
    n = int(start[-1])
    kept = Table(start, np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.float32))
    _copy_kept(table, least, kept)
    return kept
