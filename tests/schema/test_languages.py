"""Language tags in one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("ZHO_hant_tw", "zh-Hant"),
        ("iw", "he"),
        ("in_ID", "id-ID"),
        ("es-419", "es-419"),
        ("de_DE.UTF-8", "de-DE"),
        ("sr_RS@latin", "sr-Latn-RS"),
        ("eng-Latn", "en"),
        ("sr-Latn", "sr-Latn"),
        ("yor_Latn", "yo"),
        ("zh_HK", "zh-Hant-HK"),
        ("zh-CN", "zh-Hans"),
        ("zh-yue", "yue"),
        ("sh", "sr-Latn"),
        ("prs_Arab", "fa-AF"),
        ("en-Qaaa-inverted", "en-Qaaa-inverted"),
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


@given(
    st.text("azAZ09-_@.", max_size=16) | st.from_regex(r"[a-z]{2,3}(_[A-Z][a-z]{3})?(-[A-Z]{2})?")
)
def test_the_usual_form_of_a_usual_form_is_itself(tag: str) -> None:
    assert canonical_tag(canonical_tag(tag)) == canonical_tag(tag)
