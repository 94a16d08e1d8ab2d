"""The rule `long_line`: more characters than a sentence has, whatever its words are."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule
from bitextile.kernels.filters.words import sides_of
from bitextile.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LongLineOptions:
    """Options of `long_line`."""

    max_chars: int = 5_000
    """Most characters of a side. 200 words of 25 characters, so that it catches what `max_words`
    cannot count: scripts without spaces, tables, encoded files."""

    def __post_init__(self) -> None:
        """Raises ConfigError for a limit that would drop everything."""
        if self.max_chars < 1:
            raise ConfigError(f"filters: max_chars {self.max_chars}; expected at least 1")


def longer_side_chars(rows: Rows, config: LongLineOptions) -> F64:
    """Returns the characters of the longer side of each row, [n]."""
    # Characters, not bytes: in Thai one takes three bytes, and the limit is the same for all
    # scripts.
    sides = [pc.utf8_length(side).to_numpy(zero_copy_only=False) for side in sides_of(rows.batch)]
    return np.max(sides, axis=0).astype(np.float64)


LONG_LINE = Rule(
    name="long_line",
    version=1,
    doc="Drops rows with a side of more than `max_chars` characters; the value is their number.",
    measure=longer_side_chars,
    limit=lambda config: config.max_chars,
    options=LongLineOptions,
)
