"""Scripts of languages and of texts."""

import pytest

from bitextile.kernels.text.scripts import scripts_of_language, scripts_of_letters, usual_scripts


def test_scripts_are_found_by_their_share_of_letters() -> None:
    assert usual_scripts(["مرحبا 123 !"]) == ("ARABIC",)
    assert usual_scripts(["слово " * 30, "x"]) == ("CYRILLIC",)
    assert usual_scripts(["", "12 ?"]) == ()


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        ("zh-Hant", {"Han"}),
        ("jpn", {"Han", "Hiragana", "Katakana"}),
        ("sr", {"Cyrillic"}),
        ("srp_Latn", {"Latin"}),
        ("uz-Cyrl", {"Cyrillic"}),
        ("ara", {"Arabic"}),
    ],
)
def test_a_language_names_its_scripts(lang: str, expected: set) -> None:
    assert scripts_of_language(lang) == expected


def test_a_script_of_just_a_twentieth_of_the_letters_is_foreign() -> None:
    assert usual_scripts(["a" * 19 + "я"]) == ("LATIN",)
    assert usual_scripts(["a" * 18 + "я"]) == ("CYRILLIC", "LATIN")


def test_marks_and_digits_have_no_script() -> None:
    assert scripts_of_letters("a\u0301 3 कि!") == ["LATIN", "DEVANAGARI"]
