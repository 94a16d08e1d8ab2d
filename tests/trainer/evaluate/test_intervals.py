"""Bootstrap intervals against the binomial distribution."""

import numpy as np
import pytest

from bitextile.trainer.evaluate.intervals import bootstrap


def test_the_interval_is_that_of_a_binomial_and_always_the_same():
    n, p = 400, 0.3
    hits = np.zeros((n, 2))
    hits[: int(n * p), 0] = hits[:, 1] = 1.0
    one, two = (bootstrap(hits, lambda s: s[0] / s[1], operation="test") for _ in range(2))
    assert one == two
    assert one.value == pytest.approx(p)
    # The normal approximation, good to a hundredth at 120 hits of 400.
    half = 1.96 * (p * (1 - p) / n) ** 0.5
    assert (one.low, one.high) == pytest.approx((p - half, p + half), abs=0.01)
