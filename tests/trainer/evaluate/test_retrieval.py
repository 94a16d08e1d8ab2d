"""Retrieval by hand and against the obvious double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.errors import InputError
from bitextile.trainer.evaluate import retrieval as module
from bitextile.trainer.evaluate.intervals import bootstrap
from bitextile.trainer.evaluate.retrieval import retrieval


def texts(n: int, language: str) -> list[str]:
    return [f"{language}{i}" for i in range(n)]


def test_accuracy_by_hand():
    src = np.asarray([[1.0, 0.0], [0.0, 2.0], [1.0, 1.1]])
    tgt = np.asarray([[3.0, 0.1], [0.1, 1.0], [1.0, 0.1]])
    result = retrieval(src, tgt, src_texts=texts(3, "a"), tgt_texts=texts(3, "b"))
    # 0 finds 0, 1 finds 1, 2 finds 1; back: 0 finds 0, 1 finds 1, 2 finds 0.
    assert result.src_to_tgt.value == pytest.approx(2 / 3)
    assert result.tgt_to_src.value == pytest.approx(2 / 3)
    assert result.pairs == 3


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(2, 12))
def test_equals_the_double_loop(seed, n):
    generator = np.random.default_rng(seed)
    src, tgt = generator.normal(size=(2, n, 3))
    cos = np.asarray([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in tgt] for a in src])
    result = retrieval(src, tgt, src_texts=texts(n, "a"), tgt_texts=texts(n, "b"))
    assert result.src_to_tgt.value == np.mean(
        [max(range(n), key=lambda j: cos[i, j]) == i for i in range(n)]
    )
    assert result.tgt_to_src.value == np.mean(
        [max(range(n), key=lambda i: cos[i, j]) == j for j in range(n)]
    )


def test_blocks_change_nothing(monkeypatch):
    src, tgt = np.random.default_rng(1).normal(size=(2, 50, 4))
    names = {"src_texts": texts(50, "a"), "tgt_texts": texts(50, "b")}
    whole = retrieval(src, tgt, **names)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert retrieval(src, tgt, **names) == whole


def test_a_sentence_that_stands_twice_is_a_hit_in_either_place():
    vectors = np.asarray([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    same = retrieval(vectors, vectors, src_texts=["a", "a", "b"], tgt_texts=["c", "c", "d"])
    other = retrieval(vectors, vectors, src_texts=["a", "a", "b"], tgt_texts=["c", "e", "d"])
    assert same.src_to_tgt.value == 1.0
    assert other.src_to_tgt.value == pytest.approx(2 / 3)


def test_one_pair_is_no_task():
    with pytest.raises(InputError, match="at least 2 pairs, got 1"):
        retrieval(np.ones((1, 2)), np.ones((1, 2)), src_texts=["a"], tgt_texts=["b"])


def test_the_interval_is_that_of_a_binomial_and_always_the_same():
    n, p = 400, 0.3
    hits = np.zeros((n, 2))
    hits[: int(n * p), 0] = hits[:, 1] = 1.0
    one, two = (bootstrap(hits, lambda s: s[0] / s[1], operation="test") for _ in range(2))
    assert one == two
    assert one.value == pytest.approx(p)
    half = 1.96 * (p * (1 - p) / n) ** 0.5
    assert (one.low, one.high) == pytest.approx((p - half, p + half), abs=0.01)
