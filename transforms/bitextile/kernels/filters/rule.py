"""What a filter is: a rule with a name and a version that measures rows and drops some of them.

Rules are applied in order, and each measures only the rows that no earlier one has dropped, so a
cheap rule in front saves an expensive one its work:

    rows          a  b  c  d  e
    empty/1       0  1  0  0  0     b is dropped
    too_long/1    9     7  999  8   d is dropped; b is not measured
    ...
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bitextile.kernels.arrays import F64, Bool
from bitextile.kernels.rejects import Filtered, join, reject_rows
from bitextile.schema.kinds import MONO, PAIRS, Kind

Feature = Callable[[pa.RecordBatch], npt.NDArray]
"""A function of a batch that several rules measure by: [n, ...], a row of it for each row."""


class Rows:
    """Rows that rules measure; a feature that several rules ask for is computed once.

    Args:
        batch: [n] rows.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._known: dict[Feature, npt.NDArray] = {}

    def feature(self, compute: Feature) -> npt.NDArray:
        """Returns `compute(batch)`, [n, ...], remembered until the rows are gone."""
        # Keyed by the function itself, so a feature must be one of a module and not a lambda.
        if compute not in self._known:
            self._known[compute] = compute(self.batch)
        return self._known[compute]

    def keep(self, mask: Bool) -> "Rows":
        """Returns the rows where `mask` [n] is True, with what is known of them."""
        kept = Rows(self.batch.filter(pa.array(mask)))
        # Why a feature has one row per row of the batch: it can be filtered instead of computed
        # again.
        kept._known = {compute: values[mask] for compute, values in self._known.items()}
        return kept


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One filter, complete: what it measures, which value it drops, and what a user may set.

    Attributes:
        name: of the rule in rejects, counts and documentation.
        version: raised when the same row may get another value.
        doc: one sentence: which rows it drops, and why that is right.
        measure: (rows, config) -> [n] values; it looks at one row at a time, whatever its
            neighbours. Statistics that are fitted beforehand reach it in `config`.
        limit: config -> the value that is just allowed, or None to leave the rule out.
        fails: (values, limit) -> [n] whether a row is dropped: `np.greater`, or `np.less` where a
            low value is bad. A NaN fails neither, so it stands for «cannot be measured».
        kinds: of the rows it applies to.
        options: the dataclass of its options, which `measure` and `limit` read; None if it has
            none.
    """

    name: str
    version: int
    doc: str
    measure: Callable[[Rows, Any], F64]
    limit: Callable[[Any], float | None]
    fails: Callable[[F64, float], Bool] = np.greater
    kinds: tuple[Kind, ...] = (PAIRS, MONO)
    options: type | None = None

    @property
    def id(self) -> str:
        """Name and version, as rejects carry it: `length_ratio/1`."""
        return f"{self.name}/{self.version}"


def apply_rules(batch: pa.RecordBatch, rules: Sequence[Rule], *, config: Any) -> Filtered:
    """Returns the rows that no rule drops; each other row is a reject of its first rule.

    Args:
        batch: [n] rows that all the rules apply to.
        rules: in the order in which they are applied.
        config: has the options of all of them.

    Returns:
        The kept rows in their order; the rejects by rule, then in row order, each with the value
        that the rule measured.
    """
    rows, rejects = Rows(batch), []
    for rule in rules:
        limit = rule.limit(config)
        if limit is None:
            continue
        # On what is left only: with cheap rules in front, expensive ones measure the fewest rows.
        values = rule.measure(rows, config)
        dropped = rule.fails(values, limit)
        if dropped.any():
            bad = rows.batch.filter(pa.array(dropped))
            rejects.append(reject_rows(bad, rule=rule.id, value=values[dropped]))
            rows = rows.keep(~dropped)
    return Filtered(rows.batch, join(rejects))
