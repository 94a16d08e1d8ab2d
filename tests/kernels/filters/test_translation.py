"""The filter of generated translations: each rule by a case, conservation and order by property."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.backtranslate import GENERATED
from bitextile.kernels.filters.translation import TranslationFilterConfig, filter_translations
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import PSEUDO, REJECTS

CONFIG = TranslationFilterConfig(
    scripts={"ar": ("ARABIC",), "en": ("LATIN",), "ja": ("CJK", "HIRAGANA")}
)


def rows(sides: list[tuple[str, str]], lang: str = "en") -> pa.RecordBatch:
    texts = pa.array([src for src, _ in sides], pa.string())
    n = len(sides)
    columns = {
        "text_id": text_ids("de", texts),
        "src_lang": ["de"] * n,
        "tgt_lang": [lang] * n,
        "src": texts,
        "tgt": [tgt for _, tgt in sides],
        "tgt_tokens": [tgt.split() for _, tgt in sides],
        "score": [-1.0] * n,
        "generator": ["test"] * n,
        "corpus": ["c"] * n,
        "file": ["f"] * n,
        "line": list(range(1, n + 1)),
    }
    return pa.RecordBatch.from_pydict(columns, schema=GENERATED)


SOURCE = "ein kleiner Hund sieht das alte Haus"


@pytest.mark.parametrize(
    ("tgt", "lang", "rule", "value"),
    [
        ("", "en", "empty/1", 0.0),
        ("\u3000 ", "en", "empty/1", 0.0),
        ("the the the the the the", "en", "repetition/1", 0.8),
        ("a dog a dog a dog", "en", "repetition/1", 0.6),
        (" ".join(f"w{i}" for i in range(20)), "en", None, None),
        (" ".join(f"w{i}" for i in range(40)), "en", "length_ratio/1", 4.3),
        (SOURCE.upper(), "en", "copied_source/1", 1.0),
        ("a small dog sees the old house", "ar", "wrong_script/1", 1.0),
        ("كلب صغير يرى البيت القديم", "ar", None, None),
        ("小さな 犬 は 古い 家 を 見る", "ja", None, None),
        ("a small dog sees the old house", "xx", None, None),
        ("a small dog sees the old house", "en", None, None),
        ("42 7", "ar", None, None),
    ],
)
def test_each_rule(tgt: str, lang: str, rule: str | None, value: float | None) -> None:
    kept, rejects = filter_translations(rows([(SOURCE, tgt)], lang), config=CONFIG)
    if rule is None:
        assert (
            kept.to_pylist() == rows([(SOURCE, tgt)], lang).select(PSEUDO.schema.names).to_pylist()
        )
        assert rejects.num_rows == 0
        return
    (reject,) = rejects.to_pylist()
    assert (reject["rule"], reject["tgt"], reject["tgt_lang"]) == (rule, tgt, lang)
    assert reject["value"] == pytest.approx(value)


def test_names_and_numbers_may_be_the_same() -> None:
    kept, rejects = filter_translations(
        rows([("Anna Schmidt 1990", "Anna Schmidt 1990")]), config=CONFIG
    )
    assert (kept.num_rows, rejects.num_rows) == (1, 0)


word = st.sampled_from(["a", "house", "das", "Haus", "كلب", "犬", "́", "‍", "7", "!", ""])
text = st.lists(word, max_size=12).map(" ".join)
sides = st.lists(st.tuples(text, text), max_size=8, unique_by=lambda pair: pair[0])


@given(sides)
def test_every_row_is_kept_or_rejected_and_each_by_itself(pairs: list[tuple[str, str]]) -> None:
    kept, rejects = filter_translations(rows(pairs), config=CONFIG)
    assert kept.schema == PSEUDO.schema
    assert rejects.schema == REJECTS.schema
    assert kept.num_rows + rejects.num_rows == len(pairs)
    alone = [filter_translations(rows([pair]), config=CONFIG) for pair in pairs]
    assert [r for k, _ in alone for r in k.to_pylist()] == kept.to_pylist()
    found = sorted(r["rule"] + r["src"] for _, j in alone for r in j.to_pylist())
    assert sorted(r["rule"] + r["src"] for r in rejects.to_pylist()) == found
    assert all(len(r["tgt"].split()) for r in kept.to_pylist())


def rules_of(src: str, tgt: str, lang: str = "en", **limits: float) -> list[str]:
    """Returns the rule that a pair breaks, if any, with every other limit at its loosest."""
    loose = {"max_repetition": 1.0, "max_copied_source": 1.0, "max_other_script": 1.0}
    loose |= {"max_length_ratio": 1e9, "length_smoothing": 1.0, "scripts": {"ar": ("ARABIC",)}}
    config = TranslationFilterConfig(**(loose | limits))
    return filter_translations(rows([(src, tgt)], lang), config=config).rejects["rule"].to_pylist()


@pytest.mark.parametrize(
    ("limits", "src", "at_limit", "beyond", "lang", "rule"),
    [
        # Bigrams ab ba ab ba: 2 of 4 occur before; with one more, 3 of 5.
        ({"max_repetition": 0.5}, "x", "a b a b a", "a b a b a b", "en", "repetition/1"),
        # (words + 1) / (1 + 1): 3 for 5 words, 3.5 for 6.
        ({"max_length_ratio": 3.0}, "x", "a b c d e", "a b c d e f", "en", "length_ratio/1"),
        # Trigrams of "a b c d", 5 in all: 4 occur in "a b c x", all in the source itself.
        ({"max_copied_source": 0.8}, "a b c x", "a b c d", "a b c x", "en", "copied_source/1"),
        # 2 of 4 letters are not Arabic, then 3 of 5.
        ({"max_other_script": 0.5}, "x", "ab كل", "abc كل", "ar", "wrong_script/1"),
    ],
    ids=["repetition", "length_ratio", "copied_source", "wrong_script"],
)
def test_a_value_at_its_limit_is_kept_and_the_next_is_not(
    limits, src, at_limit, beyond, lang, rule
) -> None:
    assert rules_of(src, at_limit, lang, **limits) == []
    assert rules_of(src, beyond, lang, **limits) == [rule]


def test_one_character_is_not_empty() -> None:
    assert rules_of("x", "7") == []
    assert rules_of("x", "\u3000\n") == ["empty/1"]


def test_a_copy_counts_from_four_words_on() -> None:
    assert rules_of("Anna Maria Schmidt", "Anna Maria Schmidt", max_copied_source=0.0) == []
    four = "Anna Maria Schmidt 1990"
    assert rules_of(four, four, max_copied_source=0.0) == ["copied_source/1"]
    # The words of the target count, not those of the source.
    assert rules_of(f"{four} Berlin", "Anna Maria Schmidt", max_copied_source=0.0) == []


SHARES = ("max_repetition", "max_copied_source", "max_other_script")


@pytest.mark.parametrize("name", SHARES)
def test_shares_lie_between_0_and_1(name: str) -> None:
    for value in (0.0, 1.0):
        assert getattr(TranslationFilterConfig(**{name: value}), name) == value
    for value in (-0.01, 1.01, float("nan")):
        with pytest.raises(ConfigError, match=rf"translation_filter\.{name} is .*0 to 1"):
            TranslationFilterConfig(**{name: value})


def test_ratios_below_1_and_negative_smoothing_are_refused() -> None:
    TranslationFilterConfig(max_length_ratio=1.0, length_smoothing=0.0)
    for limits in ({"max_length_ratio": 0.99}, {"length_smoothing": -0.01}):
        with pytest.raises(ConfigError, match="expected at least 1 and 0"):
            TranslationFilterConfig(**limits)
