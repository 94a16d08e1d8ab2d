"""The E-step of the two HMMs over a range of sentences: what fitting and applying share.

A range of sentences is prepared along its source words (a table row is laid out in a dense array
and looked up in every sentence with that word), then each sentence gets its two lattices.
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.cooccurrence import Places, Table
from bitextile.kernels.align.corpus import F32, F64, I32, I64, Corpus
from bitextile.kernels.align.hmm import Jumps, Lattice, backward, forward, padded
from bitextile.kernels.align.jit import compiled


class Cells(NamedTuple):
    """The cells of a range of sentences whose word pair is in the table.

    Attributes:
        start: int64 [source words of the range + 1]; cells of the range's i-th source word.
        j: int16 [cells], target position in its sentence.
        entry: int32 [cells], entry of the table.
    """

    start: I64
    j: np.ndarray
    entry: I32


class Parameters(NamedTuple):
    """What the two HMMs know. `forward` explains target words by source words, `backward` the other.

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
    """

    log_likelihood: F64
    jumps_to_tgt: F32
    jumps_to_src: F32
    null_src: F32
    null_tgt: F32


@compiled
def cells_of(corpus: Corpus, places: Places, row_of: I32, table: Table, n_tgt: int) -> Cells:
    """Returns the cells of a corpus whose words are a row and a column of the table.

    Args:
        corpus: source ids are those of `places`, target ids those of the table.
        places: of the corpus's source words.
        row_of: int32 [source words], the table row of each; -1 where there is none.
        table: translation table.
        n_tgt: more than any target id.
    """
    start = np.zeros(len(corpus.src) + 1, np.int64)
    entry_of = np.full(n_tgt, -1, np.int32)
    j_of = np.empty(0, np.int16)
    entry = np.empty(0, np.int32)
    for filling in (False, True):
        if filling:
            for i in range(len(corpus.src)):
                start[i + 1] += start[i]
            j_of = np.empty(start[-1], np.int16)
            entry = np.empty(start[-1], np.int32)
        for e in range(len(row_of)):
            if row_of[e] < 0:
                continue
            first, last = table.start[row_of[e]], table.start[row_of[e] + 1]
            for k in range(first, last):
                entry_of[table.tgt[k]] = k
            for i in places.where[places.start[e] : places.start[e + 1]]:
                s = places.sentence[i]
                at = start[i]
                row = corpus.tgt[corpus.tgt_at[s] : corpus.tgt_at[s + 1]]
                for j in range(len(row)):
                    k = entry_of[row[j]]
                    if k >= 0:
                        if filling:
                            j_of[at] = j
                            entry[at] = k
                        at += 1
                if not filling:
                    start[i + 1] = at - start[i]
            for k in range(first, last):
                entry_of[table.tgt[k]] = -1
    return Cells(start, j_of, entry)
