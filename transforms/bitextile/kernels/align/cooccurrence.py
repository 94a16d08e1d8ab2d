"""Which words stand beside which, without an index per cell of every sentence.

All work runs along one source word at a time: its places are known, so the target words beside it
are counted, or looked up, in one dense array that stays in cache. That makes the table of candidate
pairs in a single sweep, and lets model 1 run without ever storing a cell.
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.corpus import F32, I32, I64, Corpus
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


@compiled
def _candidate_sizes(
    first: int, last: int, corpus: Corpus, places: Places, work: I64, expected: F32, size: I64
) -> None:
    seen = np.zeros(len(expected), np.int32)
    touched = np.empty(len(expected), np.int32)
    for e in range(first, last):
        for f in touched[: _tally(e, corpus, places, seen, touched)]:
            size[e] += seen[f] >= work[e] * expected[f]
            seen[f] = 0


@compiled
def _candidate_rows(
    first: int, last: int, corpus: Corpus, places: Places, work: I64, expected: F32, table: Table
) -> None:
    seen = np.zeros(len(expected), np.int32)
    touched = np.empty(len(expected), np.int32)
    for e in range(first, last):
        n = _tally(e, corpus, places, seen, touched)
        at = table.start[e]
        for f in touched[:n]:
            if seen[f] >= work[e] * expected[f]:
                table.tgt[at] = f
                table.p_tgt[at] = seen[f]
                at += 1
            seen[f] = 0


def candidates(
    corpus: Corpus, places: Places, n_tgt: int, *, min_association: float, n_threads: int
) -> Table:
    """Returns the word pairs worth a parameter, each with the probabilities chance would see.

    A pair is a candidate when it is seen more often than `min_association` times what the target
    word's frequency alone makes expect. p_tgt starts as the share of the target word among all
    words beside the source word, p_src the other way round.

    Args:
        corpus: the sample.
        places: of its source words.
        n_tgt: target vocabulary size.
        min_association: a ratio; 0 takes every pair seen.
        n_threads: threads to use; the result does not depend on it.
    """
    work = row_work(corpus, places)
    share = np.bincount(corpus.tgt, minlength=n_tgt) / max(1, len(corpus.tgt))
    expected = (min_association * share).astype(np.float32)
    parts = even_parts(work, N_ROW_PARTS)
    size = np.zeros(len(work), np.int64)
    over_parts(
        lambda part: _candidate_sizes(*part, corpus, places, work, expected, size),
        parts,
        n_threads=n_threads,
    )
    start = np.concatenate([[0], np.cumsum(size)])
    n = int(start[-1])
    table = Table(start, np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.float32))
    over_parts(
        lambda part: _candidate_rows(*part, corpus, places, work, expected, table),
        parts,
        n_threads=n_threads,
    )
    beside = np.bincount(
        corpus.tgt, np.repeat(np.diff(corpus.src_at), np.diff(corpus.tgt_at)), n_tgt
    ).astype(np.float32)
    np.divide(table.p_tgt, beside[table.tgt], out=table.p_src)
    np.divide(table.p_tgt, work[table.rows].astype(np.float32), out=table.p_tgt)
    return table


def pruned(table: Table, keep: np.ndarray) -> Table:
    """Returns the table with only the entries where `keep` (bool [entries]) holds."""
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    return Table(kept_before[table.start], table.tgt[keep], table.p_tgt[keep], table.p_src[keep])
