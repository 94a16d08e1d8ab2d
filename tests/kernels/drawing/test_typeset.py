"""Directions, the order of words on a line, and text made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.drawing.typeset import direction, sanitized, visual_order


@pytest.mark.parametrize(
    ("words", "base", "order"),
    [
        (["a", "b", "c"], "ltr", [0, 1, 2]),
        (["א", "ב", "ג"], "rtl", [0, 1, 2]),
        (["زرت", "New", "York", "."], "rtl", [0, 2, 1, 3]),
        (["see", "كتاب", "جديد", "now"], "ltr", [0, 2, 1, 3]),
        (["اشتريت", "iPhone", "15", "أمس"], "rtl", [0, 2, 1, 3]),
        (["عام", "2024", "كان"], "rtl", [0, 1, 2]),
        (["a", "«", "ب", ",", "ج", "»", "b"], "ltr", [0, 1, 4, 3, 2, 5, 6]),
    ],
)
def test_words_of_the_other_direction_keep_their_own_order(words, base, order):
    assert visual_order(words, base) == order


def test_directions_follow_script_then_language():
    rtl = ["ar", "he", "fa-IR", "ur", "az-Arab", "yi", "pa-Arab-PK", "ckb", "dv"]
    ltr = ["en", "de", "zh-Hant", "th", "ja", "ur-Latn", "tr", "ku", "sr-Cyrl"]
    assert {direction(lang) for lang in rtl} == {"rtl"}
    assert {direction(lang) for lang in ltr} == {"ltr"}


@given(st.text(max_size=40), st.integers(1, 20))
def test_sanitized_text_is_short_and_harmless(text, max_chars):
    result = sanitized(text, max_chars)
    assert not [c for c in result if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not set(result) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    harmless = all(c.isalnum() or c == " " for c in text)
    if harmless and len(text) <= max_chars:
        assert result == text
    if harmless:
        assert len(result) <= max_chars + 1
