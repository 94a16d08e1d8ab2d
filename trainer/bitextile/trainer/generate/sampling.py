"""Draws of tokens, each a function of seed, record and position: torch's generator is never used.

A draw from a global generator would depend on the other sentences of the batch.
"""

from bitextile.kernels.arrays import F64, I64, U64, Ints
from bitextile.kernels.randomness import uniform


def sample_token(
    weights: F64, keys: U64, *, seed: int, position: Ints | int, variant: int = 0
) -> I64:
    """Returns [n] a column of each row, drawn in proportion to its weights.

    Args:
        weights: [n, k] at least 0, not all 0 in a row.
        keys: [n] 64 bits of each record.
        seed: of the run.
        position: [n] of the token in its sentence, or one for all.
        variant: tells draws at the same position apart.

    >>> import numpy as np
    >>> sample_token(np.array([[0.0, 3.0, 0.0]]), np.array([7], np.uint64), seed=0, position=0)
    array([1])
    """
    cumulative = weights.cumsum(axis=1)
    draw = uniform(
        keys, seed=seed, operation="backtranslate/token", variant=variant, position=position
    )
    # The first column whose cumulative weight is above the draw; never one of weight 0, whose
    # cumulative weight is that of the column before.
    return (cumulative <= (draw * cumulative[:, -1])[:, None]).sum(axis=1)
