"""Jump distributions: where they start, how they are laid out, what is learned."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.align.hmm.jumps import expand_jumps, initial_jumps, update_jumps


@pytest.mark.parametrize("window", [1, 2, 10, 30])
def test_the_start_falls_by_a_third_a_word_from_the_next_word_on_and_not_below_a_floor(window):
    weights = initial_jumps(window)
    assert len(weights) == 2 * window + 1
    for distance in range(-window, window + 1):
        expected = max(math.exp(-0.4 * abs(distance - 1)), 0.005)
        assert weights[window + distance] == pytest.approx(expected, rel=1e-12)
    assert weights.argmax() == window + 1


def test_the_floor_begins_fifteen_words_from_the_next_one():
    weights = initial_jumps(20)
    assert weights[20 + 1 + 13] == pytest.approx(0.00552, abs=1e-5)
    assert weights[20 + 1 + 14] == 0.005
    assert weights[20 + 1 - 14] == weights[0] == 0.005


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=9), st.integers(1, 40))
def test_distances_beyond_the_window_share_its_ends_and_the_mirror_is_of_minus_distance(
    weights, longest
):
    window = (len(weights) - 1) // 2
    weights = np.array(weights[: 2 * window + 1])
    jumps = expand_jumps(weights, longest)
    assert jumps.zero >= longest
    assert len(jumps.weight) == 2 * jumps.zero + 1
    for distance in range(-longest, longest + 1):
        near = min(max(distance, -window), window)
        assert jumps.weight[jumps.zero + distance] == np.float32(weights[window + near])
    assert jumps.mirrored.tolist() == jumps.weight[::-1].tolist()


def test_updated_jumps_share_long_distances():
    jumps = expand_jumps(np.ones(5), 10)
    expected = np.zeros(2 * jumps.zero + 1)
    expected[jumps.zero + 1], expected[jumps.zero + 7] = 6.0, 4.0
    weights = update_jumps(expected, jumps, 2, smoothing=1e-9, reach=4.0)
    assert weights == pytest.approx([0, 0, 0, 0.6, 0.4 / 4], abs=1e-6)


def test_smoothing_is_added_to_each_count_before_they_are_normalised():
    jumps = expand_jumps(np.ones(3), 4)
    expected = np.zeros(2 * jumps.zero + 1)
    expected[jumps.zero] = 6.0
    weights = update_jumps(expected, jumps, 1, smoothing=2.0, reach=1.0)
    assert weights == pytest.approx([2 / 12, 8 / 12, 2 / 12])
