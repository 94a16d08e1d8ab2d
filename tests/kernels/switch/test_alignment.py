"""Code-switching by alignment: cases in six scripts, and what must hold for any aligned batch."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.switch.alignment import (
    AlignmentSwitchConfig,
    switch_by_alignment,
)
from bitextile.kernels.switch.core import Rates, rates_of
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED, CODESWITCH, REJECTS, SIDES

ALL = AlignmentSwitchConfig(token_rate=1.0)
CONFIGS = st.builds(
    AlignmentSwitchConfig,
    sentence_rate=st.sampled_from([0.0, 0.5, 1.0]),
    token_rate=st.sampled_from([0.3, 1.0]),
    min_score=st.sampled_from([0.0, 0.5]),
    variants=st.integers(1, 3),
    sides=st.sampled_from(sorted(SIDES)),
    seed=st.integers(0, 3),
)


@pytest.mark.parametrize(
    ("src", "tgt", "links", "switched"),
    [
        (
            ("en", "The dog runs."),
            ("zh", "一只狗在跑。"),
            [(1, 2), (2, 4)],
            ["The 狗跑.", "一只 dog 在 runs。"],
        ),
        (
            ("en", "a steam boat"),
            ("de", "ein Dampfboot"),
            [(0, 0), (1, 1), (2, 1)],
            ["ein Dampfboot", "a steam boat"],
        ),
        (
            ("ru", "Собака бежит!"),
            ("th", "หมาวิ่ง", [(0, 3), (3, 7)]),
            [(0, 0), (1, 1)],
            ["หมาวิ่ง!", "Собака бежит"],
        ),
        (
            ("ar", "كلب كبير"),
            ("ja", "大きな犬", [(0, 3), (3, 4)]),
            [(0, 1), (1, 0)],
            ["犬大きな", "كبير كلب"],
        ),
    ],
)
def test_words_are_replaced_by_what_they_are_linked_to(aligned, src, tgt, links, switched) -> None:
    kept, rejects, _ = switch_by_alignment(aligned((src, tgt, links)), config=ALL)
    assert kept["text"].to_pylist() == switched
    assert kept["matrix_lang"].to_pylist() == [src[0], tgt[0]]
    assert rejects.num_rows == 0


def test_a_row_says_where_each_replacement_comes_from(aligned) -> None:
    batch = aligned((("en", "The dog runs."), ("zh", "一只狗在跑。"), [(1, 2, 0.5), (2, 4, 0.75)]))
    row = switch_by_alignment(batch, config=AlignmentSwitchConfig(token_rate=1.0, sides="tgt")).kept
    parent = batch["pair_id"][0].as_py()
    common = {"lang": "en", "origin": "link"}
    assert row.to_pylist() == [
        {
            "switch_id": stable_id(parent, "alignment", "0", "tgt"),
            "parent_id": parent,
            "variant": 0,
            "method": "alignment",
            "matrix_lang": "zh",
            "text": "一只 dog 在 runs。",
            "replacements": [
                {"start": 3, "end": 6, "original": "狗", "score": 0.5} | common,
                {"start": 9, "end": 13, "original": "跑", "score": 0.75} | common,
            ],
        }
    ]


@given(st.data(), CONFIGS)
def test_every_sentence_is_kept_or_rejected_and_valid(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    kept, rejects, _ = switch_by_alignment(batch, config=config)
    check_rows(kept, CODESWITCH, "codeswitch")
    check_rows(rejects, REJECTS, "rejects")
    assert len(set(kept["switch_id"].to_pylist())) == kept.num_rows
    sides = SIDES[config.sides]
    asked = {
        stable_id(parent, "alignment", str(variant), side): (parent, f"variant {variant}, {side}")
        for parent in batch["pair_id"].to_pylist()
        for variant in range(config.variants)
        for side in sides
    }
    found = [asked[i] for i in kept["switch_id"].to_pylist()]
    found += list(zip(rejects["id"].to_pylist(), rejects["detail"].to_pylist()))
    assert sorted(found) == sorted(asked.values())


@given(st.data(), CONFIGS)
def test_putting_the_originals_back_leaves_the_parents_words(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    parents = {row["pair_id"]: row for row in batch.to_pylist()}
    for row in switch_by_alignment(batch, config=config).kept.to_pylist():
        text, parent = row["text"], parents[row["parent_id"]]
        other = {"src": parent["tgt"], "tgt": parent["src"]}
        for change in row["replacements"][::-1]:
            new = text[change["start"] : change["end"]]
            assert any(new in sentence for sentence in other.values())
            text = text[: change["start"]] + change["original"] + text[change["end"] :]
        squeezed = {parent[side].replace(" ", "") for side in SIDES[config.sides]}
        assert text.replace(" ", "") in squeezed


@given(st.data(), CONFIGS)
def test_batches_may_be_split_and_rows_permuted(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    kept, rejects, _ = switch_by_alignment(batch, config=config)
    cut_at = data.draw(st.integers(0, batch.num_rows))
    halves = batch.slice(0, cut_at), batch.slice(cut_at)
    parts = [switch_by_alignment(half, config=config) for half in halves]
    assert kept.to_pylist() == [row for part in parts for row in part.kept.to_pylist()]
    assert rejects.to_pylist() == [row for part in parts for row in part.rejects.to_pylist()]
    order = data.draw(st.permutations(range(batch.num_rows)))
    permuted = switch_by_alignment(batch.take(pa.array(order, pa.int64())), config=config).kept
    assert {row["switch_id"]: row for row in permuted.to_pylist()} == {
        row["switch_id"]: row for row in kept.to_pylist()
    }
    sums = np.sum([rates_of(part.counters) for part in parts], axis=0)
    assert Rates(*sums.tolist()) == rates_of(switch_by_alignment(batch, config=config).counters)


@pytest.mark.parametrize(("sentence_rate", "token_rate"), [(0.3, 0.5), (1.0, 0.3), (0.8, 0.9)])
def test_the_rates_are_met_within_three_sigma(many_aligned, sentence_rate, token_rate) -> None:
    config = AlignmentSwitchConfig(sentence_rate=sentence_rate, token_rate=token_rate, seed=5)
    rates = rates_of(switch_by_alignment(many_aligned, config=config).counters)
    for drawn, n, rate in (
        (rates.sentences_drawn, rates.sentences, sentence_rate),
        (rates.words_drawn, rates.words, token_rate),
    ):
        assert abs(drawn - rate * n) <= 3 * np.sqrt(n * rate * (1 - rate))
    assert rates.sentences == 2 * many_aligned.num_rows
    assert rates.words == 5 * rates.sentences_drawn
    kept, rejects, _ = switch_by_alignment(many_aligned, config=config)
    assert len(kept["replacements"].flatten()) == rates.words_drawn
    rules = rejects["rule"].to_pylist()
    assert rules.count("not_sampled/1") == rates.sentences - rates.sentences_drawn
    assert rules.count("nothing_sampled/1") == rates.sentences_drawn - kept.num_rows


def test_sides_and_variants_draw_independently(many_aligned) -> None:
    config = AlignmentSwitchConfig(sentence_rate=0.5, token_rate=1.0, variants=2)
    kept = switch_by_alignment(many_aligned, config=config).kept
    drawn = {}
    for parent, variant, lang in zip(
        *(kept[c].to_pylist() for c in ("parent_id", "variant", "matrix_lang"))
    ):
        drawn.setdefault((variant, lang), set()).add(parent)
    n = many_aligned.num_rows
    cells = list(drawn.values())
    for i, a in enumerate(cells):
        for b in cells[i + 1 :]:
            assert abs(len(a & b) - n / 4) <= 4 * np.sqrt(n * 3 / 16)


@given(st.data(), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_links_of_the_lowest_score_take_part(aligned_batches, data, min_score) -> None:
    batch = data.draw(aligned_batches)
    every = switch_by_alignment(batch, config=ALL).kept.to_pylist()
    some = AlignmentSwitchConfig(token_rate=1.0, min_score=min_score)
    kept = switch_by_alignment(batch, config=some).kept.to_pylist()
    found = {row["switch_id"]: originals(row) for row in kept}
    for row in every:
        expected = [(o, s) for o, s in originals(row) if s >= min_score]
        assert found.pop(row["switch_id"], []) == expected
    assert not found


def originals(row: dict) -> list[tuple[str, float]]:
    return [(change["original"], change["score"]) for change in row["replacements"]]


def test_each_sides_words_have_draws_of_their_own(many_aligned) -> None:
    config = AlignmentSwitchConfig(token_rate=0.5, seed=2)
    drawn: dict[str, set[tuple[str, int]]] = {"en": set(), "de": set()}
    for row in switch_by_alignment(many_aligned, config=config).kept.to_pylist():
        for change in row["replacements"]:
            # Words are named w17x4: sentence 17, position 4.
            drawn[row["matrix_lang"]].add((row["parent_id"], int(change["original"][-1])))
    n = 5 * many_aligned.num_rows
    assert abs(len(drawn["en"] & drawn["de"]) - n / 4) <= 4 * np.sqrt(n * 3 / 16)


def test_sentences_without_eligible_words_are_set_aside(aligned) -> None:
    batch = aligned(
        (("en", "!"), ("zh", "！"), [(0, 0)]),
        (("en", "Rome"), ("de", "Rome"), [(0, 0)]),
        (("en", "dog"), ("de", "Hund"), [(0, 0, 0.2)]),
    )
    config = AlignmentSwitchConfig(token_rate=1.0, min_score=0.5, sides="src")
    kept, rejects, _ = switch_by_alignment(batch, config=config)
    assert kept.num_rows == 0
    assert rejects["rule"].to_pylist() == ["no_eligible_words/1"] * 3
    assert rejects["src"].to_pylist() == ["!", "Rome", "dog"]


def test_links_out_of_bounds_are_refused(aligned) -> None:
    row = aligned((("en", "dog"), ("de", "Hund"), [])).to_pylist()[0]
    row |= {"links": [{"src": 1, "tgt": 0, "score": 1.0}]}
    batch = pa.RecordBatch.from_pylist([row], schema=ALIGNED.schema)
    with pytest.raises(RowError, match=row["pair_id"]):
        switch_by_alignment(batch, config=ALL)


@pytest.mark.parametrize(
    "options",
    [{"sentence_rate": 2}, {"token_rate": -0.1}, {"variants": 40_000}, {"sides": "left"}],
)
def test_options_out_of_range_are_refused(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        AlignmentSwitchConfig(**options)
