"""Normalisation: one form, reached once, the same in any batch; words and joiners survive."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.arrays import replace_columns
from bitextile.kernels.text.normalise import normalise_mono, normalise_pairs, normalise_text
from bitextile.schema.ids import pair_ids, text_ids
from bitextile.schema.kinds import MONO, PAIRS

# Combining marks in and out of order, joiners, directional marks, spaces of all kinds, controls,
# Hangul parts, singletons of NFC (Angstrom sign, en quad), unassigned code points, emoji.
ODD = "e\u0301\u0323\u0345\u200d\u200c\u200b\u200e\u202e\u2066\ufeff\u00ad\u00a0\u3000\u2000"
ODD += "\u2028\x85\x00\x1c\x1f\t\r\n\u1100\u1161\u11a8\u212b\u0378\U0003fffe\U000e0100👩🚒אבكِ犬กิ"
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(ODD), max_size=20)
# Unicode's White_Space property, by name; not str.isspace, which counts U+001C to U+001F too.
SPACES = {chr(c) for c in (*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))}
SPACES |= {"\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}


def normal(text: str) -> str:
    return normalise_text(pa.array([text]))[0].as_py()


@settings(max_examples=500)
@given(TEXT)
def test_twice_is_once(text: str) -> None:
    once = normal(text)
    assert normal(once) == once


@settings(max_examples=500)
@given(TEXT)
def test_what_comes_out_is_nfc_with_single_spaces_and_no_controls(text: str) -> None:
    out = normal(text)
    known = "".join(c for c in out if unicodedata.category(c) != "Cn")
    assert unicodedata.is_normalized("NFC", known)
    assert not {c for c in out if unicodedata.category(c) == "Cc"}
    assert not (SPACES - {" "}) & set(out)
    assert "  " not in out
    assert out == out.strip(" ")


@settings(max_examples=300)
@given(TEXT)
def test_nothing_else_is_lost(text: str) -> None:
    """Letters, marks, numbers, punctuation, symbols and joiners are those of the input's NFC."""

    def kept(s: str) -> str:
        drop = {"Cc", "Cf", "Zs", "Zl", "Zp"}
        s = "".join(c for c in s if c in "\u200d\u200c" or unicodedata.category(c) not in drop)
        return unicodedata.normalize("NFD", s)

    assert kept(normal(text)) == kept(text)


@given(st.lists(TEXT | st.none(), max_size=6), st.integers(0, 6))
def test_a_text_is_normalised_by_itself(texts: list, cut: int) -> None:
    whole = normalise_text(pa.array(texts, pa.string())).to_pylist()
    array = pa.array(texts, pa.string())
    parts = (
        normalise_text(array.slice(0, cut)).to_pylist()
        + normalise_text(array.slice(cut)).to_pylist()
    )
    assert parts == whole
    assert [t is None for t in whole] == [t is None for t in texts]


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian is spelled with ZWNJ
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d🚒", "👩\u200d🚒"),
        ("\ufeffGrüße", "Grüße"),
        ("a\u200b\u0301", "á"),  # composes once the zero-width space between is gone
        ("한", "한"),
        ("日本\u3000語", "日本 語"),
        ("a\u2028b\x85c\x0bd", "a b c d"),
        ("שלום\u202e\u200f!", "שלום!"),
        ("co\u00adoperate", "cooperate"),
        ("tab\tand\r\nline", "tab and line"),
        (" \u00a0 ", ""),
        ("ﬁ ½ ①", "ﬁ ½ ①"),  # compatibility characters are not folded: NFC, not NFKC
    ],
)
def test_cases_in_their_scripts(given_text: str, expected: str) -> None:
    assert normal(given_text) == expected


def pairs(sides: list[tuple[str, str]]) -> pa.RecordBatch:
    fixed = {
        "pair_id": "",
        "src_lang": "ar",
        "tgt_lang": "en",
        "corpus": "c",
        "file": "f",
        "split": "",
    }
    rows = [fixed | {"src": s, "tgt": t, "line": n} for n, (s, t) in enumerate(sides)]
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_pairs_get_the_id_of_their_normalised_sides_and_keep_the_rest(sides) -> None:
    batch = pairs(sides)
    out = normalise_pairs(batch)
    assert out.schema == PAIRS.schema
    src, tgt = out.column("src"), out.column("tgt")
    assert src.to_pylist() == [normal(s) for s, _ in sides]
    if sides:
        assert out.column("pair_id").equals(pair_ids("ar", src, "en", tgt))
    rest = [c for c in PAIRS.schema.names if c not in ("pair_id", "src", "tgt")]
    assert out.select(rest).equals(batch.select(rest))
    assert normalise_pairs(out).equals(out)


def test_two_spellings_of_a_pair_are_one_pair() -> None:
    out = normalise_pairs(
        pairs([("كلب", "cafe\u0301 noir"), (" كلب\u200f", "caf\u00e9\u00a0noir ")])
    )
    assert len(set(out.column("pair_id").to_pylist())) == 1


def test_sentences_get_the_id_of_their_normalised_text() -> None:
    row = dict.fromkeys(MONO.schema.names, "") | {"lang": "hi", "text": " क\tख ", "line": 3}
    out = normalise_mono(pa.RecordBatch.from_pylist([row], schema=MONO.schema))
    assert out.column("text").to_pylist() == ["क ख"]
    assert out.column("text_id").equals(text_ids("hi", pa.array(["क ख"])))
    assert out.column("line").to_pylist() == [3]


def test_replacing_columns_keeps_their_order_and_the_others() -> None:
    batch = pa.RecordBatch.from_pylist([{"a": 1, "b": "x"}])
    out = replace_columns(batch, {"a": pa.array([2])})
    assert out.to_pylist() == [{"a": 2, "b": "x"}]
    assert out.schema == batch.schema
