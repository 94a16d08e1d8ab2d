"""Switching by dictionary: cases in several scripts, rates, and what must hold for any batch."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.dictionary.source import ENTRIES, Dictionary, DictionarySource
from bitextile.kernels.switch.core import rates_of, shares
from bitextile.kernels.switch.dictionary import (
    DictionarySwitchConfig,
    index_of,
    switch_by_dictionary,
)
from bitextile.kernels.text.folding import fold_word
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import CODESWITCH, MONO, REJECTS

ALL = DictionarySwitchConfig(token_rate=1.0)
CONFIGS = st.builds(
    DictionarySwitchConfig,
    sentence_rate=st.sampled_from([0.0, 0.5, 1.0]),
    token_rate=st.sampled_from([0.3, 1.0]),
    variants=st.integers(1, 2),
    sides=st.sampled_from(["src", "tgt", "both"]),
    seed=st.integers(0, 2),
)


def dictionary(src: str, tgt: str, words: dict, weight: float = 1.0) -> Dictionary:
    """A dictionary of word to {translation: p}."""
    rows = [
        {"src": word, "tgt": t, "p": p, "pos": None, "count": None}
        for word, translations in words.items()
        for t, p in translations.items()
    ]
    source = DictionarySource(path=f"{src}-{tgt}.txt", src_lang=src, tgt_lang=tgt, weight=weight)
    return Dictionary(source=source, entries=pa.Table.from_pylist(rows, schema=ENTRIES))


def sentences(*rows: tuple[str, str]) -> pa.RecordBatch:
    made = [
        {"text_id": text_ids(lang, pa.array([text]))[0].as_py(), "lang": lang, "text": text}
        | {"corpus": "c", "file": "f", "line": line, "split": "train"}
        for line, (lang, text) in enumerate(rows, 1)
    ]
    return pa.RecordBatch.from_pylist(made, schema=MONO.schema)


@pytest.mark.parametrize(
    ("lang", "text", "tgt", "words", "switched"),
    [
        ("en", "The dog runs.", "zh", {"dog": {"狗": 1.0}, "runs": {"跑": 1.0}}, "The 狗跑."),
        ("zh", "一只狗在跑。", "de", {"狗": {"Hund": 1.0}}, "一只 Hund 在跑。"),
        ("ar", "كلب كبير", "en", {"كلب": {"dog": 1.0}}, "dog كبير"),
        ("fr", "L'été arrive", "ru", {"été": {"лето": 1.0}}, "L'лето arrive"),
        ("de", "Straße", "el", {"straße": {"δρόμος": 1.0}}, "δρόμος"),
        ("en", "Dog!", "ja", {"dog": {"犬": 1.0}, "Dog": {"ワン": 1.0}}, "ワン!"),
        ("en", "DOG!", "ja", {"dog": {"犬": 1.0}}, "犬!"),
        ("cs", "pes", "en", {"pes": {"tame dog": 1.0}}, "tame dog"),
    ],
)
def test_words_are_replaced_by_their_translations(lang, text, tgt, words, switched) -> None:
    index = index_of([dictionary(lang, tgt, words)])
    row = switch_by_dictionary(sentences((lang, text)), index=index, config=ALL).kept.to_pylist()[0]
    assert row["text"] == switched
    for change in row["replacements"]:
        assert (change["lang"], change["origin"]) == (tgt, f"dictionary {lang}-{tgt}.txt")
        assert change["original"] in text


def test_words_no_dictionary_knows_stay() -> None:
    words = {"Paris": {"paris": 1.0}, "3": {"drei": 1.0}, "!": {"?": 1.0}}
    batch = sentences(("en", "Paris 3!"), ("sw", "mbwa"), ("en", ""))
    made = switch_by_dictionary(batch, index=index_of([dictionary("en", "de", words)]), config=ALL)
    assert made.kept.num_rows == 0
    assert made.rejects["rule"].to_pylist() == ["no_eligible_words/1"] * 3
    assert made.rejects["value"].to_pylist() == [3.0, 1.0, 0.0]


def test_a_combining_mark_is_never_torn_from_its_word() -> None:
    index = index_of([dictionary("en", "de", {"a": {"ein": 1.0}})])
    batch = sentences(("en", "a a\u0301 a\u200db"))
    row = switch_by_dictionary(batch, index=index, config=ALL).kept.to_pylist()[0]
    assert row["text"] == "ein a\u0301 a\u200db"


def test_languages_and_translations_are_drawn_by_weight_and_probability() -> None:
    index = index_of(
        [
            dictionary("en", "de", {"dog": {"Hund": 0.75, "Köter": 0.25}}, weight=3.0),
            dictionary("en", "ja", {"dog": {"犬": 1.0}}),
        ]
    )
    batch = sentences(*(("en", f"dog {n} dog") for n in range(4_000)))
    config = DictionarySwitchConfig(sentence_rate=0.7, token_rate=0.4, seed=3)
    made = switch_by_dictionary(batch, index=index, config=config)
    tally = made.counters["en"]
    n = tally["words_drawn"]
    found = pa.array(
        [
            row["text"][change["start"] : change["end"]]
            for row in made.kept.to_pylist()
            for change in row["replacements"]
        ]
    ).value_counts()
    words = {row["values"]: row["counts"] for row in found.to_pylist()}
    for drawn, of, rate in (
        (tally["sentences_drawn"], tally["sentences"], 0.7),
        (n, tally["words"], 0.4),
        (tally["words_to_de"], n, 0.75),
        (words["Köter"], n, 0.75 * 0.25),
    ):
        assert abs(drawn - of * rate) <= 3 * np.sqrt(of * rate * (1 - rate))
    assert sum(words.values()) == n == tally["words_to_de"] + tally["words_to_ja"]
    assert words["犬"] == tally["words_to_ja"]


@given(st.data(), CONFIGS)
def test_any_batch_may_be_split_and_loses_no_row(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    index = index_of(
        [
            dictionary("de", "zh", {"hund": {"狗": 0.5, "犬": 0.5}, "der": {"那": 1.0}}),
            dictionary("de", "ar", {"Hund": {"كلب": 1.0}}),
            dictionary("zh", "th", {"狗": {"หมา": 1.0}, "python": {"งู": 1.0}}),
        ]
    )
    made = switch_by_dictionary(batch, index=index, config=config)
    check_rows(made.kept, CODESWITCH, "codeswitch")
    check_rows(made.rejects, REJECTS, "rejects")
    n_sides = 2 if config.sides == "both" else 1
    assert made.kept.num_rows + made.rejects.num_rows == batch.num_rows * n_sides * config.variants
    cut_at = data.draw(st.integers(0, batch.num_rows))
    parts = [
        switch_by_dictionary(half, index=index, config=config)
        for half in (batch.slice(0, cut_at), batch.slice(cut_at))
    ]
    assert made.kept.to_pylist() == [r for part in parts for r in part.kept.to_pylist()]
    assert made.rejects.to_pylist() == [r for part in parts for r in part.rejects.to_pylist()]
    sums = np.sum([rates_of(part.counters) for part in parts], axis=0)
    assert tuple(sums.tolist()) == rates_of(made.counters)


@given(st.lists(st.sampled_from(["Dog", "dog", "DOG", "cat", "犬", "Straße", "ǅ"]), min_size=1))
def test_look_up_is_exact_first_then_folded(words) -> None:
    known = {"Dog": {"A": 1.0}, "dog": {"B": 1.0}, "STRASSE": {"C": 1.0}, "straße": {"D": 1.0}}
    index = index_of([dictionary("en", "de", known)])["en"]
    for word, group in zip(words, index.groups(words).tolist(), strict=True):
        spelled = word if word in known else None
        matches = [w for w in known if w == spelled] or [
            w for w in known if fold_word(w) == fold_word(word)
        ]
        low, high = index.offsets[group : group + 2] if group >= 0 else (0, 0)
        words = index.substitutes
        found = {
            bytes(words.points[words.start[o] : words.end[o]].astype("<u4")).decode("utf-32-le")
            for o in range(low, high)
        }
        assert found == {t for w in matches for t in known[w]}


def test_one_weight_for_a_language() -> None:
    two = [dictionary("en", "de", {"a": {"b": 1.0}}, weight=w) for w in (1.0, 2.0)]
    with pytest.raises(ConfigError, match="one weight"):
        index_of(two)


def test_overlapping_spans_are_refused(aligned) -> None:
    batch = aligned((("en", "dog", [(0, 3), (1, 2)]), ("de", "Hund"), []))
    with pytest.raises(RowError, match="overlap"):
        switch_by_dictionary(batch, index={}, config=ALL)


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(0, 3)), min_size=1, max_size=20),
)
def test_shares_are_the_same_in_any_company(weighted) -> None:
    weights, group = (np.array(column) for column in zip(*weighted))
    whole = shares(weights, group)
    assert (whole >= 1).all()
    for g in np.unique(group):
        mine = group == g
        alone = shares(weights[mine], np.zeros(mine.sum(), np.int64))
        assert np.array_equal(whole[mine], alone)
