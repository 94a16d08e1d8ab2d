"""Language tags in one form."""

import pytest

from bitextile.schema.languages import canonical_tag, is_variety_of


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", "en"),
        ("EN-US", "en-US"),
        ("en_us", "en-US"),
        ("eng", "en"),
        ("fre-FR", "fr-FR"),
        ("fra", "fr"),
        ("chi", "zh"),
        ("cmn-Hans", "zh-Hans"),
        ("ZHO_hant_tw", "zh-Hant-TW"),
        ("iw", "he"),
        ("in_ID", "id-ID"),
        ("es-419", "es-419"),
        ("de_DE.UTF-8", "de-DE"),
        ("sr_RS@latin", "sr-RS"),
        ("ckb", "ckb"),
        ("  km ", "km"),
        ("", ""),
        ("Klingon!", "klingon!"),
    ],
)
def test_a_tag_has_one_form_which_stays_as_it_is(tag: str, expected: str) -> None:
    assert canonical_tag(tag) == expected
    assert canonical_tag(expected) == expected


@pytest.mark.parametrize(
    ("tag", "language", "expected"),
    [
        ("eng-GB", "en", True),
        ("en", "en-GB", False),
        ("zh-TW", "cmn", True),
        ("en", "e", False),
        ("enm", "en", False),
        ("", "en", False),
    ],
)
def test_a_variety_answers_for_its_language(tag: str, language: str, expected: bool) -> None:
    assert is_variety_of(tag, language) is expected
