"""The private script: one for one, there and back, with spans that can be followed."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.text.private_script import (
    count_private_use,
    transliterate,
    transliterate_text,
    transliterate_text_back,
    without_private_planes,
)

# Planes 0 to 3 but for surrogates and the private code points that stand for others.
TEXT = st.text(
    st.characters(max_codepoint=0x3FFFF, exclude_categories=["Cs", "Co"])
    | st.sampled_from("a 犬𠀋"),
    max_size=8,
)


@given(TEXT)
def test_a_text_comes_back(text: str) -> None:
    assert transliterate_text_back(transliterate_text(text)) == text


@given(TEXT)
def test_spaces_stay_and_letters_move(text: str) -> None:
    new = transliterate_text(text)
    assert new.split(" ") == [transliterate_text(word) for word in text.split(" ")]
    assert not any(c.isalpha() for c in new)


@given(TEXT)
def test_places_tell_where_each_character_went(text: str) -> None:
    points = np.array([ord(c) for c in text], np.uint32)
    new, places = transliterate(points)
    for i, c in enumerate(text):
        assert [chr(p) for p in new[places[i] : places[i + 1]]] == list(transliterate_text(c))


@given(TEXT.filter(lambda text: all(ord(c) < 0x20000 for c in text)))
def test_without_private_planes_keeps_every_place(text: str) -> None:
    assert without_private_planes(transliterate_text(text)) == text


def test_code_points_of_the_private_planes_are_counted() -> None:
    texts = pa.array(["a\ue000", "\U000f0061犬\U00100000", None, "\U000effff"])
    assert count_private_use(texts).tolist() == [0, 2, 0, 0]


def test_code_points_by_hand() -> None:
    # Kept on disk by derived datasets, so these numbers may not change.
    for text, points in (
        ("a犬", [0xF0061, 0xF72AC]),
        ("\U0001f600", [0x10F600]),
        ("\U0002000b\U0003134a", [0xE000, 0xE20B, 0xE113, 0xE24A]),
    ):
        assert [ord(c) for c in transliterate_text(text)] == points
