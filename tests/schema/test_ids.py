"""Ids: a pair and its reverse are one pair, and nothing else is; tags and keys have one form."""

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_key, language_tag, pair_ids, stable_id, text_ids

# Texts with combining marks, joiners, right-to-left letters and unassigned code points.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("e\u0301\u200d\u200cאبकि्ष犬👩\u0378"),
    max_size=12,
)
LANG = st.sampled_from(["de", "en", "ar", "zh-Hant"])


def pair_id(src_lang: str, src: str, tgt_lang: str, tgt: str) -> str:
    return pair_ids(src_lang, pa.array([src]), tgt_lang, pa.array([tgt]))[0].as_py()


def test_the_id_is_the_documented_digest() -> None:
    content = b"de\x1fHallo.\x1een\x1fHello."
    expected = hashlib.blake2b(content, digest_size=16).hexdigest()
    assert pair_id("en", "Hello.", "de", "Hallo.") == expected
    mono = hashlib.blake2b("ja\x1f犬".encode(), digest_size=16).hexdigest()
    assert text_ids("ja", pa.array(["犬"])).to_pylist() == [mono]


@given(LANG, TEXT, LANG, TEXT)
def test_a_pair_and_its_reverse_have_one_id(a: str, src: str, b: str, tgt: str) -> None:
    assert pair_id(a, src, b, tgt) == pair_id(b, tgt, a, src)


@given(st.lists(st.tuples(LANG, TEXT, LANG, TEXT), min_size=2, max_size=6, unique=True))
def test_different_pairs_have_different_ids(rows) -> None:
    # The separators cannot stand in normalised text, so they are taken out of the drawn one.
    rows = [tuple(part.translate({0x1E: None, 0x1F: None}) for part in row) for row in rows]
    distinct = {frozenset([(a, s), (b, t)]) for a, s, b, t in rows}
    assert len({pair_id(*row) for row in rows}) == len(distinct)


def test_text_moved_between_sides_or_languages_is_another_pair() -> None:
    ids = [
        pair_id("de", "ab", "en", "c"),
        pair_id("de", "a", "en", "bc"),
        pair_id("de", "c", "en", "ab"),
        pair_id("fr", "ab", "en", "c"),
    ]
    assert len(set(ids)) == 4
    assert (
        text_ids("de", pa.array(["a", "b", "a"])).to_pylist()[0::2]
        == [
            stable_id("de\x1fa"),
        ]
        * 2
    )


def test_each_row_has_its_own_id_and_sides_of_other_lengths_are_refused() -> None:
    both = pair_ids("de", pa.array(["a", "b"]), "en", pa.array(["x", "y"])).to_pylist()
    assert both == [pair_id("de", "a", "en", "x"), pair_id("de", "b", "en", "y")]
    assert (
        pair_ids("de", pa.array([], pa.string()), "en", pa.array([], pa.string())).type == "string"
    )
    with pytest.raises(ValueError, match="shorter"):
        pair_ids("de", pa.array(["a", "b"]), "en", pa.array(["x"]))


@pytest.mark.parametrize(
    ("given_tag", "tag"),
    [
        ("EN", "en"),
        ("zh-hant", "zh-Hant"),
        ("PT-br", "pt-BR"),
        ("es-419", "es-419"),
        ("SL-rozaj", "sl-rozaj"),
        ("swh", "sw"),
        ("zh-HANS-cn", "zh-Hans"),
        ("en_US", "en-US"),
        ("fra", "fr"),
        ("zho-Hans", "zh-Hans"),
        ("tha", "th"),
        ("arb_Arab", "ar"),
        ("zh_TW", "zh-Hant"),
        ("ro_RO", "ro-RO"),
        ("ar_XX", "ar"),
    ],
)
def test_tags_get_their_usual_form_once(given_tag: str, tag: str) -> None:
    assert language_tag(given_tag) == tag
    assert language_tag(tag) == tag


@pytest.mark.parametrize(
    "tag",
    ["", "anglais", "e", "en_", "en-", "../en", "en/x", "en\n", "ελ", "d\u0435", 7, None, True],
)
def test_what_is_no_tag_is_refused(tag) -> None:
    with pytest.raises(ConfigError, match="is not a BCP-47 tag; expected a form such as"):
        language_tag(tag)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("ger", "language 'ger': ger is a code for library catalogues; write de"),
        ("fre-CA", "language 'fre-CA': fre is a code for library catalogues; write fr-CA"),
        ("xx", "language 'xx': xx is no language; expected a code of BCP 47, as in en, yue, pt-BR"),
        ("jp", "language 'jp': jp is no language; did you mean ja?"),
        ("German", "language 'German' is not a BCP-47 tag; expected a form such as de"),
        (
            "zh-Hanz",
            "language 'zh-Hanz': Hanz is no script; expected one of ISO 15924, as in zh-Hant",
        ),
        ("pt-XY", "language 'pt-XY': XY is no region; expected one of ISO 3166, as in pt-BR"),
    ],
)
def test_what_is_not_registered_is_refused_with_the_right_spelling(tag: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        language_tag(tag)
    assert str(error.value) == message


@given(st.lists(LANG, min_size=1, max_size=2))
def test_a_key_does_not_depend_on_the_order_of_languages(languages: list[str]) -> None:
    assert language_key(languages) == language_key(languages[::-1])
    assert "/" not in language_key(languages)
