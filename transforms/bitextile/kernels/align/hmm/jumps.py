"""Jump distributions: learned by distance up to a window, one shared weight per side beyond it."""

import numpy as np

from bitextile.kernels.align.hmm.forward_backward import LANES, Jumps
from bitextile.kernels.arrays import F64

START_DECAY = 0.4
"""First guess: a weight of exp(-0.4 |d - 1|), so that the next word is the likeliest."""
START_LEAST = 0.005
"""... but no distance below this."""


def first_jumps(window: int) -> F64:
    """Returns the weights to start from, float64 [2 * window + 1], distance d at window + d."""
    distance = np.arange(-window, window + 1)
    return np.maximum(np.exp(-START_DECAY * np.abs(distance - 1.0)), START_LEAST)


def _bucket(zero: int, window: int) -> np.ndarray:
    return np.clip(np.arange(-zero, zero + 1), -window, window) + window


def spread_out(weights: F64, longest: int) -> Jumps:
    """Returns the weights of every distance that sentences of `longest` words can need."""
    zero = longest + 2 * LANES
    bucket = _bucket(zero, len(weights) // 2)
    wide = weights.astype(np.float32)
    return Jumps(wide[bucket], wide[bucket[::-1]], zero)


def learned(expected: F64, jumps: Jumps, window: int, *, smoothing: float, reach: float) -> F64:
    """Returns new weights from expected transitions.

    Args:
        expected: float64 [2 * zero + 1], expected transitions by distance over their weight.
        jumps: the weights they were expected with.
        window: distances up to this have their own weight.
        smoothing: added to each expected count.
        reach: positions over which the count of a shared long jump is spread.
    """
    counts = np.bincount(
        _bucket(jumps.zero, window), expected * jumps.weight, minlength=2 * window + 1
    )
    weights = (counts + smoothing) / (counts + smoothing).sum()
    weights[[0, -1]] /= reach
    return weights
