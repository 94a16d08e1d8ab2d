"""Matching against slow, obvious versions that see one pair at a time, and what holds always."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.align.encoder import matching as module
from bitextile.kernels.align.encoder.config import Matcher
from bitextile.kernels.align.encoder.matching import match_words, means_of_words
from bitextile.kernels.align.encoder.tokens import TokenVectors
from bitextile.kernels.arrays import offsets_of
from bitextile.kernels.randomness import uniform

MATCHINGS = ["inter", "itermax", "mwmf", "softmax"]


def matcher(matching: str, token_type: str = "bpe", distortion: float = 0.0) -> Matcher:
    distortion = 0.0 if matching == "softmax" else distortion
    return Matcher(matching=matching, token_type=token_type, distortion=distortion, threshold=0.001)


def numbers(key: int, n: int, what: str) -> np.ndarray:
    return uniform(
        np.asarray([key], np.uint64), seed=3, operation=what, position=np.arange(n)
    ).ravel()


def vectors_of(lengths: list[int], key: int, width: int = 6) -> TokenVectors:
    """Sentences of that many subwords; a word has one to three, and some words have none."""
    at = offsets_of(lengths)
    flat = (numbers(key, int(at[-1]) * width, "vectors") - 0.5).reshape(-1, width)
    words = []
    for k, length in enumerate(lengths):
        steps = np.minimum(numbers(key + k + 1, length, "words") * 3, 2).astype(np.int64)
        words.append(np.cumsum(steps) - (steps[0] if length else 0))
    word = np.concatenate(words) if words else np.zeros(0, np.int64)
    return TokenVectors(flat.astype(np.float32), at, word)


def sentence(tokens: TokenVectors, k: int) -> tuple[np.ndarray, np.ndarray]:
    part = slice(tokens.at[k], tokens.at[k + 1])
    return tokens.vectors[part].astype(np.float64), tokens.word[part]


def slow_matches(one, two, how: Matcher) -> np.ndarray:
    """The cells matched, in loops over one pair's similarities, from the papers' definitions."""
    m, n = len(one), len(two)
    if how.matching == "softmax":
        dots = one @ two.T
        rows = np.exp(dots) / np.exp(dots).sum(1, keepdims=True)
        columns = np.exp(dots) / np.exp(dots).sum(0, keepdims=True)
        return (rows > how.threshold) & (columns > how.threshold)
    norms = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(two, axis=1)
    similarity = (one @ two.T / norms + 1) / 2
    for i in range(m):
        for j in range(n):
            if m > 1 and n > 1:
                similarity[i, j] *= 1 - how.distortion * (j / (n - 1) - i / (m - 1)) ** 2
    if how.matching == "mwmf":
        return best_assignment(similarity)
    on = mutual(similarity)
    if how.matching == "itermax" and min(m, n) > 2:
        rows, columns = ~on.any(1), ~on.any(0)
        if rows.any() and columns.any():
            factor = np.array([[(0, 0.9, 1)[int(r) + int(c)] for c in columns] for r in rows])
            on = on | (mutual(similarity * factor) & (factor > 0))
    return on


def mutual(similarity: np.ndarray) -> np.ndarray:
    m, n = similarity.shape
    return np.array(
        [
            [similarity[i].argmax() == j and similarity[:, j].argmax() == i for j in range(n)]
            for i in range(m)
        ]
    )


def best_assignment(similarity: np.ndarray) -> np.ndarray:
    """By dynamic programming over the sets of rows used."""
    m, n = similarity.shape
    if m > n:
        return best_assignment(similarity.T).T
    best: dict[int, tuple[float, list]] = {0: (0.0, [])}
    for j in range(n):
        for used, (weight, cells) in list(best.items()):
            for i in range(m):
                if not used >> i & 1:
                    found = (weight + similarity[i, j], [*cells, (i, j)])
                    if found[0] > best.get(used | 1 << i, (-1.0, []))[0]:
                        best[used | 1 << i] = found
    on = np.zeros((m, n), bool)
    on[tuple(zip(*best[(1 << m) - 1][1]))] = True
    return on


def slow_links(src: TokenVectors, tgt: TokenVectors, how: Matcher) -> set[tuple[int, int, int]]:
    found = set()
    for k in range(len(src.at) - 1):
        (one, words), (two, others) = sentence(src, k), sentence(tgt, k)
        if how.token_type == "word":
            one, words = means(one, words)
            two, others = means(two, others)
        if len(one) and len(two):
            for i, j in np.argwhere(slow_matches(one, two, how)):
                found.add((k, int(words[i]), int(others[j])))
    return found


def means(vectors: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct = np.unique(words)
    return np.array([vectors[words == w].mean(axis=0) for w in distinct]), distinct


LENGTHS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=8)


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("token_type", ["bpe", "word"])
@given(lengths=LENGTHS, key=st.integers(0, 1000), distortion=st.sampled_from([0.0, 0.5, 1.0]))
def test_links_are_those_of_the_slow_version(matching, token_type, lengths, key, distortion):
    src = vectors_of([m for m, _ in lengths], 2 * key)
    tgt = vectors_of([n for _, n in lengths], 2 * key + 5000)
    how = matcher(matching, token_type, distortion)
    links = match_words(src, tgt, matcher=how)
    found = list(zip(links.pair.tolist(), links.src.tolist(), links.tgt.tolist()))
    assert found == sorted(slow_links(src, tgt, how))
    assert ((links.score > 0) & (links.score <= 1)).all()


@pytest.mark.parametrize("matching", MATCHINGS)
def test_a_batch_gives_what_its_pairs_give_alone(matching: str) -> None:
    lengths = [3, 9, 1, 0, 30, 4]
    src, tgt = vectors_of(lengths, 1), vectors_of(lengths[::-1], 2)
    together = match_words(src, tgt, matcher=matcher(matching))
    for k in range(len(lengths)):
        alone = match_words(only(src, k), only(tgt, k), matcher=matcher(matching))
        mine = together.pair == k
        assert together.src[mine].tolist() == alone.src.tolist()
        assert together.tgt[mine].tolist() == alone.tgt.tolist()
        np.testing.assert_allclose(together.score[mine], alone.score, rtol=1e-5)


def only(tokens: TokenVectors, k: int) -> TokenVectors:
    part = slice(tokens.at[k], tokens.at[k + 1])
    at = np.array([0, tokens.at[k + 1] - tokens.at[k]])
    return TokenVectors(tokens.vectors[part], at, tokens.word[part])


@pytest.mark.parametrize("matching", MATCHINGS)
def test_long_pairs_are_matched_in_windows(matching: str, monkeypatch) -> None:
    # A copy: every token's best is itself, wherever the windows are cut.
    monkeypatch.setattr(module, "MAX_TOKENS", 16)
    vectors = np.linalg.qr(numbers(9, 100 * 100, "square").reshape(100, 100))[0] * 20
    tokens = TokenVectors(vectors.astype(np.float32), np.array([0, 100]), np.arange(100))
    links = match_words(tokens, tokens, matcher=matcher(matching))
    assert links.src.tolist() == links.tgt.tolist() == list(range(100))


@pytest.mark.parametrize("matching", MATCHINGS)
def test_equal_and_zero_vectors_give_no_nan(matching: str) -> None:
    for value in (0.0, 1.0, 1e4):
        tokens = TokenVectors(np.full((6, 4), value, np.float32), np.array([0, 6]), np.arange(6))
        links = match_words(tokens, tokens, matcher=matcher(matching, distortion=0.5))
        assert np.isfinite(links.score).all()
        assert len(links.pair) >= 1
        if matching != "softmax":
            assert len(set(links.src.tolist())) == len(links.src)


def test_mean_counts_each_subword_once() -> None:
    tokens = vectors_of([5, 0, 7], 4)
    averaged = means_of_words(tokens)
    for k in range(3):
        expected = means(*sentence(tokens, k)) if k != 1 else (np.zeros((0, 6)), np.zeros(0))
        got = sentence(averaged, k)
        np.testing.assert_allclose(got[0].reshape(-1, 6), expected[0], rtol=1e-5, atol=1e-7)
        assert got[1].tolist() == expected[1].tolist()
