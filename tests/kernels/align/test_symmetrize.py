"""The heuristics against sets of points, as their authors describe them."""

from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.config import Heuristic, Symmetrization
from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.symmetrize import (
    NEIGHBOURS,
    Method,
    get_method,
    symmetrize_corpus,
    symmetrize_sentence,
)
from bitextile.kernels.arrays import offsets_of
from bitextile.schema.errors import ConfigError

HEURISTICS = get_args(Heuristic)


def points(best_src, best_tgt, name):
    """The links of one sentence pair as a set."""
    on = np.zeros((len(best_tgt), len(best_src)), np.bool_)
    best = np.array(best_src, np.int32), np.array(best_tgt, np.int32)
    symmetrize_sentence(*best, int(get_method(name)), on)
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(on))}


def directions(best_src, best_tgt):
    forward = {(i, j) for j, i in enumerate(best_src) if i >= 0}
    return forward, {(i, j) for i, j in enumerate(best_tgt) if j >= 0}


@pytest.mark.parametrize("name", HEURISTICS)
@pytest.mark.parametrize(("n_src", "n_tgt"), [(1, 1), (1, 3), (3, 1), (2, 2), (2, 3), (3, 2)])
def test_every_pair_of_directions_in_a_small_sentence(reference, name, n_src, n_tgt):
    for best_src in product(range(-1, n_src), repeat=n_tgt):
        for best_tgt in product(range(-1, n_tgt), repeat=n_src):
            expected = reference.symmetrize(*directions(best_src, best_tgt), name)
            assert points(best_src, best_tgt, name) == expected, (best_src, best_tgt)


@pytest.mark.parametrize("name", HEURISTICS)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
@settings(max_examples=150, deadline=None)
def test_longer_sentences_with_links_near_the_diagonal(reference, name, n_src, n_tgt, data):
    """Near the diagonal both directions agree often, so that there is something to grow from."""

    def near(k, n, m):
        middle = k * m // n
        return st.sampled_from([-1, *range(max(0, middle - 2), min(m, middle + 3))])

    best_src = [data.draw(near(j, n_tgt, n_src)) for j in range(n_tgt)]
    best_tgt = [data.draw(near(i, n_src, n_tgt)) for i in range(n_src)]
    expected = reference.symmetrize(*directions(best_src, best_tgt), name)
    assert points(best_src, best_tgt, name) == expected


# A word's best link is the agreed one, so a step along a side is only seen from the other side.
STEPS = [(step, True) for step in NEIGHBOURS if step[1]] + [
    (step, False) for step in NEIGHBOURS if step[0]
]


@pytest.mark.parametrize(("step", "forward"), STEPS)
def test_growing_reaches_all_eight_neighbours_from_either_direction(step, forward):
    """One agreed link in the middle of 3 x 3, one union point at the step."""
    best_src, best_tgt = [-1, 1, -1], [-1, 1, -1]
    i, j = 1 + step[0], 1 + step[1]
    if forward:
        best_src[j] = i
    else:
        best_tgt[i] = j
    assert points(best_src, best_tgt, "grow-diag") == {(1, 1), (i, j)}


def test_a_union_point_two_steps_away_is_not_reached():
    best_src, best_tgt = [0, -1, 2, -1], [0, -1, -1, -1]
    assert points(best_src, best_tgt, "grow-diag") == {(0, 0)}
    assert points([0, -1, -1, 3], [0, -1, -1, -1], "grow-diag") == {(0, 0)}


def test_growing_goes_on_from_what_was_grown_even_against_the_order_of_visits():
    # Agreed at (2, 2); the chain leads back to the beginning, one sweep per link.
    assert points([1, 1, 2], [1, 1, 2], "intersect") == {(1, 1), (2, 2)}
    assert points([1, 1, 2], [1, 1, 2], "grow-diag") == {(1, 1), (2, 2), (1, 0), (0, 1)}
    assert points([0, 1, 2, 3], [-1, -1, -1, 3], "grow-diag") == {(k, k) for k in range(4)}


def test_straight_neighbours_are_tried_before_diagonal_ones():
    # Source word 1 is free; (1, 0) and (1, 1) are union points beside (0, 0), (1, 1) diagonally.
    # Once (1, 0) is taken, target word 1 is still free: both are linked. With target word 1 linked
    # from elsewhere only the first one tried is.
    assert points([0, 1], [0, 0], "grow-diag") == {(0, 0), (1, 0), (1, 1)}
    assert points([0, 1, 2], [0, 0, 1], "grow-diag") == {(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)}


def test_final_takes_words_with_one_free_side_and_final_and_with_two():
    # (0, 0) agreed; far away (3, 3) is free on both sides, (0, 3) on one.
    best_src, best_tgt = [0, -1, -1, 3], [0, -1, -1, -1]
    assert points(best_src, best_tgt, "grow-diag-final") == {(0, 0), (3, 3)}
    assert points(best_src, best_tgt, "grow-diag-final-and") == {(0, 0), (3, 3)}
    best_src = [0, -1, -1, 0]
    assert points(best_src, best_tgt, "grow-diag-final") == {(0, 0), (0, 3)}
    assert points(best_src, best_tgt, "grow-diag-final-and") == {(0, 0)}
    best_src, best_tgt = [0, -1, -1, -1], [0, -1, -1, 0]
    assert points(best_src, best_tgt, "grow-diag-final") == {(0, 0), (3, 0)}
    assert points(best_src, best_tgt, "grow-diag-final-and") == {(0, 0)}


def test_final_goes_by_the_forward_direction_first():
    # Nothing agrees. Forward links (0, 1), reverse (0, 0): one of them finds both words free.
    assert points([-1, 0], [0, -1], "grow-diag-final-and") == {(0, 1)}
    assert points([-1, 0], [0, -1], "grow-diag-final") == {(0, 1), (0, 0)}


def test_a_known_picture():
    """Union of a diagonal with one gap: growing fills it, intersecting does not."""
    best_src, best_tgt = [0, 1, 1], [0, 1, -1]
    assert points(best_src, best_tgt, "intersect") == {(0, 0), (1, 1)}
    assert points(best_src, best_tgt, "grow-diag") == {(0, 0), (1, 1), (1, 2)}


SENTENCES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6)


@given(SENTENCES, st.sampled_from(HEURISTICS), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_corpus_is_its_sentences_one_after_the_other(lengths, name, seed):
    rng = np.random.default_rng(seed)
    best_src = [rng.integers(-1, max(m, 0), n) if m else np.full(n, -1) for m, n in lengths]
    best_tgt = [rng.integers(-1, max(n, 0), m) if n else np.full(m, -1) for m, n in lengths]
    src_at, tgt_at = (offsets_of(np.array([x[k] for x in lengths], np.int64)) for k in (0, 1))
    flat = [
        np.concatenate([np.zeros(0, np.int32), *x]).astype(np.int32) for x in (best_src, best_tgt)
    ]
    corpus = Corpus(flat[1], src_at, flat[0], tgt_at)
    on = symmetrize_corpus(corpus, *flat, int(get_method(name)))
    cell_at = offsets_of(np.array([m * n for m, n in lengths], np.int64))
    assert len(on) == cell_at[-1]
    for k, (m, n) in enumerate(lengths):
        grid = on[cell_at[k] : cell_at[k + 1]].reshape(m, n)
        found = {(int(i), int(j)) for i, j in zip(*np.nonzero(grid))}
        assert found == points(best_src[k], best_tgt[k], name)


def test_names_are_those_of_the_options():
    assert [get_method(name) for name in get_args(Symmetrization)] == list(Method)
    assert [get_method(name) for name in HEURISTICS] == list(Method)[:-1]
    assert [int(method) for method in Method] == list(range(6))


def test_an_unknown_name_is_refused_with_the_names():
    with pytest.raises(ConfigError, match=r"'grow', expected one of intersect, .*posterior"):
        get_method("grow")
