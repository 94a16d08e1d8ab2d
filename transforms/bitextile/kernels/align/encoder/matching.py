"""From the vectors of an encoder to word links.

Four ways to match the tokens (subwords or words) of two sentences:

- `inter`: pairs that are each other's most similar token, SimAlign's Argmax;
- `itermax`: `inter`, then the same once more among tokens that have no link yet;
- `mwmf`: the one-to-one matching of greatest total similarity, SimAlign's Match;
- `softmax`: pairs that a softmax over dot products finds likely in both directions.

Similarity is (1 + cosine) / 2, in [0, 1]. Sources: SimAlign (Jalili Sabet et al. 2020, sections 2
and 3) for the first three, awesome-align (Dou and Neubig 2021, section 2.2) for the last.

The sentences of a batch are matched together: sorted by length, their similarities are padded
arrays [B, M, N], `cell_mask` marks the cells that are real.
"""

from collections.abc import Callable, Iterator

import numpy as np

from bitextile.kernels.align.alignment import LEAST_SCORE, WordLinks
from bitextile.kernels.align.corpus import Corpus, Windows, cut_windows
from bitextile.kernels.align.encoder.config import Matcher
from bitextile.kernels.align.encoder.tokens import TokenVectors
from bitextile.kernels.arrays import F32, I64, Bool, Floats, Ints

MAX_TOKENS = 2048
"""Longer sentences are matched in overlapping windows along the diagonal: bounds the memory of one
pair's similarities to 32 MB, and is four times what simalign sees at all."""
BATCH_CELLS = 1 << 18
"""Padded cells matched at once; 2 MB as float64 stay in the cache."""
BATCH_FLOATS = 1 << 22
"""Padded vector components at once: 16 MB."""
ITERMAX_ALPHA = 0.9
"""Weight of a cell whose row or column has a link already (`alpha` in SimAlign)."""


def means_of_words(tokens: TokenVectors) -> TokenVectors:
    """Returns one token for each word that has any: the mean of its tokens.

    >>> vectors = np.array([[0, 2], [2, 0], [4, 4]], np.float32)
    >>> subwords = TokenVectors(vectors, np.array([0, 3]), np.array([0, 0, 2]))
    >>> means_of_words(subwords).vectors.tolist(), means_of_words(subwords).word.tolist()
    ([[1.0, 1.0], [4.0, 4.0]], [0, 2])
    """
    if not len(tokens.word):
        return tokens
    sentence = np.repeat(np.arange(len(tokens.at) - 1), np.diff(tokens.at))
    first = np.ones(len(tokens.word), bool)
    first[1:] = (np.diff(tokens.word) != 0) | (np.diff(sentence) != 0)
    # word  [0 0 2 | 0]   first [1 0 1 | 1]   starts [0 2 3]   counts [2 1 1]
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(first)))
    sums = np.add.reduceat(tokens.vectors, starts, axis=0)
    at = np.searchsorted(starts, tokens.at)
    means = sums / counts[:, None].astype(np.float32)
    return TokenVectors(means.astype(np.float32), at, tokens.word[starts])


def match_words(src: TokenVectors, tgt: TokenVectors, *, matcher: Matcher) -> WordLinks:
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
        src, tgt = _normalise(src), _normalise(tgt)
    # A corpus whose words are the tokens' own indices, so that windows hold indices of tokens.
    corpus = Corpus(
        np.arange(len(src.word), dtype=np.int32),
        src.at,
        np.arange(len(tgt.word), dtype=np.int32),
        tgt.at,
    )
    windows = cut_windows(corpus, MAX_TOKENS)
    found = [_match_batch(src, tgt, windows, rows, matcher) for rows in _batches(src, windows)]
    nothing = np.zeros(0, np.int64)
    columns = [np.concatenate(c) for c in zip((nothing, nothing, nothing, np.zeros(0)), *found)]
    return _deduplicate(*columns)


def _normalise(tokens: TokenVectors) -> TokenVectors:
    length = np.sqrt(np.einsum("th,th->t", tokens.vectors, tokens.vectors))
    length[length == 0] = 1  # as scikit-learn does it: a zero vector has cosine 0 with any other
    return TokenVectors(
        (tokens.vectors / length[:, None]).astype(np.float32), tokens.at, tokens.word
    )


def _batches(src: TokenVectors, windows: Windows) -> Iterator[I64]:
    """Yields indices of windows of about the same shape; those with an empty side are left out."""
    m, n = np.diff(windows.corpus.src_at), np.diff(windows.corpus.tgt_at)
    # [B, M, N] is as large as its longest sides:   m 2 2 3 | 7 8    sorted, so that little of it
    #                                               n 4 5 4 | 9 7    is padding
    order = np.lexsort((n, m))
    order = order[(m[order] > 0) & (n[order] > 0)]
    width = src.vectors.shape[1] if src.vectors.ndim == 2 else 1
    start, widest = 0, 0
    for k, window in enumerate(order):
        widest = max(widest, int(n[window]))
        cells = (k - start + 1) * int(m[window]) * widest
        floats = (k - start + 1) * (int(m[window]) + widest) * width
        if k > start and (cells > BATCH_CELLS or floats > BATCH_FLOATS):
            yield order[start:k]
            start, widest = k, int(n[window])
    if start < len(order):
        yield order[start:]


def _match_batch(
    src: TokenVectors, tgt: TokenVectors, windows: Windows, rows: I64, matcher: Matcher
) -> WordLinks:
    """Returns a link for each matched pair of tokens: unsorted, perhaps several of two words."""
    corpus = windows.corpus
    one, m = _padded(src.vectors, corpus.src, corpus.src_at, rows)
    two, n = _padded(tgt.vectors, corpus.tgt, corpus.tgt_at, rows)
    dots = np.matmul(one, two.transpose(0, 2, 1))
    cell_mask = _cell_mask(m, n)
    if matcher.matching == "softmax":
        score = _bidirectional_softmax(dots, cell_mask)
        on = cell_mask & (score > matcher.threshold).all(axis=0)
        score = score.mean(axis=0)
    else:
        score = _apply_distortion((dots + 1.0) / 2.0, m, n, matcher.distortion)
        on = _MATCHINGS[matcher.matching](score, cell_mask, m, n)
    b, i, j = np.nonzero(on)
    scores = np.clip(score[b, i, j].astype(np.float64), LEAST_SCORE, 1.0)
    # Links of tokens first, as windows are of tokens; the words they belong to come after.
    tokens = windows.to_pairs(WordLinks(rows[b], i, j, scores))
    src_words = src.word[src.at[tokens.pair] + tokens.src]
    tgt_words = tgt.word[tgt.at[tokens.pair] + tokens.tgt]
    return tokens._replace(src=src_words, tgt=tgt_words)


def _padded(vectors: F32, tokens: Ints, at: I64, rows: I64) -> tuple[F32, I64]:
    """Returns [B, M, H] and the lengths [B]; the padding holds any token's vector."""
    lengths = at[rows + 1] - at[rows]
    # A real vector rather than zeros: one gather fills the batch, and the masks hide the rest.
    index = at[rows][:, None] + np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    return vectors[tokens[index]], lengths


def _cell_mask(m: I64, n: I64) -> Bool:
    return _token_mask(m)[:, :, None] & _token_mask(n)[:, None, :]


def _token_mask(lengths: I64) -> Bool:
    """Returns [B, M]: which tokens are no padding."""
    return np.arange(lengths.max()) < lengths[:, None]


def _apply_distortion(similarity: Floats, m: I64, n: I64, ratio: float) -> Floats:
    """Returns similarities with distant positions made less similar; sides of one token stay."""
    if ratio == 0.0:
        return similarity
    x = np.arange(similarity.shape[2]) / np.maximum(n - 1, 1)[:, None].astype(np.float64)
    y = np.arange(similarity.shape[1]) / np.maximum(m - 1, 1)[:, None].astype(np.float64)
    weight = 1.0 - ((x[:, None, :] - y[:, :, None]) ** 2) * ratio
    return similarity * np.where(((m < 2) | (n < 2))[:, None, None], 1.0, weight)


def _mutual_best(similarity: Floats, cell_mask: Bool) -> Bool:
    """Returns the cells that are the first greatest of their row and of their column."""
    # Below any similarity, which is at least 0: padding is never the greatest.
    cells = np.where(cell_mask, similarity, -1)
    forward = cells.argmax(axis=2)[:, :, None] == np.arange(cells.shape[2])
    backward = cells.argmax(axis=1)[:, None, :] == np.arange(cells.shape[1])[:, None]
    return forward & backward & cell_mask


def _inter(similarity: Floats, cell_mask: Bool, m: I64, n: I64) -> Bool:
    return _mutual_best(similarity, cell_mask)


def _itermax(similarity: Floats, cell_mask: Bool, m: I64, n: I64) -> Bool:
    """Returns `inter` and, among what it leaves, the mutual best of one more round.

    A cell whose row and column are both linked is out; with one of them linked its similarity is
    damped. Pairs with a side of two tokens or fewer, or without a free row or a free column, have
    no second round.
    """
    first = _mutual_best(similarity, cell_mask)
    free_rows = _token_mask(m) & ~np.any(first, axis=2)
    free_columns = _token_mask(n) & ~np.any(first, axis=1)
    again = (np.minimum(m, n) > 2) & free_rows.any(axis=1) & free_columns.any(axis=1)
    # free sides of a cell   0: out   1: times alpha   2: as it is
    free = free_rows[:, :, None].astype(np.int8) + free_columns[:, None, :]
    damped = similarity * np.array([0.0, ITERMAX_ALPHA, 1.0])[free]
    more = _mutual_best(damped, cell_mask) & (free > 0) & again[:, None, None]
    return first | more


def _mwmf(similarity: Floats, cell_mask: Bool, m: I64, n: I64) -> Bool:
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


def _bidirectional_softmax(dots: F32, cell_mask: Bool) -> Floats:
    """Returns [2, B, M, N]: probabilities over target tokens, and over source tokens."""
    cells = np.where(cell_mask, dots, np.float32(-1e30))  # finite: a padded row has no NaN
    # The maximum is subtracted first: exp of a large dot product would be infinite.
    both = []
    for axis in (2, 1):
        exp = np.exp(cells - cells.max(axis=axis, keepdims=True))
        both.append(exp / exp.sum(axis=axis, keepdims=True))
    return np.stack(both)


def _deduplicate(pair: I64, src: I64, tgt: I64, score: Floats) -> WordLinks:
    # Several subwords of two words may match; the best pair of them comes first.
    order = np.lexsort((-score, tgt, src, pair))
    pair, src, tgt, score = pair[order], src[order], tgt[order], score[order]
    first = np.ones(len(pair), bool)
    first[1:] = (np.diff(pair) != 0) | (np.diff(src) != 0) | (np.diff(tgt) != 0)
    return WordLinks(pair[first], src[first], tgt[first], score[first].astype(np.float64))
