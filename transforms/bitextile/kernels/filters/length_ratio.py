"""The rule `length_ratio`: sides of very different length do not say the same."""

from dataclasses import dataclass

import numpy as np

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule
from bitextile.kernels.filters.words import words_per_side
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import PAIRS


@dataclass(frozen=True, kw_only=True)
class LengthRatioOptions:
    """Options of `length_ratio`."""

    max_length_ratio: float = 3.0
    """Largest ratio of the longer side to the shorter, in words. `length_smoothing` is added to
    both; 3 is our choice (it drops 25 of 447,179 real pairs)."""
    length_smoothing: float = 3.0
    """Words added to both sides before the ratio is taken. So "Go." may be "Va t'en d'ici !"."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        # Asked for what is right, so that a NaN is refused too.
        if not (self.max_length_ratio >= 1 and self.length_smoothing >= 0):
            raise ConfigError(
                f"filters: max_length_ratio {self.max_length_ratio}, length_smoothing "
                f"{self.length_smoothing}; expected at least 1 and 0"
            )


def smoothed_length_ratio(rows: Rows, config: LengthRatioOptions) -> F64:
    """Returns the words of the longer side over those of the shorter, [n], both smoothed."""
    words = rows.feature(words_per_side) + config.length_smoothing
    # 1e-9 for `length_smoothing` 0 beside an empty side: a huge ratio, no division by zero.
    return words.max(axis=1) / np.maximum(words.min(axis=1), 1e-9)


LENGTH_RATIO = Rule(
    name="length_ratio",
    version=1,
    doc="Drops pairs with one side too many times as long as the other; the value is the ratio.",
    measure=smoothed_length_ratio,
    limit=lambda config: config.max_length_ratio,
    kinds=(PAIRS,),
    options=LengthRatioOptions,
)
