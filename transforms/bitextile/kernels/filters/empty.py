"""The rule `empty`: a row without text on some side teaches nothing."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule
from bitextile.kernels.filters.words import sides_of


def count_empty_sides(rows: Rows, config: Any) -> F64:
    """Returns how many sides of each row are the empty string, [n]."""
    # Equality is enough: normalised text has no white space at its ends, so blank text is "".
    sides = [pc.equal(side, "").to_numpy(zero_copy_only=False) for side in sides_of(rows.batch)]
    return np.sum(sides, axis=0, dtype=np.float64)


EMPTY = Rule(
    name="empty",
    version=1,
    doc="Drops rows with an empty side; the value is the number of empty sides.",
    measure=count_empty_sides,
    limit=lambda config: 0.0,
)
