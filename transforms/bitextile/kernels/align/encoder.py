"""From the vectors of an encoder to word links.

Four ways to match the units (subwords or words) of two sentences:

- `inter`: pairs that are each other's most similar unit, SimAlign's Argmax;
- `itermax`: `inter`, then the same once more among units that have no link yet;
- `mwmf`: the one-to-one matching of greatest total similarity;
- `softmax`: pairs that a softmax over dot products finds likely in both directions.

Similarity is (1 + cosine) / 2, in [0, 1]. Sources: SimAlign (Jalili Sabet et al. 2020, sections 2
and 3) for the first three, awesome-align (Dou and Neubig 2021, section 2.2) for the last.

The sentences of a batch are matched together: sorted by length, their similarities stand in padded
arrays [B, M, N], `inside` marks the cells that are real.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.corpus import Corpus, Windows, windowed
from bitextile.kernels.align.hmm.apply import LEAST_SCORE, MOST_WORDS, Alignment
from bitextile.kernels.arrays import F32, F64, I64, Bool, Floats, Ints, offsets_of
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import LINK, LINKS

Matching = Literal["inter", "itermax", "mwmf", "softmax"]
TokenType = Literal["bpe", "word"]

MAX_UNITS = 2048
"""Longer sentences are matched in overlapping windows along the diagonal: bounds the memory of one
pair's similarities to 32 MB, and is four times what simalign sees at all."""
BATCH_CELLS = 1 << 18
"""Padded cells matched at once; 2 MB as float64 stay in the cache."""
BATCH_FLOATS = 1 << 22
"""Padded vector components at once: 16 MB."""
ITERMAX_FADING = 0.9
"""Weight of a cell whose row or column has a link already (SimAlign's alpha)."""


@dataclass(frozen=True)
class Units:
    """The subwords or words of sentences, one sentence after the other.

    Attributes:
        vectors: float32 [units, H].
        at: int64 [sentences + 1], where each sentence begins.
        word: int64 [units], index in its sentence of the word a unit belongs to, never falling.
    """

    vectors: F32
    at: I64
    word: I64


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """How units are matched.

    Attributes:
        matching: one of the four ways.
        token_type: `bpe` matches subwords and links two words where any of theirs match; `word`
            matches the mean vectors of words.
        distortion: similarities are multiplied by 1 - distortion * (difference of the relative
            positions) ** 2; 0 does nothing.
        threshold: least probability in either direction, for `softmax`.
    """

    matching: Matching
    token_type: TokenType
    distortion: float
    threshold: float


class WordLinks(NamedTuple):
    """Links of many pairs: pair, source word, target word (int64) and score (float64), sorted."""

    pair: I64
    src: I64
    tgt: I64
    score: F64


def means_of_words(units: Units) -> Units:
    """Returns one unit for each word that has any: the mean of its units.

    >>> vectors = np.array([[0, 2], [2, 0], [4, 4]], np.float32)
    >>> halves = Units(vectors, np.array([0, 3]), np.array([0, 0, 2]))
    >>> means_of_words(halves).vectors.tolist(), means_of_words(halves).word.tolist()
    ([[1.0, 1.0], [4.0, 4.0]], [0, 2])
    """
    if not len(units.word):
        return units
    sentence = np.repeat(np.arange(len(units.at) - 1), np.diff(units.at))
    first = np.ones(len(units.word), bool)
    first[1:] = (np.diff(units.word) != 0) | (np.diff(sentence) != 0)
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(first)))
    sums = np.add.reduceat(units.vectors, starts, axis=0)
    at = np.searchsorted(starts, units.at)
    means = sums / counts[:, None].astype(np.float32)
    return Units(means.astype(np.float32), at, units.word[starts])


def match_words(src: Units, tgt: Units, *, matcher: Matcher) -> WordLinks:
    """Returns the word links of sentence pairs, sorted by (pair, src, tgt), each once.

    The score of a link is, with `softmax`, the mean of its probabilities in both directions, else
    the similarity with distortion; with subwords that of the best pair of subwords. It lies in
    (0, 1].

    Args:
        src: subwords of the source sentences.
        tgt: subwords of as many target sentences.
        matcher: how.

    Source: Jalili Sabet et al. 2020; Dou and Neubig 2021.
    """
    if matcher.token_type == "word":
        src, tgt = means_of_words(src), means_of_words(tgt)
    if matcher.matching != "softmax":
        src, tgt = _of_length_one(src), _of_length_one(tgt)
    corpus = Corpus(
        np.arange(len(src.word), dtype=np.int32),
        src.at,
        np.arange(len(tgt.word), dtype=np.int32),
        tgt.at,
    )
    windows = windowed(corpus, MAX_UNITS)
    found = [_match_batch(src, tgt, windows, rows, matcher) for rows in _batches(src, windows)]
    nothing = np.zeros(0, np.int64)
    columns = [np.concatenate(c) for c in zip((nothing, nothing, nothing, np.zeros(0)), *found)]
    return _best_of_each(*columns)


def alignment_of(links: WordLinks, n_pairs: int) -> Alignment:
    """Returns links as columns of kind ALIGNED.

    Args:
        links: of `match_words`.
        n_pairs: rows.

    Raises:
        InputError: a word's index does not fit a link.
    """
    most = max(links.src.max(initial=0), links.tgt.max(initial=0))
    if most >= MOST_WORDS:
        raise InputError(f"a sentence has {most + 1} words, links number {MOST_WORDS}; split it")
    n = np.bincount(links.pair, minlength=n_pairs)
    offsets = offsets_of(n).astype(np.int32)
    values = [
        links.src.astype(np.int16),
        links.tgt.astype(np.int16),
        links.score.astype(np.float32),
    ]
    items = pa.StructArray.from_arrays([pa.array(v) for v in values], fields=list(LINK))
    total = np.bincount(links.pair, np.log(links.score), minlength=n_pairs)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.log(LEAST_SCORE))
    lists = pa.ListArray.from_arrays(pa.array(offsets), items, type=LINKS)
    return Alignment(lists, pa.array(mean.astype(np.float32)))


def _of_length_one(units: Units) -> Units:
    length = np.sqrt(np.einsum("uh,uh->u", units.vectors, units.vectors))
    length[length == 0] = 1  # as scikit-learn does it: a zero vector has cosine 0 with any other
    return Units((units.vectors / length[:, None]).astype(np.float32), units.at, units.word)


def _batches(src: Units, windows: Windows) -> Iterator[I64]:
    """Yields indices of windows of about the same shape; those with an empty side are left out."""
    m, n = np.diff(windows.corpus.src_at), np.diff(windows.corpus.tgt_at)
    order = np.lexsort((n, m))
    order = order[(m[order] > 0) & (n[order] > 0)]
    width = src.vectors.shape[1] if src.vectors.ndim == 2 else 1
    start, widest = 0, 0
    for place, window in enumerate(order):
        widest = max(widest, int(n[window]))
        cells = (place - start + 1) * int(m[window]) * widest
        floats = (place - start + 1) * (int(m[window]) + widest) * width
        if place > start and (cells > BATCH_CELLS or floats > BATCH_FLOATS):
            yield order[start:place]
            start, widest = place, int(n[window])
    if start < len(order):
        yield order[start:]


def _match_batch(
    src: Units, tgt: Units, windows: Windows, rows: I64, matcher: Matcher
) -> tuple[I64, I64, I64, Floats]:
    """Returns pair, source word, target word and score of each matched pair of units."""
    corpus = windows.corpus
    one, m = _padded(src.vectors, corpus.src, corpus.src_at, rows)
    two, n = _padded(tgt.vectors, corpus.tgt, corpus.tgt_at, rows)
    dots = np.matmul(one, two.transpose(0, 2, 1))
    inside = _inside(m, n)
    if matcher.matching == "softmax":
        score = _softmax_both(dots, inside)
        on = inside & (score > matcher.threshold).all(axis=0)
        score = score.mean(axis=0)
    else:
        score = _distorted((dots + 1.0) / 2.0, m, n, matcher.distortion)
        on = _MATCHINGS[matcher.matching](score, inside, m, n)
    b, i, j = np.nonzero(on)
    own = i + windows.src_from[rows[b]]
    mine = (own >= windows.own_from[rows[b]]) & (own < windows.own_to[rows[b]])
    b, i, j = b[mine], i[mine], j[mine]
    unit_src = corpus.src[corpus.src_at[rows[b]] + i]
    unit_tgt = corpus.tgt[corpus.tgt_at[rows[b]] + j]
    scores = np.clip(score[b, i, j].astype(np.float64), LEAST_SCORE, 1.0)
    return windows.row[rows[b]], src.word[unit_src], tgt.word[unit_tgt], scores


def _padded(vectors: F32, units: Ints, at: I64, rows: I64) -> tuple[F32, I64]:
    """Returns [B, M, H] and the lengths [B]; what stands in the padding is any unit's vector."""
    lengths = at[rows + 1] - at[rows]
    places = at[rows][:, None] + np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    return vectors[units[places]], lengths


def _inside(m: I64, n: I64) -> Bool:
    return _real(m)[:, :, None] & _real(n)[:, None, :]


def _real(lengths: I64) -> Bool:
    """Returns [B, M]: which units are no padding."""
    return np.arange(lengths.max()) < lengths[:, None]


def _distorted(similarity: Floats, m: I64, n: I64, ratio: float) -> Floats:
    """Returns similarities with distant positions made less similar; sides of one unit stay."""
    if ratio == 0.0:
        return similarity
    x = np.arange(similarity.shape[2]) / np.maximum(n - 1, 1)[:, None].astype(np.float64)
    y = np.arange(similarity.shape[1]) / np.maximum(m - 1, 1)[:, None].astype(np.float64)
    weight = 1.0 - ((x[:, None, :] - y[:, :, None]) ** 2) * ratio
    return similarity * np.where(((m < 2) | (n < 2))[:, None, None], 1.0, weight)


def _mutual_best(similarity: Floats, inside: Bool) -> Bool:
    """Returns the cells that are the first greatest of their row and of their column."""
    cells = np.where(inside, similarity, -1)
    forward = cells.argmax(axis=2)[:, :, None] == np.arange(cells.shape[2])
    backward = cells.argmax(axis=1)[:, None, :] == np.arange(cells.shape[1])[:, None]
    return forward & backward & inside


def _inter(similarity: Floats, inside: Bool, m: I64, n: I64) -> Bool:
    return _mutual_best(similarity, inside)


def _itermax(similarity: Floats, inside: Bool, m: I64, n: I64) -> Bool:
    """Returns `inter` and, among what it leaves, the mutual best of one more round.

    A cell whose row and column are both linked is out, one of them: its similarity fades. Pairs
    with a side of two units or fewer, or without a free row or a free column, have no second round.
    """
    first = _mutual_best(similarity, inside)
    free_rows = _real(m) & ~np.any(first, axis=2)
    free_columns = _real(n) & ~np.any(first, axis=1)
    again = (np.minimum(m, n) > 2) & free_rows.any(axis=1) & free_columns.any(axis=1)
    free = free_rows[:, :, None].astype(np.int8) + free_columns[:, None, :]
    faded = similarity * np.array([0.0, ITERMAX_FADING, 1.0])[free]
    more = _mutual_best(faded, inside) & (free > 0) & again[:, None, None]
    return first | more


def _mwmf(similarity: Floats, inside: Bool, m: I64, n: I64) -> Bool:
    """Returns the one-to-one matching of greatest weight; among equal ones SciPy's choice."""
    from scipy.optimize import linear_sum_assignment

    on = np.zeros(similarity.shape, bool)
    for b, (rows, columns) in enumerate(zip(m, n)):
        on[b][linear_sum_assignment(similarity[b, :rows, :columns], maximize=True)] = True
    return on


_MATCHINGS: dict[str, Callable[[Floats, Bool, I64, I64], Bool]] = {
    "inter": _inter,
    "itermax": _itermax,
    "mwmf": _mwmf,
}


def _softmax_both(dots: F32, inside: Bool) -> Floats:
    """Returns [2, B, M, N]: probabilities over target units, and over source units."""
    cells = np.where(inside, dots, np.float32(-1e30))  # finite: a padded row has no NaN
    both = []
    for axis in (2, 1):
        grown = np.exp(cells - cells.max(axis=axis, keepdims=True))
        both.append(grown / grown.sum(axis=axis, keepdims=True))
    return np.stack(both)


def _best_of_each(pair: I64, src: I64, tgt: I64, score: Floats) -> WordLinks:
    order = np.lexsort((-score, tgt, src, pair))
    pair, src, tgt, score = pair[order], src[order], tgt[order], score[order]
    first = np.ones(len(pair), bool)
    first[1:] = (np.diff(pair) != 0) | (np.diff(src) != 0) | (np.diff(tgt) != 0)
    return WordLinks(pair[first], src[first], tgt[first], score[first].astype(np.float64))


class Piece(NamedTuple):
    """A window of a sequence: [start, stop) is encoded, [own_start, own_stop) is taken from it."""

    start: int
    stop: int
    own_start: int
    own_stop: int


def context_windows(length: int, room: int) -> list[Piece]:
    """Returns overlapping windows over a sequence, so that each element has context on both sides.

    Windows are spread evenly and overlap by at least a quarter; an overlap is divided in the
    middle, so an element away from the ends sees an eighth of `room` or more on either side.

    Args:
        length: elements in all.
        room: elements of a window, at most.

    >>> context_windows(5, 8)
    [Piece(start=0, stop=5, own_start=0, own_stop=5)]
    >>> [(p.start, p.stop, p.own_start, p.own_stop) for p in context_windows(14, 8)]
    [(0, 8, 0, 7), (6, 14, 7, 14)]
    """
    if length <= room:
        return [Piece(0, length, 0, length)]
    overlap = room // 4
    n = -(-(length - overlap) // (room - overlap))
    starts = [k * (length - room) // (n - 1) for k in range(n)]
    cuts = [0, *((a + room + b) // 2 for a, b in pairwise(starts)), length]
    return [Piece(s, s + room, *own) for s, own in zip(starts, pairwise(cuts))]
