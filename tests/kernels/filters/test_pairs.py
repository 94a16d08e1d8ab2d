"""Filters: the first broken rule drops a row, with the value it measured; none disappears."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.filters.pairs import (
    FilterConfig,
    apply_rules,
    estimate_words,
    filter_mono,
    filter_pairs,
)
from bitextile.kernels.text.normalise import normalise_mono, normalise_pairs
from bitextile.kernels.text.segment import segment
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

TEXT = st.text(st.sampled_from("ab ב犬\u200dक\u0378") | st.just(" "), max_size=24)
LONG = "eins zwei drei vier fünf"


def pairs(sides) -> pa.RecordBatch:
    fixed = {"pair_id": "", "src_lang": "ar", "tgt_lang": "en", "corpus": "c", "file": "f"}
    fixed |= {"split": ""}
    rows = [fixed | {"src": s, "tgt": t, "line": n + 1} for n, (s, t) in enumerate(sides)]
    return normalise_pairs(pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema))


def mono(texts) -> pa.RecordBatch:
    fixed = dict.fromkeys(MONO.schema.names, "")
    rows = [fixed | {"lang": "ar", "text": t, "line": n + 1} for n, t in enumerate(texts)]
    return normalise_mono(pa.RecordBatch.from_pylist(rows, schema=MONO.schema))


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
    batch = pairs(sides)
    kept, rejects = filter_pairs(batch, config=config)
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
    batch = pairs(sides)

    def judged(*batches: pa.RecordBatch) -> dict:
        found = {}
        for part in batches:
            kept, rejects = filter_pairs(part, config=config)
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
    _, rejects = filter_pairs(pairs(sides), config=config)
    assert sorted((r["line"], r["rule"], r["value"]) for r in rejects.to_pylist()) == [
        (1, "empty/1", 2.0),
        (2, "empty/1", 1.0),
        (3, "too_long/1", 7.0),
        (4, "length_ratio/1", 2.0),
        (5, "identical/1", 5.0),
    ]


def test_short_identical_sides_stay_as_names_and_numbers_do() -> None:
    kept, _ = filter_pairs(pairs([("Tom !", "Tom !"), ("7", "7")]), config=FilterConfig())
    assert kept.num_rows == 2


def test_translations_in_unspaced_scripts_pass_the_length_ratio() -> None:
    sides = [
        (
            "我们明天早上和老师一起坐公共汽车去学校。",
            "We go to school by bus with our teacher tomorrow morning.",
        ),
        (
            "私たちは明日の朝、先生と一緒にバスで学校に行きます。",
            "We go to school by bus tomorrow morning.",
        ),
        ("พรุ่งนี้เช้าเราจะไปโรงเรียนโดยรถบัสกับครู", "We go to school by bus tomorrow morning."),
    ]
    kept, rejects = filter_pairs(pairs(sides), config=FilterConfig(length_smoothing=0.0))
    assert (kept.num_rows, rejects.num_rows) == (3, 0)


@given(st.lists(TEXT, max_size=8), st.integers(1, 5))
def test_sentences_are_kept_or_rejected_by_length_alone(texts, limit: int) -> None:
    batch = mono(texts)
    kept, rejects = filter_mono(batch, config=FilterConfig(max_words=limit))
    words = estimate_words(batch.column("text"))
    empty = np.array([t == "" for t in batch.column("text").to_pylist()], bool)
    assert (
        kept.column("line").to_pylist() == (np.flatnonzero(~empty & (words <= limit)) + 1).tolist()
    )
    assert rejects.column("rule").to_pylist().count("empty/1") == empty.sum()
    assert kept.num_rows + rejects.num_rows == len(texts)


@pytest.mark.parametrize(
    ("lang", "text", "choice"),
    [
        ("en", "the quick brown fox jumps over the lazy dog", "auto"),
        ("ru", "собака бежит по улице и лает", "auto"),
        ("zh", "我们明天早上和老师一起坐公共汽车去学校因为今天下雨", "dictionary"),
        ("ja", "私たちは明日の朝先生と一緒にバスで学校に行きます", "dictionary"),
        ("th", "พรุ่งนี้เช้าเราจะไปโรงเรียนโดยรถบัสกับครู", "dictionary"),
    ],
)
def test_the_estimate_is_near_the_number_of_words(lang: str, text: str, choice) -> None:
    pytest.importorskip({"zh": "jieba", "ja": "sudachipy", "th": "pythainlp"}.get(lang, "regex"))
    words = len(segment(pa.array([text]), lang, segmenter=choice)[0])
    assert estimate_words(pa.array([text]))[0] == pytest.approx(words, rel=0.35)


def test_the_estimate_of_a_text_does_not_depend_on_its_neighbours() -> None:
    alone = estimate_words(pa.array(["one two"]))[0]
    assert estimate_words(pa.array(["one two", "我们去学校"]))[0] == alone == 2
    assert estimate_words(pa.array([], pa.string())).shape == (0,)


def test_no_rule_returns_the_batch_and_no_rejects() -> None:
    batch = mono(["a", "ב"])
    kept, rejects = apply_rules(batch, [])
    assert kept.equals(batch)
    assert (rejects.num_rows, rejects.schema) == (0, REJECTS.schema)


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
    with pytest.raises(ConfigError, match=r"^filters: max_words .*expected at least 1, 1 and 0"):
        FilterConfig(**wrong)
