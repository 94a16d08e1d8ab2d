"""Sampling and replacing, whatever the method: against a slow version, one target at a time."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.switch.core import (
    Substitutes,
    SwitchConfig,
    SwitchInput,
    check_weights,
    shares,
    switch,
    word_targets,
)
from bitextile.kernels.text.codepoints import to_texts
from bitextile.kernels.text.words import segmented_texts
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import CODESWITCH, MONO, REJECTS, SPANS

SOURCES = (("de", "link"), ("ja", "model"))
SUBSTITUTES = st.lists(
    st.tuples(
        st.sampled_from(["Hund", "犬", "x"]), st.sampled_from([0.5, 1.0, 3.0]), st.integers(0, 1)
    ),
    min_size=1,
    max_size=3,
)
SENTENCES = st.lists(
    st.lists(st.tuples(st.sampled_from(["a", "bb", "c"]), st.none() | SUBSTITUTES), max_size=5),
    max_size=4,
)
"""Sentences of words, each with its substitutes (text, weight, source) or none."""
CONFIGS = st.builds(
    SwitchConfig,
    sentence_rate=st.sampled_from([0.0, 0.5, 1.0]),
    token_rate=st.sampled_from([0.0, 0.4, 1.0]),
    variants=st.integers(1, 2),
    seed=st.integers(0, 2),
)


def rows_of(sentences) -> pa.RecordBatch:
    texts = pa.array([f"{' '.join(w for w, _ in s)} {n}".strip() for n, s in enumerate(sentences)])
    columns = {"text_id": text_ids("en", texts), "lang": pa.repeat("en", len(texts)), "text": texts}
    columns |= {name: pa.repeat("x", len(texts)) for name in ("corpus", "file")}
    columns |= {
        "line": pa.array(range(len(texts)), pa.int64()),
        "split": pa.repeat("train", len(texts)),
    }
    return pa.RecordBatch.from_pydict(columns, schema=MONO.schema)


def switch_input(sentences, batch: pa.RecordBatch, side: str) -> SwitchInput:
    spans, chosen, counts, flat, n = [], [], [], [], 0
    for sentence in sentences:
        at, ends = 0, []
        for word, substitutes in sentence:
            ends.append({"start": at, "end": at + len(word)})
            at += len(word) + 1
            if substitutes:
                chosen.append(n)
                counts.append(len(substitutes))
                flat += substitutes
            n += 1
        spans.append(ends)
    words = segmented_texts(batch["text"], pa.array(spans, SPANS))
    high = np.cumsum(counts, dtype=np.int64)
    targets = word_targets(
        words, np.array(chosen, np.int64), low=high - np.array(counts, np.int64), high=high
    )
    texts = to_texts(pa.array([text for text, _, _ in flat], pa.string()))
    weights, source = (np.array([item[k] for item in flat]) for k in (1, 2))
    substitutes = Substitutes(
        texts.points,
        texts.offsets[:-1],
        texts.offsets[1:],
        shares(weights.astype(float), np.repeat(np.arange(len(counts)), counts)),
        np.ones(len(flat), np.float32),
        source.astype(np.int64),
        SOURCES,
    )
    return SwitchInput(
        side=side,
        rows=np.arange(batch.num_rows),
        batch=batch,
        ids=batch["text_id"],
        lang=batch["lang"],
        texts=words.texts,
        targets=targets,
        substitutes=substitutes,
        n_words=np.diff(words.words),
    )


def draw(
    row_id: str, operation: str, *, config: SwitchConfig, variant: int, position: int = 0
) -> float:
    key = hash64(pa.array([row_id]))
    where = {"variant": variant, "position": np.array([position])}
    return float(uniform(key, seed=config.seed, operation=operation, **where)[0])


def slow(sentence, row_id: str, *, config: SwitchConfig, variant: int, side: str):
    """Returns the replacements (position, text, language), or the rule and value of the reject."""
    where = {"config": config, "variant": variant}
    if draw(row_id, f"codeswitch/sentence/{side}", **where) >= config.sentence_rate:
        return "not_sampled/1", config.sentence_rate
    eligible = [(at, s) for at, (_, s) in enumerate(sentence) if s]
    if not eligible:
        return "no_eligible_words/1", float(len(sentence))
    found = []
    for at, substitutes in eligible:
        if draw(row_id, f"codeswitch/word/{side}", position=at, **where) < config.token_rate:
            u = draw(row_id, f"codeswitch/option/{side}", position=at, **where)
            total = sum(weight for _, weight, _ in substitutes)
            reached = np.cumsum([weight / total for _, weight, _ in substitutes])
            text, _, source = substitutes[min(int((reached <= u).sum()), len(reached) - 1)]
            found.append((at, text, SOURCES[source][0]))
    return found if found else ("nothing_sampled/1", float(len(eligible)))


@given(SENTENCES, CONFIGS, st.sampled_from(["text", "src"]))
def test_each_sentence_is_sampled_by_draws_of_its_own(sentences, config, side) -> None:
    check_against_slow(sentences, config, side)


@pytest.mark.parametrize("side", ["text", "src", "tgt"])
def test_a_corpus_is_sampled_by_draws_of_its_own(side) -> None:
    choices = [[("Hund", 1.0, 0), ("犬", 3.0, 1)], None, [("x", 0.5, 0)]]
    sentences = [
        [("abc"[(n + k) % 3], choices[(n * k + k) % 3]) for k in range(n % 6)] for n in range(120)
    ]
    config = SwitchConfig(sentence_rate=0.7, token_rate=0.4, variants=2, seed=5)
    check_against_slow(sentences, config, side)


def check_against_slow(sentences, config: SwitchConfig, side: str) -> None:
    batch = rows_of(sentences)
    made = switch([switch_input(sentences, batch, side)], config=config, method="alignment")
    check_rows(made.kept, CODESWITCH, "codeswitch")
    check_rows(made.rejects, REJECTS, "rejects")
    kept = {(r["parent_id"], r["variant"]): r for r in made.kept.to_pylist()}
    rejects = {(r["id"], r["detail"]): (r["rule"], r["value"]) for r in made.rejects.to_pylist()}
    replaced = 0
    for sentence, row_id in zip(sentences, batch["text_id"].to_pylist(), strict=True):
        for variant in range(config.variants):
            expected = slow(sentence, row_id, config=config, variant=variant, side=side)
            if isinstance(expected, tuple):
                assert rejects.pop((row_id, f"variant {variant}, {side}")) == expected
                continue
            row = kept.pop((row_id, variant))
            changes = [
                (change["original"], row["text"][change["start"] : change["end"]], change["lang"])
                for change in row["replacements"]
            ]
            assert changes == [(sentence[at][0], text, lang) for at, text, lang in expected]
            replaced += len(expected)
    assert not kept
    assert not rejects
    counts = made.counters.get("en", {})
    assert counts.get("words_drawn", 0) == replaced
    assert sum(counts.get(f"words_to_{lang}", 0) for lang, _ in SOURCES) == replaced


def test_inputs_of_one_batch_come_out_by_row_then_variant_then_input() -> None:
    sentences = [[("a", [("x", 1.0, 0)])], [("bb", [("犬", 1.0, 1)])]]
    batch = rows_of(sentences)
    inputs = [switch_input(sentences, batch, side) for side in ("src", "tgt")]
    config = SwitchConfig(token_rate=1.0, variants=2)
    kept = switch(inputs, config=config, method="alignment").kept
    first, second = batch["text_id"].to_pylist()
    assert kept["parent_id"].to_pylist() == [first] * 4 + [second] * 4
    assert kept["variant"].to_pylist() == [0, 0, 1, 1] * 2
    assert len(set(kept["switch_id"].to_pylist())) == 8


def test_a_substitute_is_taken_as_often_as_its_share() -> None:
    n = 4_000
    sentences = [[("a", [("x", 3.0, 0), ("犬", 1.0, 1)])] for _ in range(n)]
    inputs = [switch_input(sentences, rows_of(sentences), "text")]
    counts = switch(inputs, config=SwitchConfig(token_rate=1.0), method="dictionary").counters["en"]
    assert counts["words_drawn"] == n == counts["words_to_de"] + counts["words_to_ja"]
    assert abs(counts["words_to_de"] - 0.75 * n) <= 3 * np.sqrt(n * 3 / 16)


@given(st.lists(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5), max_size=5))
def test_shares_are_whole_in_proportion_and_sum_to_one(groups) -> None:
    weights = np.array([w for group in groups for w in group])
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups]).astype(np.int64)
    got = shares(weights, group)
    at = 0
    for members in groups:
        own = got[at : at + len(members)]
        assert abs(int(own.sum()) - 2**32) <= len(members)
        np.testing.assert_allclose(own / 2**32, np.array(members) / sum(members), atol=2**-31)
        assert own.min() >= 1
        at += len(members)


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weights_are_more_than_zero_and_of_known_languages(weight) -> None:
    check_weights({"de": 0.1}, ["de", "fr"])
    with pytest.raises(ConfigError, match="de"):
        check_weights({"de": weight})
    with pytest.raises(ConfigError, match="ja"):
        check_weights({"ja": 1.0}, ["de", "fr"])
