"""Fits a model: co-occurrence counts, IBM model 1, then two HMMs that agree."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.corpus import Corpus, count_words, cut_windows, encode_words
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import (
    PairCounts,
    TranslationTable,
    count_cooccurrences,
    find_occurrences,
)
from bitextile.kernels.align.hmm.e_step import (
    Cells,
    EStepResult,
    Parameters,
    add_to_counts,
    allocate_result,
    e_step,
    find_cells,
    slice_corpus,
)
from bitextile.kernels.align.hmm.ibm1 import train_ibm1
from bitextile.kernels.align.hmm.jumps import expand_jumps, initial_jumps, update_jumps
from bitextile.kernels.align.hmm.m_step import add_prior, estimate_table, update_table
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.kernels.align.hmm.prior import Prior, build_prior, lexicon_digest, normalise_lexicon
from bitextile.kernels.align.hmm.word_classes import WordClasses, group_by_prefix
from bitextile.kernels.align.threads import balanced_chunks, thread_imap, usable_threads
from bitextile.kernels.arrays import F32, F64, I32, I64, Bool, offsets_of
from bitextile.schema.errors import InputError

CELLS_PER_CHUNK = 1 << 17
"""Cells of one task of the E-step: about 300 pairs of 20 words, a megabyte while it runs."""
CELLS_PER_WORD = 4
"""... but at least this many per vocabulary word, as a task starts with a walk over the words."""
JUMP_CHUNKS = 32
"""Jumps are counted in every chunk up to this many chunks, then in about so many, evenly
spaced: their few weights need no more, and counting them is a third of the E-step's time."""


@dataclass
class _State:
    """What the HMM iterations change, and what stays the same through them."""

    table: TranslationTable
    null_src: F32
    null_tgt: F32
    jumps_to_tgt: F64
    jumps_to_src: F64
    classes: WordClasses
    prior: Prior
    unigram_src: F32
    unigram_tgt: F32


def fit(
    src: pa.ListArray,
    tgt: pa.ListArray,
    *,
    config: HmmModelConfig | None = None,
    lexicon: pa.Table | None = None,
    progress: Callable[[str], None] | None = None,
    n_threads: int | None = None,
) -> HmmModel:
    """Returns a model fitted to sentence pairs; the same pairs give the same bits.

    Args:
        src: list<string> [pairs], words of the first side in any case.
        tgt: list<string> [pairs], words of the second side.
        config: HmmModelConfig() by default.
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
    progress = progress or (lambda line: None)
    n_threads = usable_threads(n_threads)
    known = normalise_lexicon(lexicon)
    corpus, src_words, tgt_words = _encode(src, tgt)
    statistics = _statistics(corpus)
    classes = group_by_prefix(src_words, tgt_words, config)
    prior = build_prior(known, src_words, tgt_words)
    # Vocabularies and statistics come first: windows hold the words of their overlaps twice.
    corpus, statistics["pairs_in_windows"] = _training_corpus(corpus, config)
    pa.default_memory_pool().release_unused()  # the strings' copies
    state = _initialise(corpus, classes, prior, config, n_threads, progress)
    progress(f"IBM model 1: {len(state.table.tgt):,} word pairs kept")
    statistics["log_likelihood"] = _train_hmms(corpus, state, config, n_threads, progress)
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


def _encode(src: pa.ListArray, tgt: pa.ListArray) -> tuple[Corpus, pa.StringArray, pa.StringArray]:
    if len(src) != len(tgt):
        raise InputError(f"the aligner got {len(src)} source and {len(tgt)} target sentences")
    src_words, src_ids, src_at = encode_words(src)
    tgt_words, tgt_ids, tgt_at = encode_words(tgt)
    return Corpus(src_ids, src_at, tgt_ids, tgt_at), src_words, tgt_words


def _training_corpus(corpus: Corpus, config: HmmModelConfig) -> tuple[Corpus, int]:
    """Returns what can be learned from, in windows, and how many pairs were cut into these."""
    corpus = _without_half_empty(corpus)
    if _longest(corpus) <= config.max_words:
        return corpus, 0
    windows = cut_windows(corpus, config.max_words)
    return windows.corpus, windows.n_long


def _longest(corpus: Corpus) -> int:
    return max(int(np.diff(at).max(initial=1)) for at in (corpus.src_at, corpus.tgt_at))


def _without_half_empty(corpus: Corpus) -> Corpus:
    """Returns the corpus with both sides emptied where one is: nothing can be learned there."""
    n_src, n_tgt = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    keep = (n_src > 0) & (n_tgt > 0)
    if keep.all():
        return corpus
    return Corpus(*_empty_others(corpus.src, n_src, keep), *_empty_others(corpus.tgt, n_tgt, keep))


def _empty_others(tokens: I32, lengths: I64, keep: Bool) -> tuple[I32, I64]:
    # Emptied and not removed: row numbers stay, and so do the words' ids.
    return tokens[np.repeat(keep, lengths)], offsets_of(np.where(keep, lengths, 0))


def _initialise(
    corpus: Corpus,
    classes: WordClasses,
    prior: Prior,
    config: HmmModelConfig,
    n_threads: int,
    progress: Callable[[str], None],
) -> _State:
    """Returns what the HMMs start from, by IBM model 1."""
    n_src, n_tgt = len(classes.of_src), len(classes.of_tgt)
    unigram_src, unigram_tgt = _unigram(corpus.src, n_src), _unigram(corpus.tgt, n_tgt)
    occurrences = find_occurrences(corpus, n_src)
    counts = count_cooccurrences(corpus, occurrences, n_tgt, config=config, n_threads=n_threads)
    # The null word explains frequent words rather than rare ones: by their share of the text.
    null_start = np.float32(config.null_start)
    null = null_start * unigram_src, null_start * unigram_tgt
    marginals = train_ibm1(
        corpus,
        occurrences,
        counts,
        *null,
        classes,
        prior,
        config=config,
        n_threads=n_threads,
        progress=progress,
    )
    del occurrences  # 4 bytes a source token, free for the table
    table = estimate_table(
        counts, marginals, min_probability=config.min_translation, n_threads=n_threads
    )
    # Both directions begin with one array, and each null distribution with its unigram: safe, as an
    # iteration puts new arrays in their place and never writes into these.
    jumps = initial_jumps(config.jump_window)
    unigram = unigram_src, unigram_tgt
    return _State(table, *unigram, jumps, jumps, classes, prior, *unigram)


def _unigram(tokens: I32, n_words: int) -> F32:
    """Returns each word's share; one that only occurs opposite nothing counts as seen once."""
    counts = np.maximum(count_words(tokens, n_words), 1)
    return (counts / max(1, counts.sum())).astype(np.float32)


def _train_hmms(
    corpus: Corpus,
    state: _State,
    config: HmmModelConfig,
    n_threads: int,
    progress: Callable[[str], None],
) -> list[list[float]]:
    """Returns the log likelihood of each round, by direction; changes the state."""
    likelihood: list[list[float]] = []
    for iteration in range(config.hmm_iterations):
        likelihood.append(_em_iteration(corpus, state, config, n_threads))
        to_tgt, to_src = likelihood[-1]
        progress(
            f"hmm {iteration + 1}/{config.hmm_iterations}: "
            f"log likelihood {to_tgt:,.0f} / {to_src:,.0f}"
        )
    return likelihood


def _em_iteration(
    corpus: Corpus, state: _State, config: HmmModelConfig, n_threads: int
) -> list[float]:
    """Does one iteration of EM on `state`; returns both log likelihoods before it."""
    parameters = e_step_parameters(state, config, _longest(corpus))
    n_src, n_tgt = len(state.null_src), len(state.null_tgt)
    row_of = np.arange(n_src, dtype=np.int32)
    # From corpus and vocabularies alone, never from n_threads: sums of floats over other chunks
    # would have other last bits, and the model another digest.
    chunks = chunk_sentences(corpus, n_src + n_tgt)
    with_jumps = set(chunks[:: max(1, len(chunks) // JUMP_CHUNKS)])

    def expect(chunk: tuple[int, int]) -> tuple[Corpus, Cells, F32, EStepResult]:
        batch = slice_corpus(corpus, *chunk)
        cells = find_cells(batch, row_of, state.table, n_tgt)
        result = allocate_result(batch, parameters, with_jumps=chunk in with_jumps)
        return batch, cells, e_step(batch, cells, parameters, result), result

    table = state.table
    counts = PairCounts(table.start, table.tgt, np.zeros(len(table.tgt), np.float32))
    likelihood, null_src, null_tgt = np.zeros(2), np.zeros(n_src), np.zeros(n_tgt)
    jumps = np.zeros((2, 2 * parameters.to_tgt.zero + 1))
    # The sums are taken here, in the order of the chunks, whichever thread was first.
    for batch, cells, joint, result in thread_imap(expect, chunks, n_threads=n_threads):
        add_to_counts(cells, joint, counts.value)
        likelihood += result.log_likelihood
        null_src += np.bincount(batch.src, result.null_src, minlength=n_src)
        null_tgt += np.bincount(batch.tgt, result.null_tgt, minlength=n_tgt)
        if len(result.jumps_to_tgt):
            jumps += result.jumps_to_tgt, result.jumps_to_src
    # The loop above has ended, so no thread reads the table any more when it is overwritten.
    marginals = add_prior(counts, state.classes, state.prior, config)
    update_table(table, counts, marginals, n_threads=n_threads)
    # Without a cell nothing was expected, and the distributions stay as they began.
    if chunks:
        _update_distributions(state, parameters, jumps, (null_src, null_tgt), config)
    return [float(x) for x in likelihood]


def chunk_sentences(corpus: Corpus, n_words: int) -> list[tuple[int, int]]:
    """Returns ranges of sentence pairs to work on at a time, given the vocabularies' size."""
    cells_per_chunk = max(CELLS_PER_CHUNK, CELLS_PER_WORD * n_words)
    cells = np.diff(corpus.src_at) * np.diff(corpus.tgt_at)
    return balanced_chunks(cells, -(-int(cells.sum()) // cells_per_chunk))


def e_step_parameters(
    state: "_State | HmmModel", config: HmmModelConfig, longest: int
) -> Parameters:
    """Returns what the E-step reads, for sentences of at most `longest` words."""
    return Parameters(
        state.table,
        state.null_src,
        state.null_tgt,
        expand_jumps(state.jumps_to_tgt, longest),
        expand_jumps(state.jumps_to_src, longest),
        np.float32(config.p_null),
        np.float32(config.floor),
        np.float32(config.state_cut),
    )


def _update_distributions(
    state: _State,
    parameters: Parameters,
    jumps: F64,
    null: tuple[F64, F64],
    config: HmmModelConfig,
) -> None:
    """Sets jump and null distributions from their expected counts."""
    window = config.jump_window
    settings = {"smoothing": config.jump_smoothing, "reach": config.jump_reach}
    # p_null stays as configured; what is learned is which words null explains.
    state.jumps_to_tgt = update_jumps(jumps[0], parameters.to_tgt, window, **settings)
    state.jumps_to_src = update_jumps(jumps[1], parameters.to_src, window, **settings)
    state.null_src = _null_distribution(null[0], state.unigram_src, config.null_smoothing)
    state.null_tgt = _null_distribution(null[1], state.unigram_tgt, config.null_smoothing)


def _null_distribution(expected: F64, unigram: F32, smoothing: float) -> F32:
    # 1e-6: where nothing at all is unlinked, the words' shares remain.
    expected = expected + smoothing * max(float(expected.sum()), 1e-6) * unigram
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
