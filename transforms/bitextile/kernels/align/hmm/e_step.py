"""The E-step of the two HMMs over a range of sentences: what fitting and decoding share.

A range of sentences is prepared along its source words (a table row is laid out in a dense array
and looked up in every sentence with that word), then each sentence gets its two lattices:

    to_tgt   explains the target words by the source words   gamma [target words, source words]
    to_src   explains the source words by the target words   gamma [source words, target words]
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.hmm.cooccurrence import TranslationTable, find_occurrences
from bitextile.kernels.align.hmm.forward_backward import (
    LANES,
    Jumps,
    Lattice,
    allocate_lattice,
    backward,
    forward,
    padded,
)
from bitextile.kernels.align.jit import njit, njit_inner
from bitextile.kernels.arrays import F32, F64, I16, I32, I64


class Cells(NamedTuple):
    """The cells of a range of sentences whose word pair is in the table.

    Those of token i of the source side are first[i]:last[i]; all cells of a word are adjacent.

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
    """The parameters of the two HMMs.

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

    table: TranslationTable
    null_src: F32
    null_tgt: F32
    to_tgt: Jumps
    to_src: Jumps
    p_null: np.float32
    floor: np.float32
    cut: np.float32


class EStepResult(NamedTuple):
    """What an E-step collects over a range of sentences; what was not asked for is empty.

    Attributes:
        log_likelihood: float64 [2], of the target given the source, of the source given the target.
        jumps_to_tgt: float32 [distances], expected jumps over their weight.
        jumps_to_src: likewise, the other direction.
        null_src: float32 [source words of the range], posterior of null.
        null_tgt: float32 [target words of the range].
        mean: float32 [all cells of the range, by sentence, source, target word], the mean of both
            directions' posteriors.
        best_src: int32 [target words of the range], the likeliest source word of each, -1 where
            null is at least as likely.
        best_tgt: int32 [source words of the range], the other way round.
    """

    log_likelihood: F64
    jumps_to_tgt: F32
    jumps_to_src: F32
    null_src: F32
    null_tgt: F32
    mean: F32
    best_src: I32
    best_tgt: I32


def allocate_result(
    corpus: Corpus,
    parameters: Parameters,
    *,
    with_mean: bool = False,
    with_best: bool = False,
    with_jumps: bool = False,
) -> EStepResult:
    """Returns the result of a range of sentences, all zero.

    Args:
        corpus: the range.
        parameters: what it will be collected with.
        with_mean: whether the posteriors of all cells are wanted.
        with_best: whether the best link of each word is wanted.
        with_jumps: whether expected jumps are wanted.
    """
    n_src, n_tgt = len(corpus.src), len(corpus.tgt)
    n_cells = int((np.diff(corpus.src_at) * np.diff(corpus.tgt_at)).sum())
    n_jumps = 2 * parameters.to_tgt.zero + 1 if with_jumps else 0
    return EStepResult(
        log_likelihood=np.zeros(2),
        jumps_to_tgt=np.zeros(n_jumps, np.float32),
        jumps_to_src=np.zeros(n_jumps, np.float32),
        null_src=np.zeros(n_src, np.float32),
        null_tgt=np.zeros(n_tgt, np.float32),
        mean=np.zeros(n_cells if with_mean else 0, np.float32),
        best_src=np.zeros(n_tgt if with_best else 0, np.int32),
        best_tgt=np.zeros(n_src if with_best else 0, np.int32),
    )


def slice_corpus(corpus: Corpus, first: int, last: int) -> Corpus:
    """Returns the sentence pairs first..last as a corpus of their own, sharing its tokens."""
    # Slices of numpy arrays are views: no token is copied, however many chunks there are.
    src_at, tgt_at = corpus.src_at[first : last + 1], corpus.tgt_at[first : last + 1]
    src, tgt = corpus.src[src_at[0] : src_at[-1]], corpus.tgt[tgt_at[0] : tgt_at[-1]]
    return Corpus(src, src_at - src_at[0], tgt, tgt_at - tgt_at[0])


@njit
def find_cells(corpus: Corpus, row_of: I32, table: TranslationTable, n_tgt: int) -> Cells:
    """Returns the cells of a corpus whose words are a row and a column of the table.

    Args:
        corpus: a few thousand sentence pairs; target ids are those of the table.
        row_of: int32 [source ids], the table row of each source id; -1 where there is none.
        table: translation table.
        n_tgt: more than any target id.
    """
    # along word e:   row e of the table  f3: k=7, f9: k=8    entry_plus_1 [.. f3: 8 .. f9: 9 ..]
    #                 sentence with e, targets f1 f9 f3       position 1 2   entry 8 7
    occurrences = find_occurrences(corpus, len(row_of))
    # first and last are by token of the corpus, but the work goes word by word: token_of has the
    # token of each occurrence.
    fill, token_of = occurrences.start[:-1].copy(), np.empty(len(corpus.src), np.int32)
    for i in range(len(corpus.src)):
        token_of[fill[corpus.src[i]]] = i
        fill[corpus.src[i]] += 1
    first, last = np.zeros(len(token_of), np.int64), np.zeros(len(token_of), np.int64)
    max_cells = 0
    for exposure in occurrences.exposure:
        max_cells += exposure
    # At most every word of every sentence; pages that are not written cost no memory.
    position, entry = np.empty(max_cells, np.int16), np.empty(max_cells, np.int32)
    entry_plus_1 = np.zeros(n_tgt, np.int32)  # 0 where the row has no entry
    at = 0
    for e in range(len(row_of)):
        if occurrences.start[e] == occurrences.start[e + 1] or row_of[e] < 0:
            continue
        begin, end = table.start[row_of[e]], table.start[row_of[e] + 1]
        for k in range(begin, end):
            entry_plus_1[table.tgt[k]] = k + 1
        for o in range(occurrences.start[e], occurrences.start[e + 1]):
            s = occurrences.sentence[o]
            first[token_of[o]] = at
            for j in range(corpus.tgt_at[s], corpus.tgt_at[s + 1]):
                found = entry_plus_1[corpus.tgt[j]]
                if found > 0:
                    position[at] = j - corpus.tgt_at[s]
                    entry[at] = found - 1
                    at += 1
            last[token_of[o]] = at
        # Only what was set is reset: the array is as long as the vocabulary, a row is not.
        for k in range(begin, end):
            entry_plus_1[table.tgt[k]] = 0
    return Cells(first, last, position, entry[:at])


@njit_inner
def _set_emissions(
    corpus: Corpus, s: int, cells: Cells, parameters: Parameters, to_tgt: Lattice, to_src: Lattice
) -> None:
    """Sets the emission rows of sentence s in both lattices."""
    src, n_src = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
    tgt, n_tgt = corpus.tgt_at[s], corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    src_stride, tgt_stride = padded(n_src), padded(n_tgt)
    floor, table = parameters.floor, parameters.table
    # The floor everywhere (no sentence has probability zero), then the cells that have an entry.
    for j in range(n_tgt):
        for i in range(src_stride):
            to_tgt.emit[j * src_stride + i] = floor if i < n_src else np.float32(0)
        to_tgt.null_emit[j] = parameters.null_tgt[corpus.tgt[tgt + j]]
    for i in range(n_src):
        for j in range(tgt_stride):
            to_src.emit[i * tgt_stride + j] = floor if j < n_tgt else np.float32(0)
        to_src.null_emit[i] = parameters.null_src[corpus.src[src + i]]
        for c in range(cells.first[src + i], cells.last[src + i]):
            at, k = np.int64(cells.position[c]), cells.entry[c]
            to_tgt.emit[at * src_stride + i] = max(floor, table.p_tgt[k])
            to_src.emit[i * tgt_stride + at] = max(floor, table.p_src[k])


@njit_inner
def infer(
    corpus: Corpus,
    s: int,
    cells: Cells,
    parameters: Parameters,
    to_tgt: Lattice,
    to_src: Lattice,
    result: EStepResult,
) -> None:
    """Runs both HMMs on sentence s; the posteriors are then in to_tgt.gamma and to_src.gamma.

    Args:
        corpus: a range of sentence pairs, neither side of s empty.
        s: which of them.
        cells: of the corpus.
        parameters: of the HMMs.
        to_tgt: memory; gamma becomes [target words, padded source words].
        to_src: memory; gamma becomes [source words, padded target words].
        result: gains the log likelihoods and, where wanted, the expected jumps.
    """
    n_src = corpus.src_at[s + 1] - corpus.src_at[s]
    n_tgt = corpus.tgt_at[s + 1] - corpus.tgt_at[s]
    # In an array, as compiled code cannot set a field of a NamedTuple.
    to_tgt.size[0], to_tgt.size[1] = n_tgt, n_src
    to_src.size[0], to_src.size[1] = n_src, n_tgt
    _set_emissions(corpus, s, cells, parameters, to_tgt, to_src)
    p_null, cut = parameters.p_null, parameters.cut
    result.log_likelihood[0] += forward(to_tgt, n_tgt, n_src, parameters.to_tgt, p_null, cut)
    backward(to_tgt, n_tgt, n_src, parameters.to_tgt, p_null, cut, result.jumps_to_tgt)
    result.log_likelihood[1] += forward(to_src, n_src, n_tgt, parameters.to_src, p_null, cut)
    backward(to_src, n_src, n_tgt, parameters.to_src, p_null, cut, result.jumps_to_src)


def allocate_lattices(corpus: Corpus) -> tuple[Lattice, Lattice]:
    """Returns memory for the longest sentences of the corpus, one lattice per direction."""
    # Once per chunk, so that compiled code allocates nothing per sentence.
    longest = [int(np.diff(at).max(initial=1)) for at in (corpus.src_at, corpus.tgt_at)]
    return allocate_lattice(*longest), allocate_lattice(*longest)


@njit_inner
def _store_nulls(to_tgt: Lattice, to_src: Lattice, result: EStepResult, src: int, tgt: int) -> None:
    """Stores the null posteriors of the sentence whose words are src.. and tgt.. of the range."""
    for j in range(to_tgt.size[0]):
        result.null_tgt[tgt + j] = to_tgt.null_gamma[j]
    for i in range(to_src.size[0]):
        result.null_src[src + i] = to_src.null_gamma[i]


@njit_inner
def _store_best(lattice: Lattice, best: I32) -> None:
    """best[j] = the likeliest state of observation j, -1 where null is at least as likely."""
    stride = padded(lattice.size[1])
    for j in range(len(best)):
        # A link competes with the sum of all null states: that the word is unlinked, whatever the
        # last real link was.
        greatest = lattice.null_gamma[j]
        best[j] = -1
        for i in range(lattice.size[1]):
            if lattice.gamma[j * stride + i] > greatest:
                greatest = lattice.gamma[j * stride + i]
                best[j] = i


@njit_inner
def _store_mean(to_tgt: Lattice, to_src: Lattice, mean: F32) -> None:
    """Stores the means by squares of LANES x LANES, as one of the two matrices is read across."""
    n_tgt, n_src = to_tgt.size[0], to_tgt.size[1]
    src_stride, tgt_stride = padded(n_src), padded(n_tgt)
    # mean [src, tgt] <- to_tgt.gamma [tgt, src] + to_src.gamma [src, tgt]: the first is transposed,
    # and a square of it, 16 rows of a cache line each, is used up before it leaves the cache.
    for first in range(0, n_src, LANES):
        last = min(first + LANES, n_src)
        for begin in range(0, n_tgt, LANES):
            end = min(begin + LANES, n_tgt)
            for i in range(first, last):
                for j in range(begin, end):
                    both = to_tgt.gamma[j * src_stride + i] + to_src.gamma[i * tgt_stride + j]
                    mean[i * n_tgt + j] = np.float32(0.5) * both


def e_step(corpus: Corpus, cells: Cells, parameters: Parameters, result: EStepResult) -> F32:
    """Returns the agreed posterior of each cell: the product of both directions.

    That is the agreement of Liang, Taskar and Klein (2006). It is empty where `result` collects the
    mean: fitting needs the product, decoding the mean.

    Args:
        corpus: a range of sentence pairs.
        cells: of that corpus.
        parameters: of the HMMs.
        result: gains everything that its arrays are allocated for.
    """
    # Only cells with an entry are counted. A pair outside the table stays outside it: EM changes
    # the probabilities of the pairs it was given, never which they are.
    joint = np.zeros(0 if len(result.mean) else len(cells.entry), np.float32)
    _e_step(corpus, cells, parameters, allocate_lattices(corpus), result, joint)
    return joint


@njit
def _e_step(
    corpus: Corpus,
    cells: Cells,
    parameters: Parameters,
    lattices: tuple[Lattice, Lattice],
    result: EStepResult,
    joint: F32,
) -> None:
    to_tgt, to_src = lattices
    at = 0
    for s in range(len(corpus.src_at) - 1):
        src, n_src = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
        tgt, n_tgt = corpus.tgt_at[s], corpus.tgt_at[s + 1] - corpus.tgt_at[s]
        # Such a pair has no cell, so `at` stays right.
        if n_src == 0 or n_tgt == 0:
            continue
        infer(corpus, s, cells, parameters, to_tgt, to_src, result)
        _store_nulls(to_tgt, to_src, result, src, tgt)
        if len(result.mean) > 0:
            _store_mean(to_tgt, to_src, result.mean[at : at + n_src * n_tgt])
            at += n_src * n_tgt
        if len(result.best_src) > 0:
            _store_best(to_tgt, result.best_src[tgt : tgt + n_tgt])
            _store_best(to_src, result.best_tgt[src : src + n_src])
        if len(joint) > 0:
            src_stride, tgt_stride = padded(n_src), padded(n_tgt)
            for i in range(n_src):
                for c in range(cells.first[src + i], cells.last[src + i]):
                    j = np.int64(cells.position[c])
                    # Not normalised: a link that one direction doubts counts for little in both.
                    joint[c] = to_tgt.gamma[j * src_stride + i] * to_src.gamma[i * tgt_stride + j]


@njit
def add_to_counts(cells: Cells, joint: F32, counts: F32) -> None:
    """Adds the posterior of each cell to the count of its table entry."""
    for c in range(len(cells.entry)):
        counts[cells.entry[c]] += joint[c]
