"""Fits an aligner: candidates, model 1, then two HMMs that agree."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.corpus import Corpus, frequencies, numbered, windowed
from bitextile.kernels.align.hmm.backoff import (
    Classes,
    classes_of,
    set_probabilities,
    table_of,
    with_prior,
)
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import Counts, Table, candidates, places_of
from bitextile.kernels.align.hmm.jumps import first_jumps, learned, spread_out
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.kernels.align.hmm.model1 import train_model1
from bitextile.kernels.align.hmm.posteriors import (
    Cells,
    Evidence,
    Parameters,
    add_joint,
    cells_of,
    evidence,
    expect,
    sentences,
)
from bitextile.kernels.align.hmm.prior import Prior, checked_lexicon, lexicon_digest, prior_of
from bitextile.kernels.align.threads import each_part, even_parts, usable_threads
from bitextile.kernels.arrays import F32, F64, I32, offsets_of
from bitextile.schema.errors import InputError

CELLS_PER_PART = 1 << 17
"""Cells of one task of the E-step: about 300 pairs of 20 words, a megabyte while it runs."""
CELLS_PER_WORD = 4
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
    prior: Prior
    share_src: F32
    share_tgt: F32


def fit(
    src: pa.ListArray,
    tgt: pa.ListArray,
    *,
    config: HmmModelConfig | None = None,
    lexicon: pa.Table | None = None,
    progress: Callable[[str], None] | None = None,
    n_threads: int | None = None,
) -> HmmModel:
    """Returns an aligner fitted to sentence pairs; the same pairs give the same bits.

    Args:
        src: list<string> [pairs], words of the first side in any case.
        tgt: list<string> [pairs], words of the second side.
        config: what may be set; the defaults otherwise.
        lexicon: known translations, columns src, tgt and perhaps weight (links each counts as, 1
            by default): assumed where the two words are seen together. Words in neither side are
            ignored. What was given is part of the model's digest; an empty one changes nothing.
        progress: called with one line of text after each step.
        n_threads: threads to use, all cores of the process by default; does not change the result.

    Returns:
        The model; one that knows no word when every pair has an empty side.

    Raises:
        InputError: the sides are not lists of strings of the same length, or the lexicon is not as
            described.

    Source:
        Vogel, Ney and Tillmann 1996; Och and Ney 2003; Liang, Taskar and Klein 2006.

    >>> src = pa.array([["das", "haus"], ["das", "buch"], ["ein", "buch"]])
    >>> tgt = pa.array([["这", "房子"], ["这", "书"], ["一", "书"]])
    >>> fit(src, tgt).src_words.to_pylist()
    ['buch', 'das', 'ein', 'haus']
    """
    config = config or HmmModelConfig()
    say = progress or (lambda line: None)
    threads = usable_threads(n_threads)
    known = checked_lexicon(lexicon)
    corpus, src_words, tgt_words = _read(src, tgt)
    statistics = _statistics(corpus)
    classes = classes_of(src_words, tgt_words, config)
    prior = prior_of(known, src_words, tgt_words)
    pieces, statistics["pairs_in_windows"] = _prepared(corpus, config)
    del corpus
    pa.default_memory_pool().release_unused()  # the strings' copies
    state = _start(pieces, classes, prior, config, threads)
    say(f"model 1: {len(state.table.tgt):,} word pairs kept")
    statistics["log_likelihood"] = _run_hmm(pieces, state, config, threads, say)
    if known.num_rows:
        statistics["lexicon"] = _lexicon_statistics(known, prior)
    return HmmModel(
        config=config,
        src_words=src_words,
        tgt_words=tgt_words,
        table=state.table,
        null_src=state.null_src,
        null_tgt=state.null_tgt,
        jumps_to_tgt=state.jumps_to_tgt,
        jumps_to_src=state.jumps_to_src,
        statistics=statistics,
    )


def _run_hmm(
    pieces: Corpus, state: _State, config: HmmModelConfig, threads: int, say: Callable[[str], None]
) -> list[list[float]]:
    """Returns the log likelihood of each round, by direction; changes the state."""
    likelihood: list[list[float]] = []
    for iteration in range(config.hmm_iterations):
        likelihood.append(_iterate(pieces, state, config, threads))
        to_tgt, to_src = likelihood[-1]
        say(
            f"hmm {iteration + 1}/{config.hmm_iterations}: "
            f"log likelihood {to_tgt:,.0f} / {to_src:,.0f}"
        )
    return likelihood


def _read(src: pa.ListArray, tgt: pa.ListArray) -> tuple[Corpus, pa.StringArray, pa.StringArray]:
    if len(src) != len(tgt):
        raise InputError(f"the aligner got {len(src)} source and {len(tgt)} target sentences")
    src_words, src_ids, src_at = numbered(src)
    tgt_words, tgt_ids, tgt_at = numbered(tgt)
    return Corpus(src_ids, src_at, tgt_ids, tgt_at), src_words, tgt_words


def _prepared(corpus: Corpus, config: HmmModelConfig) -> tuple[Corpus, int]:
    """Returns what can be learned from, in windows, and how many pairs were cut into these."""
    corpus = _without_half_empty(corpus)
    if _longest(corpus) <= config.max_words:
        return corpus, 0
    windows = windowed(corpus, config.max_words)
    return windows.corpus, windows.n_long


def _longest(corpus: Corpus) -> int:
    return max(int(np.diff(at).max(initial=1)) for at in (corpus.src_at, corpus.tgt_at))


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
    offsets = offsets_of(np.where(keep, lengths, 0))
    return tokens[np.repeat(keep, lengths)], offsets


def _start(
    corpus: Corpus, classes: Classes, prior: Prior, config: HmmModelConfig, n_threads: int
) -> _State:
    n_src, n_tgt = len(classes.of_src), len(classes.of_tgt)
    share_src, share_tgt = _share(corpus.src, n_src), _share(corpus.tgt, n_tgt)
    places = places_of(corpus, n_src)
    counts = candidates(corpus, places, n_tgt, config=config, n_threads=n_threads)
    null_start = np.float32(config.null_start)
    null = null_start * share_src, null_start * share_tgt
    wholes = train_model1(
        corpus, places, counts, *null, classes, prior, config=config, n_threads=n_threads
    )
    del places
    table = table_of(counts, wholes, least=config.min_translation, n_threads=n_threads)
    jumps = first_jumps(config.jump_window)
    return _State(table, share_src, share_tgt, jumps, jumps, classes, prior, share_src, share_tgt)


def _share(tokens: I32, n_words: int) -> F32:
    """Returns each word's share; one that was only seen beside nothing counts as seen once."""
    counts = np.maximum(frequencies(tokens, n_words), 1)
    return (counts / max(1, counts.sum())).astype(np.float32)


def _iterate(corpus: Corpus, state: _State, config: HmmModelConfig, n_threads: int) -> list[float]:
    """Does one iteration of EM on `state`; returns both log likelihoods before it."""
    known = parameters(state, config, _longest(corpus))
    n_src, n_tgt = len(state.null_src), len(state.null_tgt)
    row_of = np.arange(n_src, dtype=np.int32)
    parts = parts_of(corpus, n_src + n_tgt)
    with_jumps = parts[:: max(1, len(parts) // JUMP_PARTS)]

    def part_of(part: tuple[int, int]) -> tuple[Corpus, Cells, F32, Evidence]:
        here = sentences(corpus, *part)
        cells = cells_of(here, row_of, state.table, n_tgt)
        found = evidence(here, known, for_jumps=part in with_jumps)
        return here, cells, expect(here, cells, known, found), found

    counts = Counts(state.table.start, state.table.tgt, np.zeros(len(state.table.tgt), np.float32))
    likelihood, null_src, null_tgt = np.zeros(2), np.zeros(n_src), np.zeros(n_tgt)
    jumps = np.zeros((2, 2 * known.to_tgt.zero + 1))
    for here, cells, joint, found in each_part(part_of, parts, n_threads=n_threads):
        add_joint(cells, joint, counts.value)
        likelihood += found.log_likelihood
        null_src += np.bincount(here.src, found.null_src, minlength=n_src)
        null_tgt += np.bincount(here.tgt, found.null_tgt, minlength=n_tgt)
        if len(found.jumps_to_tgt):
            jumps += found.jumps_to_tgt, found.jumps_to_src
    wholes = with_prior(counts, state.classes, state.prior, config)
    set_probabilities(state.table, counts, wholes, n_threads=n_threads)
    if parts:
        _learn(state, known, jumps, (null_src, null_tgt), config)
    return [float(x) for x in likelihood]


def parts_of(corpus: Corpus, n_words: int) -> list[tuple[int, int]]:
    """Returns ranges of sentence pairs to work on at a time, given the vocabularies' size."""
    room = max(CELLS_PER_PART, CELLS_PER_WORD * n_words)
    cells = np.diff(corpus.src_at) * np.diff(corpus.tgt_at)
    return even_parts(cells, -(-int(cells.sum()) // room))


def parameters(state: "_State | HmmModel", config: HmmModelConfig, longest: int) -> Parameters:
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
    state: _State, known: Parameters, jumps: F64, null: tuple[F64, F64], config: HmmModelConfig
) -> None:
    """Sets jumps and null probabilities from what was expected of them."""
    window = config.jump_window
    settings = {"smoothing": config.jump_smoothing, "reach": config.jump_reach}
    state.jumps_to_tgt = learned(jumps[0], known.to_tgt, window, **settings)
    state.jumps_to_src = learned(jumps[1], known.to_src, window, **settings)
    state.null_src = _null(null[0], state.share_src, config.null_smoothing)
    state.null_tgt = _null(null[1], state.share_tgt, config.null_smoothing)


def _null(expected: F64, share: F32, smoothing: float) -> F32:
    expected = expected + smoothing * max(float(expected.sum()), 1e-6) * share
    return (expected / expected.sum()).astype(np.float32)


def _statistics(corpus: Corpus) -> dict[str, object]:
    n_src, n_tgt = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    return {
        "pairs": len(n_src),
        "pairs_with_an_empty_side": int(((n_src == 0) | (n_tgt == 0)).sum()),
        "src_words": len(corpus.src),
        "tgt_words": len(corpus.tgt),
    }


def _lexicon_statistics(known: pa.Table, prior: Prior) -> dict[str, object]:
    return {"entries": known.num_rows, "used": len(prior.tgt), "digest": lexicon_digest(known)}
