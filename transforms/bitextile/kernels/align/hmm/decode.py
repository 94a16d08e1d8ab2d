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
from bitextile.kernels.align.corpus import Corpus, Windows, folded_words, windowed
from bitextile.kernels.align.hmm.backoff import beginnings, positions
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.fit import parameters, parts_of
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.kernels.align.hmm.posteriors import (
    Evidence,
    Parameters,
    cells_of,
    evidence,
    expect,
    sentences,
)
from bitextile.kernels.align.symmetrize import Method, method_named, symmetrized_all
from bitextile.kernels.align.threads import map_parts, usable_threads
from bitextile.kernels.arrays import F32, I32
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
    method = method_named(symmetrize)
    least = _threshold(method, threshold)
    if len(src) != len(tgt):
        raise InputError(f"the aligner got {len(src)} source and {len(tgt)} target sentences")
    corpus, row_of, null_tgt = _numbered(model, src, tgt)
    windows = windowed(corpus, model.config.max_words)
    pieces = windows.corpus
    known = _parameters(model, pieces, row_of, null_tgt)
    parts = parts_of(pieces, len(row_of) + len(null_tgt))

    def links_of(part: tuple[int, int]) -> tuple[I32, I32, I32, F32]:
        here = sentences(pieces, *part)
        cells = cells_of(here, row_of, known.table, len(known.null_tgt))
        for_best = method is not Method.POSTERIOR
        found = evidence(here, known, for_links=True, for_best=for_best)
        expect(here, cells, known, found)
        return _links(here, found, method, least)

    found = map_parts(links_of, parts, n_threads=usable_threads(n_threads))
    return _alignment(windows, found, parts, len(src))


def _threshold(method: Method, threshold: float | None) -> np.float32:
    default = DEFAULT_THRESHOLD if method is Method.POSTERIOR else 0.0
    value = default if threshold is None else threshold
    if not 0 <= value < 1:
        raise ConfigError(f"threshold is {value}, expected at least 0 and below 1")
    return np.float32(value)


def _numbered(model: HmmModel, src: pa.ListArray, tgt: pa.ListArray) -> tuple[Corpus, I32, F32]:
    """Returns the batch as ids, the table row of each source id, and target null probabilities.

    Source ids number the batch's own words, because work goes along them; target ids are the
    model's, followed by the batch's unseen words.
    """
    src_words, src_at = folded_words(src)
    tgt_words, tgt_at = folded_words(tgt)
    for side, offsets in (("source", src_at), ("target", tgt_at)):
        longest = int(np.diff(offsets).max(initial=0))
        if longest > MAX_WORDS:
            raise InputError(
                f"a {side} sentence has {longest} words, links can number {MAX_WORDS}; split it"
            )
    src_ids, src_rows = _looked_up(src_words, model.src_words, model.src_beginnings, model.config)
    tgt_ids, tgt_rows = _looked_up(tgt_words, model.tgt_words, model.tgt_beginnings, model.config)
    n_new = int((tgt_rows < 0).sum())
    tgt_rows[tgt_rows < 0] = len(model.tgt_words) + np.arange(n_new)
    unseen = np.full(n_new, model.config.floor, np.float32)
    corpus = Corpus(src_ids, src_at, tgt_rows[tgt_ids], tgt_at)
    return corpus, src_rows, np.concatenate([model.null_tgt, unseen])


def _looked_up(
    words: pa.StringArray,
    vocabulary: pa.StringArray,
    vocabulary_beginnings: pa.StringArray,
    config: HmmModelConfig,
) -> tuple[I32, I32]:
    """Returns each word's id among the distinct words, and their ids in the vocabulary or -1.

    A word that is not in the vocabulary is read as the most frequent word that begins alike: what
    the class estimate of backoff.py would say of it, but for the share of the form.
    """
    encoded = words.dictionary_encode()
    rows = positions(encoded.dictionary, vocabulary)
    unseen = np.flatnonzero(rows < 0)
    begin = beginnings(encoded.dictionary.take(pa.array(unseen)), config)
    rows[unseen] = positions(begin, vocabulary_beginnings)
    return np.array(encoded.indices, np.int32), rows


def _parameters(model: HmmModel, pieces: Corpus, row_of: I32, null_tgt: F32) -> Parameters:
    longest = int(max(np.diff(pieces.src_at).max(initial=1), np.diff(pieces.tgt_at).max(initial=1)))
    null_src = np.full(len(row_of), model.config.floor, np.float32)
    null_src[row_of >= 0] = model.null_src[row_of[row_of >= 0]]
    return parameters(model, model.config, longest)._replace(null_src=null_src, null_tgt=null_tgt)


def _links(
    corpus: Corpus, found: Evidence, method: Method, least: np.float32
) -> tuple[I32, I32, I32, F32]:
    """Returns sentence, source word, target word and score of each link, in that order."""
    on = found.mean > least
    if method is not Method.POSTERIOR:
        on &= symmetrized_all(corpus, found.best_src, found.best_tgt, int(method))
    cell = np.flatnonzero(on)
    n_tgt = np.diff(corpus.tgt_at)
    start = np.cumsum(np.diff(corpus.src_at) * n_tgt)
    row = np.searchsorted(start, cell, side="right")
    cell_in_row = cell - np.concatenate([[0], start])[row]
    score = np.clip(found.mean[cell], np.float32(LEAST_SCORE), np.float32(1))
    src_word, tgt_word = np.divmod(cell_in_row, np.maximum(n_tgt, 1)[row])
    return row.astype(np.int32), src_word.astype(np.int32), tgt_word.astype(np.int32), score


def _alignment(
    windows: Windows,
    found: list[tuple[I32, I32, I32, F32]],
    parts: list[tuple[int, int]],
    n_pairs: int,
) -> Alignment:
    piece, i, j, score = (np.concatenate(a) for a in zip(*_numbered_on(found, parts)))
    i, j = i + windows.src_from[piece], j + windows.tgt_from[piece]
    own = (i >= windows.own_from[piece]) & (i < windows.own_to[piece])
    return to_alignment(WordLinks(windows.row[piece][own], i[own], j[own], score[own]), n_pairs)


def _numbered_on(
    found: list[tuple[I32, I32, I32, F32]], parts: list[tuple[int, int]]
) -> list[tuple[I32, I32, I32, F32]]:
    """Returns the parts' links with sentences numbered on from part to part."""
    none = (np.zeros(0, np.int32),) * 3 + (np.zeros(0, np.float32),)
    return [none] + [(s + first, i, j, p) for (first, _), (s, i, j, p) in zip(parts, found)]
