"""The rules that `ingest` applies, in their order; a new filter is one new file and one line here.

The recipe's `filters` part, its help and its documentation are made from this list.
"""

from dataclasses import dataclass

import pyarrow as pa

from bitextile.kernels.filters.empty import EMPTY
from bitextile.kernels.filters.identical import IDENTICAL
from bitextile.kernels.filters.length_ratio import LENGTH_RATIO
from bitextile.kernels.filters.long_line import LONG_LINE
from bitextile.kernels.filters.long_word import LONG_WORD
from bitextile.kernels.filters.rule import Rule, apply_rules
from bitextile.kernels.filters.too_long import TOO_LONG
from bitextile.kernels.rejects import Filtered
from bitextile.kernels.rows import takes_tables
from bitextile.schema.kinds import Kind

# The order is part of the data: a row is counted under the first rule it breaks. Lengths come
# first; `words_per_side` is then computed once, for the last three.
RULES: tuple[Rule, ...] = (
    EMPTY,
    LONG_LINE,
    LONG_WORD,
    TOO_LONG,
    LENGTH_RATIO,
    IDENTICAL,
)

# Fields of the last base come first in a dataclass, hence the reversal.
_OPTIONS = tuple(rule.options for rule in reversed(RULES) if rule.options is not None)


@dataclass(frozen=True, kw_only=True)
class FilterConfig(*_OPTIONS):  # type: ignore[misc]  # mypy cannot follow a list of bases
    """The options of all rules together.

    >>> config = FilterConfig(max_words=90)
    >>> config.max_words, config.max_length_ratio, config.max_chars
    (90, 3.0, 5000)
    """

    def __post_init__(self) -> None:
        """Raises ConfigError for what a rule's own options refuse."""
        for options in _OPTIONS:
            # One by one and not by super(): these classes know nothing of each other, so none calls
            # the next.
            if check := vars(options).get("__post_init__"):
                check(self)


@takes_tables
def filter_rows(batch: pa.RecordBatch, *, kind: Kind, config: FilterConfig) -> Filtered:
    """Returns the rows within the limits, and the others as rejects of the first rule they break.

    Args:
        batch: rows of `kind`, normalised.
        kind: PAIRS or MONO; the rules of this kind are applied.
        config: the limits.
    """
    return apply_rules(batch, [rule for rule in RULES if kind in rule.kinds], config=config)
