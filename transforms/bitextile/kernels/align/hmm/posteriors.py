"""The E-step of the two HMMs over a range of sentences: what fitting and applying share.

A range of sentences is prepared along its source words (a table row is laid out in a dense array
and looked up in every sentence with that word), then each sentence gets its two lattices.
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.hmm.cooccurrence import Table, places_of
from bitextile.kernels.align.hmm.forward_backward import (
    LANES,
    Jumps,
    Lattice,
    backward,
    forward,
    lattice,
    padded,
)
from bitextile.kernels.align.jit import compiled, inner
from bitextile.kernels.arrays import F32, F64, I16, I32, I64


class Cells(NamedTuple):
    """The cells of a range of sentences whose word pair is in the table.

    Those of token i of the source side are first[i]:last[i]; all cells of a word stand together.

    Attributes:
        first: int64 [source words of the range].
        last: int64 [source words of the range].
        position: int16 [at least cells], target position in its sentence.
        entry: int32 [cells], entry of the table.
    """

    first: I64
    last: I64
    position: I16
    entry: I32


class Parameters(NamedTuple):
    """What the two HMMs know.

    Attributes:
        table: translation probabilities.
        null_src: float32 [source words], p(source word | null).
        null_tgt: float32 [target words], p(target word | null).
        to_tgt: jumps among source words while target words are explained.
        to_src: jumps among target words while source words are explained.
        p_null: probability of null.
        floor: least emission probability.
        cut: states below this share are not extended.
    """

    table: Table
    null_src: F32
    null_tgt: F32
    to_tgt: Jumps
    to_src: Jumps
    p_null: np.float32
    floor: np.float32
    cut: np.float32


class Evidence(NamedTuple):
    """What an E-step collects over a range of sentences.

    Attributes:
        log_likelihood: float64 [2], of the target given the source, of the source given the target.
        jumps_to_tgt: float32 [distances], expected jumps over their weight.
        jumps_to_src: likewise, the other direction.
        null_src: float32 [source words of the range], posterior of null.
        null_tgt: float32 [target words of the range].
        mean: float32 [all cells of the range, by sentence, source, target word] or empty where
            nobody wants it; the mean of both directions' posteriors.
        best_src: int32 [target words of the range] or empty; the likeliest source word of each, -1
            where null is at least as likely.
        best_tgt: int32 [source words of the range] or empty; the other way round.
    """

    log_likelihood: F64
    jumps_to_tgt: F32
    jumps_to_src: F32
    null_src: F32
    null_tgt: F32
    mean: F32
    best_src: I32
    best_tgt: I32


def evidence(
    corpus: Corpus,
    known: Parameters,
    *,
    for_links: bool = False,
    for_best: bool = False,
    for_jumps: bool = False,
) -> Evidence:
    """Returns an empty Evidence for a range of sentences.

    Args:
        corpus: the range.
        known: what it will be collected with.
        for_links: whether the posteriors of all cells are wanted.
        for_best: whether the best link of each word is wanted.
        for_jumps: whether expected jumps are wanted.
    """
    n_src, n_tgt = len(corpus.src), len(corpus.tgt)
    n_cells = int((np.diff(corpus.src_at) * np.diff(corpus.tgt_at)).sum())
    n_jumps = 2 * known.to_tgt.zero + 1 if for_jumps else 0
    return Evidence(
        np.zeros(2),
        np.zeros(n_jumps, np.float32),
        np.zeros(n_jumps, np.float32),
        np.zeros(n_src, np.float32),
        np.zeros(n_tgt, np.float32),
        np.zeros(n_cells if for_links else 0, np.float32),
        np.zeros(n_tgt if for_best else 0, np.int32),
        np.zeros(n_src if for_best else 0, np.int32),
    )


def sentences(corpus: Corpus, first: int, last: int) -> Corpus:
    """Returns the sentence pairs first..last as a corpus of their own, sharing its tokens."""
    src_at, tgt_at = corpus.src_at[first : last + 1], corpus.tgt_at[first : last + 1]
    src, tgt = corpus.src[src_at[0] : src_at[-1]], corpus.tgt[tgt_at[0] : tgt_at[-1]]
    return Corpus(src, src_at - src_at[0], tgt, tgt_at - tgt_at[0])


@compiled
def cells_of(corpus: Corpus, row_of: I32, table: Table, n_tgt: int) -> Cells:
    """Returns the cells of a corpus whose words are a row and a column of the table.

    Args:
        corpus: a few thousand sentence pairs; target ids are those of the table.
        row_of: int32 [source ids], the table row of each source id; -1 where there is none.
        table: translation table.
        n_tgt: more than any target id.
    """
    places = places_of(corpus, len(row_of))
    fill, where = places.start[:-1].copy(), np.empty(len(corpus.src), np.int32)
    for i in range(len(corpus.src)):
        where[fill[corpus.src[i]]] = i
        fill[corpus.src[i]] += 1
    first, last = np.zeros(len(where), np.int64), np.zeros(len(where), np.int64)
    room = 0
    for beside in places.beside:
        room += beside
    position, entry = np.empty(room, np.int16), np.empty(room, np.int32)
    after_entry = np.zeros(n_tgt, np.int32)  # the entry and one; 0 where there is none
    at = 0
    for e in range(len(row_of)):
        if places.start[e] == places.start[e + 1] or row_of[e] < 0:
            continue
        begin, end = table.start[row_of[e]], table.start[row_of[e] + 1]
        for k in range(begin, end):
            after_entry[table.tgt[k]] = k + 1
        for o in range(places.start[e], places.start[e + 1]):
            s = places.sentence[o]
            first[where[o]] = at
            for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                after = after_entry[corpus.tgt[j]]
                if after > 0:
                    position[at] = j - corpus.tgt_at[s]
                    entry[at] = after - 1
                    at += 1
            last[where[o]] = at
        for k in range(begin, end):
            after_entry[table.tgt[k]] = 0
    return Cells(first, last, position, entry[:at])


@inner
def _emissions(
    corpus: Corpus, s: int, cells: Cells, known: Parameters, one: Lattice, two: Lattice
) -> None:
    """Fills the emission rows of sentence s: `one` explains the target, `two` the source."""
    src, n_src = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
    tgt, n_tgt = corpus.tgt_at[s], corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    wide_src, wide_tgt = padded(n_src), padded(n_tgt)
    for j in range(n_tgt):
        for i in range(wide_src):
            one.emit[j * wide_src + i] = known.floor if i < n_src else np.float32(0)
        one.null_emit[j] = known.null_tgt[corpus.tgt[tgt + j]]
    for i in range(n_src):
        for j in range(wide_tgt):
            two.emit[i * wide_tgt + j] = known.floor if j < n_tgt else np.float32(0)
        two.null_emit[i] = known.null_src[corpus.src[src + i]]
        for c in range(cells.first[src + i], cells.last[src + i]):
            at, k = np.int64(cells.position[c]), cells.entry[c]
            one.emit[at * wide_src + i] = max(known.floor, known.table.p_tgt[k])
            two.emit[i * wide_tgt + at] = max(known.floor, known.table.p_src[k])


@inner
def infer(
    corpus: Corpus,
    s: int,
    cells: Cells,
    known: Parameters,
    one: Lattice,
    two: Lattice,
    found: Evidence,
) -> None:
    """Runs both HMMs on sentence s; the posteriors are then in one.gamma and two.gamma.

    Args:
        corpus: a range of sentence pairs, neither side of s empty.
        s: which of them.
        cells: of the corpus.
        known: parameters.
        one: memory; gamma becomes [target words, padded source words].
        two: memory; gamma becomes [source words, padded target words].
        found: gains the log likelihoods and, where its arrays are not empty, the expected jumps.
    """
    n_src = corpus.src_at[s + 1] - corpus.src_at[s]
    n_tgt = corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    one.size[0], one.size[1] = n_tgt, n_src
    two.size[0], two.size[1] = n_src, n_tgt
    _emissions(corpus, s, cells, known, one, two)
    found.log_likelihood[0] += forward(one, n_tgt, n_src, known.to_tgt, known.p_null, known.cut)
    backward(one, n_tgt, n_src, known.to_tgt, known.p_null, known.cut, found.jumps_to_tgt)
    found.log_likelihood[1] += forward(two, n_src, n_tgt, known.to_src, known.p_null, known.cut)
    backward(two, n_src, n_tgt, known.to_src, known.p_null, known.cut, found.jumps_to_src)


def lattices_for(corpus: Corpus) -> tuple[Lattice, Lattice]:
    """Returns memory for the longest sentences of the corpus, one lattice per direction."""
    longest = [int(np.diff(at).max(initial=1)) for at in (corpus.src_at, corpus.tgt_at)]
    return lattice(*longest), lattice(*longest)


@inner
def _keep_nulls(one: Lattice, two: Lattice, found: Evidence, src: int, tgt: int) -> None:
    """Stores the null posteriors of the sentence whose words are src.. and tgt.. of the range."""
    for j in range(one.size[0]):
        found.null_tgt[tgt + j] = one.null_gamma[j]
    for i in range(two.size[0]):
        found.null_src[src + i] = two.null_gamma[i]


@inner
def _keep_best(work: Lattice, best: I32) -> None:
    """best[j] = the likeliest state of observation j, -1 where null is at least as likely."""
    wide = padded(work.size[1])
    for j in range(len(best)):
        most = work.null_gamma[j]
        best[j] = -1
        for i in range(work.size[1]):
            if work.gamma[j * wide + i] > most:
                most = work.gamma[j * wide + i]
                best[j] = i


@inner
def _keep_mean(one: Lattice, two: Lattice, mean: F32) -> None:
    """Stores the means by squares of LANES x LANES, as one of the two matrices is read across."""
    n_tgt, n_src = one.size[0], one.size[1]
    wide_src, wide_tgt = padded(n_src), padded(n_tgt)
    for first in range(0, n_src, LANES):
        last = min(first + LANES, n_src)
        for begin in range(0, n_tgt, LANES):
            end = min(begin + LANES, n_tgt)
            for i in range(first, last):
                for j in range(begin, end):
                    both = one.gamma[j * wide_src + i] + two.gamma[i * wide_tgt + j]
                    mean[i * n_tgt + j] = np.float32(0.5) * both


def expect(corpus: Corpus, cells: Cells, known: Parameters, found: Evidence) -> F32:
    """Returns the agreed posterior of each cell: the product of both directions.

    That is the agreement of Liang, Taskar and Klein (2006). Nobody wants it beside links: it is
    empty then.

    Args:
        corpus: a range of sentence pairs.
        cells: of that corpus.
        known: parameters.
        found: gains everything that its arrays have room for.
    """
    joint = np.zeros(0 if len(found.mean) else len(cells.entry), np.float32)
    _expect(corpus, cells, known, lattices_for(corpus), found, joint)
    return joint


@compiled
def _expect(
    corpus: Corpus,
    cells: Cells,
    known: Parameters,
    work: tuple[Lattice, Lattice],
    found: Evidence,
    joint: F32,
) -> None:
    one, two = work
    at = 0
    for s in range(len(corpus.src_at) - 1):
        src, n_src = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
        tgt, n_tgt = corpus.tgt_at[s], corpus.tgt_at[s + 1] - corpus.tgt_at[s]
        if n_src == 0 or n_tgt == 0:
            continue
        infer(corpus, s, cells, known, one, two, found)
        _keep_nulls(one, two, found, src, tgt)
        if len(found.mean) > 0:
            _keep_mean(one, two, found.mean[at : at + n_src * n_tgt])
            at += n_src * n_tgt
        if len(found.best_src) > 0:
            _keep_best(one, found.best_src[tgt : tgt + n_tgt])
            _keep_best(two, found.best_tgt[src : src + n_src])
        if len(joint) > 0:
            wide_src, wide_tgt = padded(n_src), padded(n_tgt)
            for i in range(n_src):
                for c in range(cells.first[src + i], cells.last[src + i]):
                    j = np.int64(cells.position[c])
                    joint[c] = one.gamma[j * wide_src + i] * two.gamma[i * wide_tgt + j]


@compiled
def add_joint(cells: Cells, joint: F32, counts: F32) -> None:
    """Adds the posterior of each cell to the count of its table entry."""
    for c in range(len(cells.entry)):
        counts[cells.entry[c]] += joint[c]
