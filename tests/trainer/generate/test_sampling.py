"""Tokens are drawn in proportion to their weights, keyed by record, position and variant."""

import numpy as np
import pytest

from bitextile.trainer.generate.sampling import sample_token

# Spread over all 64 bits, as the hashes of ids are.
KEYS = np.arange(6_000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
WEIGHTS = np.tile([1.0, 0.0, 3.0, 2.0], (6_000, 1))


def test_shares_follow_the_weights() -> None:
    counts = np.bincount(sample_token(WEIGHTS, KEYS, seed=0, position=0), minlength=4)
    # Three standard deviations of a share of a half over 6,000 draws are 0.019.
    assert counts / 6_000 == pytest.approx([1 / 6, 0, 1 / 2, 1 / 3], abs=0.02)
    assert counts[1] == 0


def test_a_draw_depends_on_its_own_key_and_place_alone() -> None:
    positions = np.arange(6_000) % 7
    whole = sample_token(WEIGHTS, KEYS, seed=0, position=positions)
    for part in (slice(0, 10), slice(100, 4_000)):
        alone = sample_token(WEIGHTS[part], KEYS[part], seed=0, position=positions[part])
        assert (alone == whole[part]).all()
    for other in ({"seed": 1}, {"seed": 0, "variant": 1}):
        assert (sample_token(WEIGHTS, KEYS, position=positions, **other) != whole).any()
    assert (sample_token(WEIGHTS, KEYS, seed=0, position=positions + 1) != whole).any()


def test_weights_need_not_add_up_to_one() -> None:
    scaled = sample_token(WEIGHTS * 8.0, KEYS, seed=0, position=0)
    assert (scaled == sample_token(WEIGHTS, KEYS, seed=0, position=0)).all()
