"""The filter of generated translations: each rule by a case, conservation and order by property."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.backtranslate import GENERATED
from bitextile.kernels.filters.translation import (
    TranslationFilterConfig,
    filter_translations,
    scripts_of,
)
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


def test_scripts_are_found_by_their_share_of_letters() -> None:
    assert scripts_of(["مرحبا 123 !"]) == ("ARABIC",)
    assert scripts_of(["слово " * 30, "x"]) == ("CYRILLIC",)
    assert scripts_of(["", "12 ?"]) == ()


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


@pytest.mark.parametrize(
    "limits",
    [{"max_copied_source": 1.5}, {"max_length_ratio": 0.5}, {"max_other_script": float("nan")}],
)
def test_limits_that_mean_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="translation filter: max_repetition"):
        TranslationFilterConfig(**limits)
