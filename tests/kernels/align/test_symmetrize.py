"""The heuristics against sets of points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.align.symmetrize import Method, method_named, symmetrized
from bitextile.schema.errors import ConfigError


def links(of_tgt, of_src, method):
    on = np.zeros((len(of_src), len(of_tgt)), np.bool_)
    symmetrized(np.array(of_tgt, np.int32), np.array(of_src, np.int32), int(method), on)
    return on


HEURISTICS = ["intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and"]


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_every_heuristic_is_the_one_over_sets(reference, n_src, n_tgt, data):
    of_tgt = data.draw(st.lists(st.integers(-1, n_src - 1), min_size=n_tgt, max_size=n_tgt))
    of_src = data.draw(st.lists(st.integers(-1, n_tgt - 1), min_size=n_src, max_size=n_src))
    forward = {(i, j) for j, i in enumerate(of_tgt) if i >= 0}
    reverse = {(i, j) for i, j in enumerate(of_src) if j >= 0}
    for name in HEURISTICS:
        on = links(of_tgt, of_src, method_named(name))
        got = {(int(i), int(j)) for i, j in zip(*np.nonzero(on))}
        assert got == reference.symmetrize(forward, reverse, name), name


def test_a_known_picture():
    """Union of a diagonal with one gap: growing fills it, intersecting does not."""
    of_tgt, of_src = [0, 1, 1], [0, 1, -1]
    assert links(of_tgt, of_src, Method.INTERSECT).sum() == 2
    assert links(of_tgt, of_src, Method.GROW_DIAG)[1, 2]


def test_an_unknown_name_is_refused_with_the_names():
    with pytest.raises(ConfigError, match=r"'grow', expected one of intersect, .*posterior"):
        method_named("grow")
