"""The rule `too_long`: what no encoder takes in whole is not a sentence to learn from."""

from dataclasses import dataclass

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule
from bitextile.kernels.filters.words import words_per_side
from bitextile.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TooLongOptions:
    """Options of `too_long`."""

    max_words: int = 200
    """Most words of a side. Our choice: 200 words fill most of the 512 positions that the usual
    encoders have."""

    def __post_init__(self) -> None:
        """Raises ConfigError for a limit that would drop everything."""
        if self.max_words < 1:
            raise ConfigError(f"filters: max_words {self.max_words}; expected at least 1")


def longer_side_words(rows: Rows, config: TooLongOptions) -> F64:
    """Returns the estimated words of the longer side of each row, [n]."""
    return rows.feature(words_per_side).max(axis=1)


TOO_LONG = Rule(
    name="too_long",
    version=1,
    doc="Drops rows with a side of more than `max_words` words; the value is the number of words.",
    measure=longer_side_words,
    limit=lambda config: config.max_words,
    options=TooLongOptions,
)
