"""All rules in their order: the first broken one drops a row, with the value it measured."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.filters.rules import RULES, FilterConfig, filter_rows
from bitextile.kernels.filters.words import estimate_words
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import MONO, PAIRS, REJECTS
from corpus_rows import mono_rows, pair_rows
from project import REPOSITORY

TEXT = st.text(st.sampled_from("ab ב犬\u200dक\u0378") | st.just(" "), max_size=24)
LONG = "eins zwei drei vier fünf"


def rule_of(src: str, tgt: str, config: FilterConfig) -> str | None:
    """The slow obvious version, for texts whose words are runs between spaces."""
    if not src or not tgt:
        return "empty/1"
    longer, shorter = (
        max(len(src.split()), len(tgt.split())),
        min(len(src.split()), len(tgt.split())),
    )
    if longer > config.max_words:
        return "too_long/1"
    smooth = config.length_smoothing
    if (longer + smooth) / (shorter + smooth) > config.max_length_ratio:
        return "length_ratio/1"
    return "identical/1" if config.drop_identical and src == tgt and longer > 3 else None


CONFIG = st.builds(
    FilterConfig,
    max_words=st.integers(1, 8),
    max_length_ratio=st.sampled_from([1.0, 1.5, 3.0]),
    length_smoothing=st.sampled_from([0.0, 1.0, 3.0]),
    drop_identical=st.booleans(),
)
SPACED = st.text(st.sampled_from("aбא   "), max_size=16)


@given(st.lists(st.tuples(SPACED, SPACED) | SPACED.map(lambda t: (t, t)), max_size=8), CONFIG)
def test_each_row_falls_to_its_first_rule_or_stays(sides, config: FilterConfig) -> None:
    batch = pair_rows(sides)
    kept, rejects = filter_rows(batch, kind=PAIRS, config=config)
    normal = list(zip(batch.column("src").to_pylist(), batch.column("tgt").to_pylist()))
    expected = {n + 1: rule_of(s, t, config) for n, (s, t) in enumerate(normal)}
    assert kept.column("line").to_pylist() == [n for n, rule in expected.items() if rule is None]
    got = dict(zip(rejects.column("line").to_pylist(), rejects.column("rule").to_pylist()))
    assert got == {n: rule for n, rule in expected.items() if rule}
    assert (kept.schema, rejects.schema) == (PAIRS.schema, REJECTS.schema)
    assert kept.num_rows + rejects.num_rows == len(sides)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), st.integers(0, 8), st.permutations(range(8)))
def test_a_row_is_judged_by_itself(sides, cut: int, order) -> None:
    config = FilterConfig(max_words=3, max_length_ratio=1.5)
    batch = pair_rows(sides)

    def judged(*batches: pa.RecordBatch) -> dict:
        found = {}
        for part in batches:
            kept, rejects = filter_rows(part, kind=PAIRS, config=config)
            found |= dict.fromkeys(kept.column("line").to_pylist())
            for row in rejects.to_pylist():
                found[row["line"]] = (row["rule"], row["value"], row["id"])
        return found

    whole = judged(batch)
    assert judged(batch.slice(0, cut), batch.slice(cut)) == whole
    shuffled = batch.take(pa.array([i for i in order if i < len(sides)], pa.int64()))
    assert judged(shuffled) == whole


def test_the_values_are_what_the_rules_measured() -> None:
    sides = [("", ""), ("a", ""), ("a b c d e f g", "a b c d e f"), ("a b c", "a"), (LONG, LONG)]
    config = FilterConfig(max_words=6, max_length_ratio=1.2, length_smoothing=1.0)
    _, rejects = filter_rows(pair_rows(sides), kind=PAIRS, config=config)
    assert sorted((r["line"], r["rule"], r["value"]) for r in rejects.to_pylist()) == [
        (1, "empty/1", 2.0),
        (2, "empty/1", 1.0),
        (3, "too_long/1", 7.0),
        (4, "length_ratio/1", 2.0),
        (5, "identical/1", 5.0),
    ]


@given(st.lists(TEXT, max_size=8), st.integers(1, 5))
def test_sentences_are_kept_or_rejected_by_length_alone(texts, limit: int) -> None:
    batch = mono_rows(texts)
    kept, rejects = filter_rows(batch, kind=MONO, config=FilterConfig(max_words=limit))
    words = estimate_words(batch.column("text"))
    empty = np.array([t == "" for t in batch.column("text").to_pylist()], bool)
    assert (
        kept.column("line").to_pylist() == (np.flatnonzero(~empty & (words <= limit)) + 1).tolist()
    )
    assert rejects.column("rule").to_pylist().count("empty/1") == empty.sum()
    assert kept.num_rows + rejects.num_rows == len(texts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_words": 0},
        {"max_length_ratio": 0.9},
        {"length_smoothing": -1.0},
        {"max_length_ratio": float("nan")},
        {"length_smoothing": float("nan")},
    ],
)
def test_senseless_limits_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=rf"^filters: .*{next(iter(wrong))} .*expected at least"):
        FilterConfig(**wrong)


def test_every_option_belongs_to_one_rule_and_stands_in_the_recipes_documentation() -> None:
    declared = [f.name for rule in RULES if rule.options for f in fields(rule.options)]
    assert declared == [field.name for field in fields(FilterConfig)]
    [row] = [
        line
        for line in Path(REPOSITORY, "docs/recipe.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `filters` |")
    ]
    assert all(f"`{name}`" in row for name in declared)


def test_rules_have_names_of_their_own_and_say_what_they_drop() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.doc.startswith("Drops ") and rule.doc.endswith(".") for rule in RULES)


def test_the_defaults_are_those_of_the_readme() -> None:
    config = FilterConfig()
    assert (config.max_words, config.max_length_ratio) == (200, 3.0)
    assert (config.length_smoothing, config.drop_identical) == (3.0, True)


def test_rules_and_limits_are_as_documented() -> None:
    assert [rule.id for rule in RULES] == [
        "empty/1",
        "long_line/1",
        "long_word/1",
        "too_long/1",
        "length_ratio/1",
        "identical/1",
    ]
    assert FilterConfig() == FilterConfig(
        max_chars=5_000,
        max_word_chars=200,
        max_words=200,
        max_length_ratio=3.0,
        length_smoothing=3.0,
        drop_identical=True,
    )
