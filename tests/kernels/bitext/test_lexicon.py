"""The lexicon: counts and probabilities against a dictionary and a loop, filters by hand."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.lexicon import (
    COUNTS,
    LexiconConfig,
    count_links,
    join_spellings,
    lexicon_rows,
    merge_counts,
)
from bitextile.kernels.text.folding import fold_word
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED, LEXICON, REJECTS

KEEP_ALL = LexiconConfig(min_count=1)
CONFIGS = st.builds(
    LexiconConfig,
    min_count=st.integers(1, 3),
    min_probability=st.sampled_from([0.0, 0.3]),
    mutual_best=st.booleans(),
    top_k=st.sampled_from([None, 1, 2]),
)
ENTRIES = st.dictionaries(
    st.tuples(
        st.sampled_from([("de", "en"), ("en", "zh")]),
        st.sampled_from("abc"),
        st.sampled_from(["x", "y", "犬"]),
    ),
    st.integers(1, 4),
)


def table(entries: dict) -> pa.Table:
    rows = [
        {"src_lang": a, "tgt_lang": b, "src": src, "tgt": tgt, "count": n}
        for ((a, b), src, tgt), n in entries.items()
    ]
    return pa.Table.from_pylist(rows, schema=COUNTS)


def counted(batch: pa.RecordBatch) -> dict:
    return {tuple(r.values())[:4]: r["count"] for r in batch.to_pylist()}


@given(st.data())
def test_counts_are_those_of_a_loop(aligned_batches, data) -> None:
    batch = data.draw(aligned_batches)
    expected = Counter()
    for row in batch.to_pylist():
        for link in row["links"]:
            sides = []
            for side in ("src", "tgt"):
                span = row[f"{side}_spans"][link[side]]
                word = row[side][span["start"] : span["end"]]
                sides.append((row[f"{side}_lang"], fold_word(word, row[f"{side}_lang"])))
            if all(any(c.isalpha() for c in word) for _, word in sides):
                if sides[0][0] > sides[1][0]:
                    sides.reverse()
                (a, src), (b, tgt) = sides
                expected[a, b, src, tgt] += 1
    found = Counter()
    for (a, b, src, tgt), n in counted(join_spellings(count_links(batch))).items():
        found[a, b, fold_word(src, a), fold_word(tgt, b)] += n
    assert found == expected


def test_words_keep_the_casing_they_have_inside_sentences(aligned) -> None:
    batch = aligned(
        (("en", "The dog sleeps"), ("de", "Der Hund schläft"), [(0, 0), (1, 1), (2, 2)]),
        (("en", "A dog , NATO"), ("de", "HUND , NATO"), [(1, 0), (3, 2)]),
        (("en", "I see the dog"), ("de", "Ich sehe den Hund"), [(0, 0), (1, 1), (2, 2), (3, 3)]),
        (("tr", "Işık burada"), ("en", "Light here"), [(0, 0), (1, 1)]),
        (("tr", "Bugün ışık , İNSAN"), ("en", "Today light , human"), [(0, 0), (1, 1), (3, 3)]),
        (("ar", "الكِتَابُ هنا"), ("en", "book here"), [(0, 0)]),
        (("ar", "هذا الكتاب"), ("en", "this book"), [(1, 1)]),
        (("ar", "هذا الكتاب"), ("en", "this book"), [(1, 1)]),
    )
    assert counted(join_spellings(count_links(batch))) == {
        ("ar", "en", "الكتاب", "book"): 3,
        ("de", "en", "Hund", "dog"): 3,
        ("de", "en", "NATO", "NATO"): 1,
        ("de", "en", "den", "the"): 1,
        ("de", "en", "der", "the"): 1,
        ("de", "en", "ich", "i"): 1,
        ("de", "en", "schläft", "sleeps"): 1,
        ("de", "en", "sehe", "see"): 1,
        ("en", "tr", "here", "burada"): 1,
        ("en", "tr", "human", "İNSAN"): 1,
        ("en", "tr", "light", "ışık"): 2,
        ("en", "tr", "today", "bugün"): 1,
    }


@given(st.data())
def test_batches_may_be_split_and_merged_in_any_order(aligned_batches, data) -> None:
    batch = data.draw(aligned_batches)
    rows = [count_links(batch.slice(i, 1)) for i in range(batch.num_rows)]
    order = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    merged = merge_counts([merge_counts(order[:cut]), merge_counts(order[cut:])])
    assert merged.to_pylist() == count_links(batch).to_pylist()


def test_words_are_folded_and_turned_into_the_keys_order(aligned) -> None:
    batch = aligned(
        (("en", "Dog 3 !"), ("de", "Hund 3 !"), [(0, 0), (1, 1), (2, 2)]),
        (("de", "HUND Straße"), ("en", "dog street"), [(0, 0), (1, 1)]),
        (("zh", "狗"), ("ar", "كلب"), [(0, 0)]),
        (("ru", "Собака"), ("th", "หมา", [(0, 3)]), [(0, 0)]),
        (("ja", "犬"), ("de", "Hund"), [(0, 0)]),
    )
    assert counted(join_spellings(count_links(batch))) == {
        ("ar", "zh", "كلب", "狗"): 1,
        ("de", "en", "hund", "dog"): 2,
        ("de", "en", "Straße", "street"): 1,
        ("de", "ja", "hund", "犬"): 1,
        ("ru", "th", "собака", "หมา"): 1,
    }


def test_probabilities_are_shares_of_the_links_of_a_word() -> None:
    key = ("de", "en")
    counts = {(key, "bank", "bank"): 3, (key, "bank", "bench"): 1, (key, "ufer", "bank"): 1}
    kept, rejects = lexicon_rows(table(counts), config=KEEP_ALL)
    rows = {(r["src"], r["tgt"]): r for r in kept.to_pylist()}
    assert rows["bank", "bank"]["p_tgt_given_src"] == 0.75
    assert rows["bank", "bank"]["p_src_given_tgt"] == 0.75
    assert rows["bank", "bench"]["p_tgt_given_src"] == 0.25
    assert rows["bank", "bench"]["p_src_given_tgt"] == 1.0
    assert rejects.num_rows == 0


@pytest.mark.parametrize(
    ("options", "dropped"),
    [
        (
            {"min_count": 2},
            {("bank", "bench"): ("min_count/1", 1), ("ufer", "bank"): ("min_count/1", 1)},
        ),
        ({"min_probability": 0.5}, {("bank", "bench"): ("min_probability/1", 0.25)}),
        (
            {"mutual_best": True},
            {("bank", "bench"): ("mutual_best/1", 2), ("ufer", "bank"): ("mutual_best/1", 2)},
        ),
        ({"top_k": 1}, {("bank", "bench"): ("top_k/1", 2)}),
    ],
)
def test_each_filter_names_its_rule_and_value(options, dropped) -> None:
    key = ("de", "en")
    counts = {(key, "bank", "bank"): 3, (key, "bank", "bench"): 1, (key, "ufer", "bank"): 1}
    config = LexiconConfig(**{"min_count": 1} | options)
    kept, rejects = lexicon_rows(table(counts), config=config)
    found = {(r["src"], r["tgt"]): (r["rule"], r["value"]) for r in rejects.to_pylist()}
    assert found == dropped
    assert kept.num_rows == 3 - len(dropped)
    first = rejects.to_pylist()[0]
    assert first["id"] == stable_id("de", "en", first["src"], first["tgt"])
    assert (first["corpus"], first["file"], first["line"]) == ("", "", 0)


@pytest.mark.parametrize(
    ("options", "kept"),
    [({"min_count": 3}, 1), ({"min_count": 4}, 0), ({"min_probability": 0.75}, 1)],
)
def test_an_entry_at_the_limit_is_kept(options: dict, kept: int) -> None:
    key = ("de", "en")
    counts = {(key, "bank", "bank"): 3, (key, "bank", "bench"): 1}
    rows, _ = lexicon_rows(table(counts), config=LexiconConfig(**{"min_count": 2} | options))
    assert rows.num_rows == kept


@given(ENTRIES, CONFIGS)
def test_rows_are_those_of_a_loop(entries, config: LexiconConfig) -> None:
    kept, rejects = lexicon_rows(table(entries), config=config)
    check_rows(kept, LEXICON, "lexicon")
    check_rows(rejects, REJECTS, "rejects")
    assert kept.num_rows + rejects.num_rows == len(entries)
    expected = {}
    for (key, src, tgt), n in entries.items():
        of_src = {t: m for (k, s, t), m in entries.items() if (k, s) == (key, src)}
        of_tgt = {s: m for (k, s, t), m in entries.items() if (k, t) == (key, tgt)}
        src_rank = sorted(of_src, key=lambda t: (-of_src[t], t)).index(tgt) + 1
        tgt_rank = sorted(of_tgt, key=lambda s: (-of_tgt[s], s)).index(src) + 1
        p_tgt, p_src = n / sum(of_src.values()), n / sum(of_tgt.values())
        if (
            n >= config.min_count
            and p_tgt >= config.min_probability
            and not (config.mutual_best and max(src_rank, tgt_rank) > 1)
            and (config.top_k is None or src_rank <= config.top_k)
        ):
            expected[*key, src, tgt] = (n, np.float32(p_tgt), np.float32(p_src))
    found = {tuple(row.values())[:4]: tuple(row.values())[4:] for row in kept.to_pylist()}
    assert found == expected
    assert list(found) == sorted(expected)


def test_links_out_of_bounds_are_refused(aligned) -> None:
    row = aligned((("en", "dog"), ("de", "Hund"), [])).to_pylist()[0]
    row |= {"links": [{"src": 0, "tgt": -1, "score": 1.0}]}
    with pytest.raises(RowError, match=row["pair_id"]):
        count_links(pa.RecordBatch.from_pylist([row], schema=ALIGNED.schema))


@pytest.mark.parametrize(
    "options", [{"min_count": 0}, {"min_probability": 2}, {"top_k": 0}, {"split": "dev"}]
)
def test_options_out_of_range_are_refused(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        LexiconConfig(**options)
