"""From the posteriors of two directions to one alignment.

`intersect` to `grow-diag-final-and` start from the best link of each word in each direction, as Och
and Ney (2003) and Koehn et al. (2005) do, and always visit cells by source, then by target word,
and neighbours in the order of NEIGHBOURS. `posterior` takes every pair of words whose posterior,
the mean of both directions, exceeds a threshold.
"""

from enum import IntEnum

import numpy as np

from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.jit import njit, njit_inner
from bitextile.kernels.arrays import I32, Bool
from bitextile.schema.errors import ConfigError

NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Steps (source, target) in the order in which growing tries them: straight, then diagonal."""


class Method(IntEnum):
    """How two directions become one."""

    INTERSECT = 0
    UNION = 1
    GROW_DIAG = 2
    GROW_DIAG_FINAL = 3
    GROW_DIAG_FINAL_AND = 4
    POSTERIOR = 5


def get_method(name: str) -> Method:
    """Returns the method of that name.

    Raises:
        ConfigError: there is none; the message lists the names.

    >>> get_method("grow-diag")
    <Method.GROW_DIAG: 2>
    """
    names = {method.name.lower().replace("_", "-"): method for method in Method}
    if name not in names:
        raise ConfigError(f"symmetrize is {name!r}, expected one of {', '.join(names)}")
    return names[name]


@njit_inner
def _link(on: Bool, i: int, j: int, has_src: Bool, has_tgt: Bool) -> None:
    on[i, j] = True
    has_src[i] = True
    has_tgt[j] = True


@njit_inner
def _grow(best_src: I32, best_tgt: I32, on: Bool, has_src: Bool, has_tgt: Bool) -> None:
    """Adds, until none is left, union points next to a link where a word has no link yet."""
    # union x, intersection X:   X . . x   (1, 1) touches (0, 0) and links two free words: added.
    #                            . x . .   (0, 3) touches no link: left to the final step.
    # A link added in a sweep is seen by the cells that follow it in the same sweep, as in the
    # published pseudocode.
    n_src, n_tgt = on.shape
    grown = True
    while grown:
        grown = False
        for i in range(n_src):
            for j in range(n_tgt):
                if not on[i, j]:
                    continue
                for di, dj in NEIGHBOURS:
                    a, b = i + di, j + dj
                    if a < 0 or b < 0 or a >= n_src or b >= n_tgt or on[a, b]:
                        continue
                    # Growing links words that have no link yet; final does not ask for neighbours.
                    if has_src[a] and has_tgt[b]:
                        continue
                    if best_src[b] == a or best_tgt[a] == b:
                        _link(on, a, b, has_src, has_tgt)
                        grown = True


@njit_inner
def _add_final(best: I32, by_src: bool, both: bool, on: Bool, has_src: Bool, has_tgt: Bool) -> None:
    """Adds links of one direction where a word (`both`: each of the two) has none yet."""
    n_src, n_tgt = on.shape
    for i in range(n_src):
        for j in range(n_tgt):
            if (best[i] != j) if by_src else (best[j] != i):
                continue
            free = (not has_src[i], not has_tgt[j])
            if (free[0] and free[1]) if both else (free[0] or free[1]):
                _link(on, i, j, has_src, has_tgt)


@njit
def symmetrize_sentence(best_src: I32, best_tgt: I32, method: int, on: Bool) -> None:
    """Sets which word pairs are linked.

    Args:
        best_src: int32 [target words], the source word of each target word or -1.
        best_tgt: int32 [source words], the target word of each source word or -1.
        method: one of Method but POSTERIOR.
        on: bool [source words, target words], False everywhere before.
    """
    n_src, n_tgt = on.shape
    has_src, has_tgt = np.zeros(n_src, np.bool_), np.zeros(n_tgt, np.bool_)
    for j in range(n_tgt):
        i = best_src[j]
        if i >= 0 and (method == Method.UNION or best_tgt[i] == j):
            _link(on, i, j, has_src, has_tgt)
    if method == Method.UNION:
        for i in range(n_src):
            if best_tgt[i] >= 0:
                _link(on, i, best_tgt[i], has_src, has_tgt)
    if method >= Method.GROW_DIAG:
        _grow(best_src, best_tgt, on, has_src, has_tgt)
    if method >= Method.GROW_DIAG_FINAL:
        both = method == Method.GROW_DIAG_FINAL_AND
        # Forward first: what it links is no longer free for the reverse direction.
        _add_final(best_src, False, both, on, has_src, has_tgt)
        _add_final(best_tgt, True, both, on, has_src, has_tgt)


@njit
def symmetrize_corpus(corpus: Corpus, best_src: I32, best_tgt: I32, method: int) -> Bool:
    """Returns bool [cells of all sentences], which word pairs are linked.

    Args:
        corpus: sentence pairs; their cells are ordered by sentence, source word, target word.
        best_src: int32 [target words], as for `symmetrize_sentence`.
        best_tgt: int32 [source words], likewise.
        method: one of Method but POSTERIOR.
    """
    n_cells = 0
    for s in range(len(corpus.src_at) - 1):
        n_src, n_tgt = (
            corpus.src_at[s + 1] - corpus.src_at[s],
            corpus.tgt_at[s + 1] - corpus.tgt_at[s],
        )
        n_cells += n_src * n_tgt
    on = np.zeros(n_cells, np.bool_)
    at = 0
    for s in range(len(corpus.src_at) - 1):
        src, n_src = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
        tgt, n_tgt = corpus.tgt_at[s], corpus.tgt_at[s + 1] - corpus.tgt_at[s]
        grid = on[at : at + n_src * n_tgt].reshape(n_src, n_tgt)
        symmetrize_sentence(best_src[tgt : tgt + n_tgt], best_tgt[src : src + n_src], method, grid)
        at += n_src * n_tgt
    return on
