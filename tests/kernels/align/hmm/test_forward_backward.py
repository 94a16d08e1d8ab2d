"""Forward-backward against the sum over all paths."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.hmm.forward_backward import LANES, allocate_lattice, backward, forward
from bitextile.kernels.align.hmm.jumps import expand_jumps


@numba.njit
def both_passes(work, emit, null, jumps, p_null, cut, expected):
    n_obs, n = emit.shape
    wide = (n + LANES - 1) // LANES * LANES
    for j in range(n_obs):
        work.emit[j * wide : (j + 1) * wide] = 0
        for i in range(n):
            work.emit[j * wide + i] = emit[j, i]
        work.null_emit[j] = null[j]
    log = forward(work, n_obs, n, jumps, p_null, cut)
    backward(work, n_obs, n, jumps, p_null, cut, expected)
    return work.gamma[: n_obs * wide].copy().reshape(n_obs, wide), work.null_gamma[:n_obs], log


def run(emit, null, weights, p_null, cut=0.0):
    n_obs, n = emit.shape
    jumps = expand_jumps(weights, max(n_obs, n))
    expected = np.zeros(2 * jumps.zero + 1, np.float32)
    numbers = np.float32(p_null), np.float32(cut)
    gamma, nothing, log = both_passes(
        allocate_lattice(n_obs, n),
        emit.astype(np.float32),
        null.astype(np.float32),
        jumps,
        *numbers,
        expected,
    )
    return gamma, nothing, log, expected * jumps.weight, jumps


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_posteriors_likelihood_and_jumps_are_the_sum_over_all_paths(
    reference, n_obs, n, window, seed
):
    rng = np.random.default_rng(seed)
    emit = rng.random((n_obs, n)) ** 4 + 1e-6
    null = rng.random(n_obs) + 1e-6
    weights = rng.random(2 * window + 1) + 0.01
    p_null = rng.uniform(0.05, 0.6)
    slow = reference.hmm(emit.tolist(), null.tolist(), weights.tolist(), p_null)
    gamma, nothing, log, expected, jumps = run(emit, null, weights, p_null)
    np.testing.assert_allclose(gamma[:, :n], slow.real, atol=2e-5)
    np.testing.assert_allclose(nothing, slow.null, atol=2e-5)
    assert (gamma[:, n:] == 0).all()
    assert log == pytest.approx(slow.log, abs=1e-4)
    for distance in range(-n + 1, n):
        got = expected[jumps.zero + distance]
        assert got == pytest.approx(slow.jumps.get(distance, 0.0), abs=5e-5)


def test_cutting_weak_states_changes_posteriors_by_less_than_a_thousandth():
    rng = np.random.default_rng(3)
    emit = rng.random((40, 37)) ** 30 + 1e-7
    null, weights = rng.random(40) * 1e-2, rng.random(21) + 0.01
    exact, cut = (run(emit, null, weights, 0.2, c)[0] for c in (0.0, 1e-4))
    assert np.abs(exact - cut).max() < 1e-3
    assert (exact != cut).any()


@pytest.mark.parametrize("n", [1, 15, 16, 17, 200])
def test_posteriors_of_an_observation_sum_to_one_at_any_length(n):
    emit = np.full((9, n), 1e-7)
    emit[4, n // 2] = 1.0
    gamma, nothing, log, _, _ = run(emit, np.full(9, 1e-9), np.ones(21), 0.2)
    np.testing.assert_allclose(gamma.sum(axis=1) + nothing, 1, atol=1e-4)
    assert np.isfinite(log)
