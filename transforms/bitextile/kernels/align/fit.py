"""Fits an aligner: candidates, model 1, then two HMMs that agree."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.backoff import Classes, classes_of, set_probabilities
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.cooccurrence import (
    Table,
    candidates,
    places_of,
    pruned,
)
from bitextile.kernels.align.corpus import (
    F32,
    F64,
    Corpus,
    folded_words,
    vocabulary_of,
    windowed,
)
from bitextile.kernels.align.jumps import first_jumps, learned, spread_out
from bitextile.kernels.align.model import AlignerModel
from bitextile.kernels.align.model1 import train_model1
from bitextile.kernels.align.posteriors import (
    Cells,
    Evidence,
    Parameters,
    add_joint,
    cells_of,
    evidence,
    expect,
    sentences,
)
from bitextile.kernels.align.threads import each_part, even_parts, usable_threads
from bitextile.schema.errors import InputError

CELLS_PER_PART = 1 << 18
"""Cells of one task of the E-step: about 500 pairs of 22 words, 3 MB while it runs."""
CELLS_PER_WORD = 8
"""... but at least this many per vocabulary word, as a task starts with a walk over the words."""
JUMP_PARTS = 32
"""Jumps are counted in every part up to this many parts, then in about so many, evenly
spaced: their few weights need no more, and counting them is a third of the E-step's time."""


@dataclass
class _State:
    """What the HMM iterations change."""

    table: Table
    null_src: F32
    null_tgt: F32
    jumps_to_tgt: F64
    jumps_to_src: F64
    classes: Classes


def fit(
    src: pa.ListArray,
    tgt: pa.ListArray,
    *,
    config: AlignerConfig | None = None,
    progress: Callable[[str], None] | None = None,
    n_threads: int | None = None,
) -> AlignerModel:
    """Returns an aligner fitted to sentence pairs; the same pairs give the same bits.

    Args:
        src: list<string> [pairs], words of the first side in any case.
        tgt: list<string> [pairs], words of the second side.
        config: what may be set; the defaults otherwise.
        progress: called with one line of text after each step.
        n_threads: threads to use, all cores of the process by default; does not change the result.

    Returns:
        The model; one that knows no word when every pair has an empty side.

    Raises:
        InputError: the sides are not lists of strings of the same length.

    Source:
        Vogel, Ney and Tillmann 1996; Och and Ney 2003; Liang, Taskar and Klein 2006.

    >>> src = pa.array([["das", "haus"], ["das", "buch"], ["ein", "buch"]])
    >>> tgt = pa.array([["这", "房子"], ["这", "书"], ["一", "书"]])
    >>> fit(src, tgt).src_words.to_pylist()
    ['buch', 'das', 'ein', 'haus']
    """
    config = config or AlignerConfig()
    say = progress or (lambda line: None)
    threads = usable_threads(n_threads)
    corpus, src_words, tgt_words = _read(src, tgt)
    windows = windowed(_without_half_empty(corpus), config.max_words)
    classes = classes_of(src_words, tgt_words, config)
    pa.default_memory_pool().release_unused()  # the strings' copies: 300 bytes a pair
    state = _start(windows.corpus, classes, config, threads)
    say(f"model 1: {len(state.table.tgt):,} word pairs kept")
    likelihood: list[list[float]] = []
    for iteration in range(config.hmm_iterations):
        likelihood.append(_iterate(windows.corpus, state, config, threads))
        say(
            f"hmm {iteration + 1}/{config.hmm_iterations}: "
            f"log likelihood {likelihood[-1][0]:,.0f} / {likelihood[-1][1]:,.0f}"
        )
    return AlignerModel(
        config=config,
        src_words=src_words,
        tgt_words=tgt_words,
        table=state.table,
        null_src=state.null_src,
        null_tgt=state.null_tgt,
        jumps_to_tgt=state.jumps_to_tgt,
        jumps_to_src=state.jumps_to_src,
        statistics=_statistics(corpus, windows.n_long, likelihood),
    )


def _read(src: pa.ListArray, tgt: pa.ListArray) -> tuple[Corpus, pa.StringArray, pa.StringArray]:
    if len(src) != len(tgt):
        raise InputError(f"the aligner got {len(src)} source and {len(tgt)} target sentences")
    flat_src, src_at = folded_words(src)
    flat_tgt, tgt_at = folded_words(tgt)
    src_words, src_ids = vocabulary_of(flat_src)
    tgt_words, tgt_ids = vocabulary_of(flat_tgt)
    return Corpus(src_ids, src_at, tgt_ids, tgt_at), src_words, tgt_words


def _without_half_empty(corpus: Corpus) -> Corpus:
    """Returns the corpus with both sides emptied where one is: nothing can be learned there."""
    n_src, n_tgt = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    whole = (n_src > 0) & (n_tgt > 0)
    if whole.all():
        return corpus
    return Corpus(
        *_only(corpus.src, n_src, whole),
        *_only(corpus.tgt, n_tgt, whole),
    )


def _only(
    tokens: np.ndarray, lengths: np.ndarray, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum(np.where(keep, lengths, 0))])
    return tokens[np.repeat(keep, lengths)], offsets


def _start(corpus: Corpus, classes: Classes, config: AlignerConfig, n_threads: int) -> _State:
    n_src, n_tgt = len(classes.of_src), len(classes.of_tgt)
    share_src = _share(np.bincount(corpus.src, minlength=n_src))
    share_tgt = _share(np.bincount(corpus.tgt, minlength=n_tgt))
    places = places_of(corpus.src, corpus.src_at, n_src)
    table = candidates(corpus, places, n_tgt, config=config, n_threads=n_threads)
    train_model1(
        corpus,
        places,
        table,
        np.float32(config.null_start) * share_src,
        np.float32(config.null_start) * share_tgt,
        classes,
        config=config,
        n_threads=n_threads,
    )
    jumps = first_jumps(config.jump_window)
    kept = pruned(table, config.min_translation)
    return _State(kept, share_src, share_tgt, jumps, jumps, classes)


def _share(counts: np.ndarray) -> F32:
    """Returns each count's share; a word that was only seen beside nothing counts as one."""
    counts = np.maximum(counts, 1)
    return (counts / counts.sum()).astype(np.float32) if len(counts) else np.zeros(0, np.float32)


def _iterate(corpus: Corpus, state: _State, config: AlignerConfig, n_threads: int) -> list[float]:
    """Does one iteration of EM on `state`; returns both log likelihoods before it."""
    longest = int(max(np.diff(corpus.src_at).max(initial=1), np.diff(corpus.tgt_at).max(initial=1)))
    known = parameters(state, config, longest)
    row_of = np.arange(len(state.null_src), dtype=np.int32)

    parts = parts_of(corpus, len(state.null_src) + len(state.null_tgt))
    with_jumps = parts[:: max(1, len(parts) // JUMP_PARTS)]

    def part_of(part: tuple[int, int]) -> tuple[Cells, F32, Evidence]:
        here = sentences(corpus, *part)
        cells = cells_of(here, row_of, state.table, len(state.null_tgt))
        found = evidence(here, known, for_links=False, for_jumps=part in with_jumps)
        return cells, expect(here, cells, known, found), found

    counts = np.zeros(len(state.table.tgt), np.float32)
    found: list[Evidence] = []
    for cells, joint, one in each_part(part_of, parts, n_threads=n_threads):
        add_joint(cells, joint, counts)
        found.append(one)
    set_probabilities(state.table, counts, state.classes, config)
    _learn(corpus, state, known, found, config)
    return [float(sum(e.log_likelihood[k] for e in found)) for k in (0, 1)]


def parts_of(corpus: Corpus, n_words: int) -> list[tuple[int, int]]:
    """Returns ranges of sentence pairs to work on at a time, given the vocabularies' size."""
    room = max(CELLS_PER_PART, CELLS_PER_WORD * n_words)
    cells = np.diff(corpus.src_at) * np.diff(corpus.tgt_at)
    return even_parts(cells, -(-int(cells.sum()) // room))


def parameters(state: "_State | AlignerModel", config: AlignerConfig, longest: int) -> Parameters:
    """Returns what the E-step reads, for sentences of at most `longest` words."""
    return Parameters(
        state.table,
        state.null_src,
        state.null_tgt,
        spread_out(state.jumps_to_tgt, longest),
        spread_out(state.jumps_to_src, longest),
        np.float32(config.p_null),
        np.float32(config.floor),
        np.float32(config.state_cut),
    )


def _learn(
    corpus: Corpus,
    state: _State,
    known: Parameters,
    found: list[Evidence],
    config: AlignerConfig,
) -> None:
    """Sets jumps and null probabilities from what the parts found, summed in their order."""
    if not found:
        return
    settings = {"smoothing": config.jump_smoothing, "reach": config.jump_reach}
    with_jumps = [e for e in found if len(e.jumps_to_tgt)]
    to_tgt = np.stack([e.jumps_to_tgt for e in with_jumps]).sum(axis=0, dtype=np.float64)
    to_src = np.stack([e.jumps_to_src for e in with_jumps]).sum(axis=0, dtype=np.float64)
    state.jumps_to_tgt = learned(to_tgt, known.to_tgt, config.jump_window, **settings)
    state.jumps_to_src = learned(to_src, known.to_src, config.jump_window, **settings)
    smoothing = config.null_smoothing
    null_src = np.concatenate([e.null_src for e in found])
    null_tgt = np.concatenate([e.null_tgt for e in found])
    state.null_src = _null(corpus.src, null_src, len(state.null_src), smoothing)
    state.null_tgt = _null(corpus.tgt, null_tgt, len(state.null_tgt), smoothing)


def _null(tokens: np.ndarray, posterior: F32, n_words: int, smoothing: float) -> F32:
    expected = np.bincount(tokens, posterior, minlength=n_words)
    least = smoothing * max(float(expected.sum()), 1e-6)
    expected = expected + least * _share(np.bincount(tokens, minlength=n_words))
    return (expected / expected.sum()).astype(np.float32)


def _statistics(corpus: Corpus, n_long: int, likelihood: list[list[float]]) -> dict[str, object]:
    n_src, n_tgt = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    return {
        "pairs": len(n_src),
        "pairs_with_an_empty_side": int(((n_src == 0) | (n_tgt == 0)).sum()),
        "pairs_in_windows": n_long,
        "src_words": len(corpus.src),
        "tgt_words": len(corpus.tgt),
        "log_likelihood": likelihood,
    }
