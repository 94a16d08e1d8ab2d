"""Applying rules: in order, lazily, each row rejected once, features computed once."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.rule import Rows, Rule, apply_rules
from bitextile.schema.kinds import REJECTS
from corpus_rows import mono_rows


@dataclass(frozen=True)
class Limits:
    """Of the two rules below; None leaves a rule out."""

    most: float | None = None
    least: float | None = None


def values_of(rows: Rows, config: Limits) -> F64:
    return np.array([float(t) for t in rows.batch["text"].to_pylist()])


HIGH = Rule(name="high", version=2, doc="", measure=values_of, limit=lambda c: c.most)
LOW = Rule(name="low", version=1, doc="", measure=values_of, limit=lambda c: c.least, fails=np.less)


def found(rejects: pa.RecordBatch) -> list[tuple]:
    return [(r["rule"], r["line"], r["value"]) for r in rejects.to_pylist()]


def test_no_rule_returns_the_batch_and_no_rejects() -> None:
    batch = mono_rows(["a", "ב"])
    kept, rejects = apply_rules(batch, [], config=None)
    assert kept.equals(batch)
    assert (rejects.num_rows, rejects.schema) == (0, REJECTS.schema)


@given(st.lists(st.integers(0, 9), max_size=9), st.permutations([HIGH, LOW]))
def test_a_row_falls_to_its_first_rule_in_their_order(values, rules) -> None:
    config = Limits(most=4, least=6)
    kept, rejects = apply_rules(mono_rows(map(str, values)), rules, config=config)
    fails = {"high/2": lambda v: v > 4, "low/1": lambda v: v < 6}
    left, expected = list(enumerate(values, start=1)), []
    for rule in rules:
        expected += [(rule.id, line, v) for line, v in left if fails[rule.id](v)]
        left = [(line, v) for line, v in left if not fails[rule.id](v)]
    assert found(rejects) == expected
    assert kept["line"].to_pylist() == [line for line, _ in left]


def test_a_value_at_the_limit_is_kept_and_so_is_one_that_cannot_be_measured() -> None:
    batch = mono_rows(["3", "nan", "4", "2"])
    kept, rejects = apply_rules(batch, [HIGH, LOW], config=Limits(most=3, least=3))
    assert kept["line"].to_pylist() == [1, 2]
    assert found(rejects) == [("high/2", 3, 4.0), ("low/1", 4, 2.0)]


def test_a_rule_without_a_limit_is_not_measured() -> None:
    def never(rows: Rows, config: Limits) -> F64:
        raise AssertionError

    rule = Rule(name="off", version=1, doc="", measure=never, limit=lambda c: None)
    assert apply_rules(mono_rows(["1"]), [rule], config=None).kept.num_rows == 1


def test_a_rule_measures_only_the_rows_that_are_left() -> None:
    seen: list[list[str]] = []

    def watch(rows: Rows, config: Limits) -> F64:
        seen.append(rows.batch["text"].to_pylist())
        return np.zeros(rows.batch.num_rows)

    watching = Rule(name="watch", version=1, doc="", measure=watch, limit=lambda c: 0.0)
    apply_rules(mono_rows(["1", "9", "2"]), [HIGH, watching], config=Limits(most=5))
    assert seen == [["1", "2"]]


def test_a_feature_is_computed_once_and_follows_the_rows_that_are_left() -> None:
    calls = []

    def lengths(batch: pa.RecordBatch) -> np.ndarray:
        calls.append(batch.num_rows)
        return np.array([[len(t), 0] for t in batch["text"].to_pylist()])

    rows = Rows(mono_rows(["a", "abc", "ab"]))
    assert rows.feature(lengths)[:, 0].tolist() == [1, 3, 2]
    left = rows.keep(np.array([True, False, True]))
    assert left.batch["line"].to_pylist() == [1, 3]
    assert left.feature(lengths)[:, 0].tolist() == [1, 2]
    assert calls == [3]
