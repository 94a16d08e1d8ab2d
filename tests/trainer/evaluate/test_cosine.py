"""Nearest by cosine against the obvious double loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitextile.trainer.evaluate import cosine
from bitextile.trainer.evaluate.cosine import nearest, unit_rows


@given(st.integers(0, 2**31), st.integers(0, 9), st.integers(1, 9))
def test_nearest_equals_the_double_loop(seed, n, m):
    generator = np.random.default_rng(seed)
    queries, candidates = generator.normal(size=(n, 3)), generator.normal(size=(m, 3))
    norm = np.linalg.norm
    want = [
        max(range(m), key=lambda j, q=q: q @ candidates[j] / norm(q) / norm(candidates[j]))
        for q in queries
    ]
    assert nearest(queries, candidates).tolist() == want


def test_blocks_change_nothing(monkeypatch):
    queries, candidates = np.random.default_rng(1).normal(size=(2, 50, 4))
    whole = nearest(queries, candidates)
    # 50 = 7 x 7 + 1: the last block has one row.
    monkeypatch.setattr(cosine, "BLOCK", 7)
    assert (nearest(queries, candidates) == whole).all()


def test_a_zero_vector_stays_zero():
    rows = unit_rows(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert rows.tolist() == [[0.0, 0.0], [0.6, 0.8]]
