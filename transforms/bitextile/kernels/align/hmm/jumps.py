"""Jump distributions: learned by distance up to a window, one shared weight per side beyond it."""

import numpy as np

from bitextile.kernels.align.hmm.forward_backward import LANES, Jumps
from bitextile.kernels.arrays import F64, I64

INITIAL_DECAY = 0.4
"""First guess: a weight of exp(-0.4 |d - 1|), so that the next word is the likeliest."""
INITIAL_FLOOR = 0.005
"""... but no distance below this."""


def initial_jumps(window: int) -> F64:
    """Returns the weights to start from, float64 [2 * window + 1], distance d at window + d.

    >>> initial_jumps(2).round(3).tolist()
    [0.301, 0.449, 0.67, 1.0, 0.67]
    """
    distance = np.arange(-window, window + 1)
    return np.maximum(np.exp(-INITIAL_DECAY * np.abs(distance - 1.0)), INITIAL_FLOOR)


def _bucket(zero: int, window: int) -> I64:
    # window 2, zero 4:   distance  -4 -3 -2 -1  0  1  2  3  4
    #                     bucket     0  0  0  1  2  3  4  4  4
    return np.clip(np.arange(-zero, zero + 1), -window, window) + window


def expand_jumps(weights: F64, longest: int) -> Jumps:
    """Returns the weights of every distance that sentences of `longest` words can need."""
    # Rows are padded to LANES and read as slices: their distances must exist, too.
    zero = longest + 2 * LANES
    bucket = _bucket(zero, len(weights) // 2)
    weights_f32 = weights.astype(np.float32)
    return Jumps(weights_f32[bucket], weights_f32[bucket[::-1]], zero)


def update_jumps(
    expected: F64, jumps: Jumps, window: int, *, smoothing: float, reach: float
) -> F64:
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
    # Their scale is free: `forward` divides them by their sum over the sentence's own states.
    weights = (counts + smoothing) / (counts + smoothing).sum()
    # The ends hold the counts of every longer jump; each single distance gets its part.
    weights[[0, -1]] /= reach
    return weights
