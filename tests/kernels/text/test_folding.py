"""Words are compared without case and signs that may be left out, as their language has it."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.text.folding import fold_for_counts, fold_word


@pytest.mark.parametrize(
    ("lang", "spellings", "folded"),
    [
        ("tr", ["Işık", "IŞIK", "ışık"], "ışık"),
        ("az-Latn", ["İnsan", "İNSAN", "I\u0307nsan", "insan"], "insan"),
        ("tur", ["ISPANAK", "Ispanak"], "ıspanak"),
        ("en", ["INN", "Inn", "inn"], "inn"),
        ("en", ["İstanbul", "istanbul"], "istanbul"),
        ("de", ["Straße", "STRAßE"], "straße"),
        ("el", ["Λόγος", "λόγος"], "λόγος"),
        ("ar", ["الكِتَابُ", "الكتـــاب", "الكتاب"], "الكتاب"),
        ("fa", ["کِتاب", "کتاب", "کتــاب"], "کتاب"),
        ("ur", ["اُردو", "اردو"], "اردو"),
        ("he", ["שָׁלוֹם", "שלום"], "שלום"),
        ("ar", ["أكل"], "أكل"),
        ("ar", ["ـ"], "ـ"),
        ("hi", ["कि"], "कि"),
    ],
)
def test_spellings_of_one_word_are_one(lang: str, spellings: list[str], folded: str) -> None:
    assert {fold_word(word, lang) for word in spellings} == {folded}
    assert len(set(fold_for_counts(pa.array(spellings)).to_pylist())) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("İIıi\u0307ـَאָ")))
def test_folding_twice_changes_nothing(word: str) -> None:
    for lang in (None, "tr", "ar"):
        assert fold_word(fold_word(word, lang), lang) == fold_word(word, lang)
