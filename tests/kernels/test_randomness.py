"""Draws: pure functions of their address, uniform, and independent of other addresses."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.randomness import bits, hash64, mix64, uniform
from bitextile.schema.ids import text_ids

N = 20_000
KEYS = hash64(text_ids("ar", pa.array([f"جملة {i}" for i in range(N)])))
BINS = 20
# The 99.99th percentile of chi-square with 19 degrees of freedom is 50.8; with 361, 468.
WORST, WORST_2D = 50.8, 468.0


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


def draw(**kwargs) -> np.ndarray:
    return uniform(KEYS, **{"seed": 0, "operation": "test"} | kwargs)


def test_the_finaliser_is_splitmix64s() -> None:
    # First outputs of splitmix64 from state 0: the finaliser over multiples of the golden gamma.
    golden = 0x9E3779B97F4A7C15
    states = np.array([golden, 2 * golden % 2**64], np.uint64)
    assert mix64(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_the_leading_64_bits_are_taken() -> None:
    ids = ["0123456789abcdef" + "f" * 16, "f" * 16 + "0" * 16]
    assert hash64(pa.array(ids)).tolist() == [0x0123456789ABCDEF, 2**64 - 1]
    assert hash64(pa.array([], pa.string())).shape == (0,)


@pytest.mark.parametrize("seed", [0, 1, 2**40])
@pytest.mark.parametrize(
    "address", [{}, {"variant": 3}, {"position": 7}, {"operation": "codeswitch/word"}]
)
def test_draws_are_uniform(seed: int, address: dict) -> None:
    drawn = draw(seed=seed, **address)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert chi_square(np.histogram(drawn, BINS, (0, 1))[0]) < WORST


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"variant": 1},
        {"position": 1},
        {"operation": "test/2"},
        {"seed": -1},
        {"position": 2**31},
    ],
)
def test_draws_at_two_addresses_are_independent(other: dict) -> None:
    counts = np.histogram2d(draw(), draw(**other), BINS, ((0, 1), (0, 1)))[0]
    assert chi_square(counts) < WORST_2D


def test_draws_of_neighbouring_positions_and_keys_are_independent() -> None:
    key = uniform(KEYS[:1], seed=0, operation="t", position=np.arange(N))
    assert chi_square(np.histogram2d(key[:-1], key[1:], BINS, ((0, 1),) * 2)[0]) < WORST_2D
    rows = uniform(np.arange(N, dtype=np.uint64), seed=0, operation="t")
    assert chi_square(np.histogram2d(rows[:-1], rows[1:], BINS, ((0, 1),) * 2)[0]) < WORST_2D


def test_every_bit_is_fair() -> None:
    drawn = bits(KEYS, seed=0, operation="t")
    ones = ((drawn[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).sum(0)
    assert np.abs(ones - N / 2).max() < 4.5 * np.sqrt(N / 4)


@given(
    st.permutations(range(12)), st.integers(0, 12), st.integers(-(2**63), 2**63), st.integers(0, 9)
)
def test_a_draw_depends_on_its_own_key_alone(order, cut: int, seed: int, variant: int) -> None:
    keys = KEYS[:12]
    address = {"seed": seed, "operation": "o", "variant": variant}
    whole = uniform(keys, **address)
    assert (uniform(keys[np.array(order)], **address) == whole[np.array(order)]).all()
    parts = [uniform(part, **address) for part in (keys[:cut], keys[cut:])]
    assert (np.concatenate(parts) == whole).all()


def test_positions_broadcast_against_keys() -> None:
    grid = uniform(KEYS[:3, None], seed=1, operation="o", position=np.arange(5)[None, :])
    assert grid.shape == (3, 5)
    for k in range(3):
        for p in range(5):
            assert grid[k, p] == uniform(KEYS[k : k + 1], seed=1, operation="o", position=p)[0]


def test_a_seed_and_operation_do_not_run_together() -> None:
    assert draw(seed=1, operation="1\x1fa")[0] != draw(seed=11, operation="a")[0]


def test_the_draws_stay_those_of_this_version() -> None:
    # A change here changes every data set made from now on: raise versions and say so in CHANGELOG.
    key = hash64(pa.array(["0123456789abcdef" * 2]))
    drawn = [uniform(key, seed=0, operation="split", position=p)[0] for p in (0, 1)]
    assert drawn == pytest.approx([GOLDEN[0], GOLDEN[1]], abs=1e-15)


GOLDEN = (0.33741379453851517, 0.26121809147612063)
