"""Word alignment of any sentence pairs by a fitted model: posterior decoding."""

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.alignment import (
    LEAST_SCORE,
    MAX_WORDS,
    Alignment,
    WordLinks,
    to_alignment,
)
from bitextile.kernels.align.corpus import Corpus, cut_windows, lower_words
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.e_step import (
    EStepResult,
    Parameters,
    allocate_result,
    e_step,
    find_cells,
    slice_corpus,
)
from bitextile.kernels.align.hmm.fit import chunk_sentences, e_step_parameters
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.kernels.align.hmm.word_classes import index_in, prefixes
from bitextile.kernels.align.symmetrize import Method, get_method, symmetrize_corpus
from bitextile.kernels.align.threads import thread_map, usable_threads
from bitextile.kernels.arrays import F32, I32, offsets_of
from bitextile.schema.errors import ConfigError, InputError

DEFAULT_THRESHOLD = 0.5
"""Least posterior of a link with `posterior`: more likely than not, in the mean of both models."""


def align_pairs(
    model: HmmModel,
    src: pa.ListArray,
    tgt: pa.ListArray,
    *,
    symmetrize: str = "posterior",
    threshold: float | None = None,
    n_threads: int = 1,
) -> Alignment:
    """Returns the links of each pair; they depend on the model and that pair alone.

    Args:
        model: of `fit`.
        src: list<string> [pairs], words of the first side in any case.
        tgt: list<string> [pairs], words of the second side.
        symmetrize: intersect, union, grow-diag, grow-diag-final, grow-diag-final-and or posterior.
        threshold: links with a smaller or equal score are left out; by default 0.5 for
            posterior and 0 for the others.
        n_threads: threads to use; does not change the result.

    Raises:
        ConfigError: symmetrize or threshold is not as described.
        InputError: the sides are not lists of strings of the same length, or a side has more than
            32,767 words, which a link cannot number.
    """
    method = get_method(symmetrize)
    least = _min_score(method, threshold)
    if len(src) != len(tgt):
        raise InputError(f"the aligner got {len(src)} source and {len(tgt)} target sentences")
    corpus, row_of, null_tgt = _encode(model, src, tgt)
    # The limit of the model, so that no jump is longer here than any it was fitted on.
    windows = cut_windows(corpus, model.config.max_words)
    parameters = _parameters(model, windows.corpus, row_of, null_tgt)
    # Chunks bound memory and nothing else: a sentence's lattices read the model and the sentence,
    # so neither the cuts nor the way Beam bundled the rows can change a link.
    chunks = chunk_sentences(windows.corpus, len(row_of) + len(null_tgt))

    def decode(chunk: tuple[int, int]) -> WordLinks:
        batch = slice_corpus(windows.corpus, *chunk)
        cells = find_cells(batch, row_of, parameters.table, len(null_tgt))
        with_best = method is not Method.POSTERIOR
        result = allocate_result(batch, parameters, with_mean=True, with_best=with_best)
        e_step(batch, cells, parameters, result)
        links = _select_links(batch, result, method, least)
        return links._replace(pair=links.pair + chunk[0])

    # Where there is no chunk, the empty arrays give the columns a type.
    empty = np.zeros(0, np.int32)
    none = WordLinks(empty, empty, empty, np.zeros(0, np.float32))
    found = thread_map(decode, chunks, n_threads=usable_threads(n_threads))
    links = WordLinks(*(np.concatenate(column) for column in zip(none, *found)))
    return to_alignment(windows.to_pairs(links), len(src))


def _min_score(method: Method, threshold: float | None) -> np.float32:
    default = DEFAULT_THRESHOLD if method is Method.POSTERIOR else 0.0
    value = default if threshold is None else threshold
    if not 0 <= value < 1:
        raise ConfigError(f"threshold is {value}, expected at least 0 and below 1")
    # In the posteriors' own type: in float64, 0.1 is less than float32's 0.1.
    return np.float32(value)


def _encode(model: HmmModel, src: pa.ListArray, tgt: pa.ListArray) -> tuple[Corpus, I32, F32]:
    """Returns the batch as ids, the table row of each source id, and target null probabilities.

    Source ids number the batch's own words, because work goes along them; target ids are the
    model's, followed by the batch's unseen words.
    """
    src_words, src_at = lower_words(src)
    tgt_words, tgt_at = lower_words(tgt)
    for side, offsets in (("source", src_at), ("target", tgt_at)):
        longest = int(np.diff(offsets).max(initial=0))
        if longest > MAX_WORDS:
            raise InputError(
                f"a {side} sentence has {longest} words, links can number {MAX_WORDS}; split it"
            )
    src_ids, src_rows = _look_up(src_words, model.src_words, model.src_prefixes, model.config)
    tgt_ids, tgt_rows = _look_up(tgt_words, model.tgt_words, model.tgt_prefixes, model.config)
    n_new = int((tgt_rows < 0).sum())
    # Unseen target words need ids of their own, as no table row may match them.
    tgt_rows[tgt_rows < 0] = len(model.tgt_words) + np.arange(n_new)
    unseen = np.full(n_new, model.config.floor, np.float32)
    corpus = Corpus(src_ids, src_at, tgt_rows[tgt_ids], tgt_at)
    return corpus, src_rows, np.concatenate([model.null_tgt, unseen])


def _look_up(
    words: pa.StringArray,
    vocabulary: pa.StringArray,
    vocabulary_prefixes: pa.StringArray,
    config: HmmModelConfig,
) -> tuple[I32, I32]:
    """Returns each word's id among the distinct words, and their ids in the vocabulary or -1.

    A word that is not in the vocabulary is read as the most frequent word that begins alike: what
    the class estimate of m_step.py would say of it, but for the share of the form.
    """
    encoded = words.dictionary_encode()
    rows = index_in(encoded.dictionary, vocabulary)
    unseen = np.flatnonzero(rows < 0)
    unseen_prefixes = prefixes(encoded.dictionary.take(pa.array(unseen)), config)
    # index_in finds the first match, and a vocabulary is sorted by falling frequency.
    rows[unseen] = index_in(unseen_prefixes, vocabulary_prefixes)
    return np.array(encoded.indices, np.int32), rows


def _parameters(model: HmmModel, corpus: Corpus, row_of: I32, null_tgt: F32) -> Parameters:
    longest = int(max(np.diff(corpus.src_at).max(initial=1), np.diff(corpus.tgt_at).max(initial=1)))
    # An unseen word is as likely under null as under any word; p_null and the jumps decide.
    null_src = np.full(len(row_of), model.config.floor, np.float32)
    null_src[row_of >= 0] = model.null_src[row_of[row_of >= 0]]
    parameters = e_step_parameters(model, model.config, longest)
    return parameters._replace(null_src=null_src, null_tgt=null_tgt)


def _select_links(
    corpus: Corpus, result: EStepResult, method: Method, least: np.float32
) -> WordLinks:
    """Returns the links of a range of sentences, by their index in the range."""
    # A word can have several links even above 0.5: two source words may share a target word's mass,
    # half each, while either is sure of it in the other direction: (0.5 + 0.9) / 2.
    on = result.mean > least
    if method is not Method.POSTERIOR:
        on &= symmetrize_corpus(corpus, result.best_src, result.best_tgt, int(method))
    cell = np.flatnonzero(on)
    n_tgt = np.diff(corpus.tgt_at)
    # sentences of 2 x 3 and 1 x 2 words:  cell_at [0 6 8];  cell 4 is (4 - 0) divmod 3 = (1, 1)
    cell_at = offsets_of(np.diff(corpus.src_at) * n_tgt)
    sentence = np.searchsorted(cell_at[1:], cell, side="right")
    score = np.clip(result.mean[cell], np.float32(LEAST_SCORE), np.float32(1))
    i, j = np.divmod(cell - cell_at[sentence], np.maximum(n_tgt, 1)[sentence])
    # int32 until they become links: those of all chunks wait in memory together.
    return WordLinks(sentence.astype(np.int32), i.astype(np.int32), j.astype(np.int32), score)
