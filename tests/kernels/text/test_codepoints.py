"""Code points: there and back, spans cut out, and classes of characters by script."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.text.codepoints import (
    CLOSING,
    DIGIT,
    NEUTRAL,
    OPENING,
    SPACE,
    SPACED,
    UNSPACED,
    any_between,
    char_classes,
    cut,
    has_letter,
    is_grapheme_extend,
    to_strings,
    to_texts,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(TEXT | st.none(), max_size=6))
def test_strings_come_back_and_a_null_is_empty(texts: list) -> None:
    column = pa.array(texts, pa.string())
    assert to_strings(to_texts(column)).to_pylist() == [text or "" for text in texts]


@given(st.lists(TEXT, max_size=5), st.data())
def test_cut_is_slicing(texts: list, data: st.DataObject) -> None:
    held = to_texts(pa.array(texts, pa.string()))
    spans = [
        (row, *sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2))))
        for row, text in enumerate(texts)
    ]
    base = held.offsets[:-1]
    starts, ends = (np.array([s[k] for s in spans], np.int64) + base for k in (1, 2))
    assert cut(held, starts, ends).to_pylist() == [texts[row][s:e] for row, s, e in spans]


@given(st.lists(st.booleans(), max_size=9), st.data())
def test_any_between_is_any_of_a_slice(marks: list, data: st.DataObject) -> None:
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(marks))] * 2)))
    [found] = any_between(np.array(marks, bool), np.array([low]), np.array([high]))
    assert found == any(marks[low:high])


@pytest.mark.parametrize(
    ("characters", "code"),
    [
        ("aéжבع한", SPACED),
        ("犬かカหມက々ｶＡ", UNSPACED),
        ("3٣３", DIGIT),
        (" \u3000\t", SPACE),
        ("([“«", OPENING),
        (".,!)”»", CLOSING),
        ("-/@&。、（☺", NEUTRAL),
        ("\u0301", SPACED),
        ("\u3099\u0e31", UNSPACED),
    ],
)
def test_classes_by_hand(characters: str, code: int) -> None:
    # A full-width digit is set like Han, so it is one of the letters here.
    expected = [UNSPACED if c == "３" else code for c in characters]
    assert [char_classes()[ord(c)] for c in characters] == expected


def test_the_private_planes_mirror_the_first_two() -> None:
    for table in (char_classes(), is_grapheme_extend()):
        assert (table[0xF0000:] == table[:0x20000]).all()


@pytest.mark.parametrize(
    ("word", "letters"),
    [("犬", True), ("3a", True), ("3.5", False), ("—", False), ("\U000f0061", True)],
)
def test_letters_of_any_script(word, letters) -> None:
    assert has_letter(word) is letters
