"""Replaced spans: hand-written boundaries in six scripts, and what must hold for any text."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from bitextile.kernels.text import codepoints
from bitextile.kernels.text.codepoints import cut, to_strings, to_texts
from bitextile.kernels.text.replace_spans import (
    Edits,
    grapheme_safe,
    replace_spans,
    replace_spans_in_text,
)
from bitextile.schema.errors import RowError

LETTERS = "aßЖشऄ한3犬かไ狗กü"
OTHERS = " .,!。，(「😀-'"
TEXT = st.text(LETTERS + OTHERS + "\u0301\u200d\u3000\t", max_size=20)
WORD = st.text(LETTERS + ".'", min_size=1, max_size=4)


@st.composite
def edited(draw) -> tuple[str, list[tuple[int, int]], list[str]]:
    """A text, spans of it, and what they become."""
    text = draw(TEXT)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = list(zip(cuts[::2], cuts[1::2]))
    return text, spans, [draw(WORD) for _ in spans]


def replaced(text: str, *changes: tuple[str, str]) -> str:
    spans, place = [], 0
    for old, _ in changes:
        start = text.index(old, place)
        place = start + len(old)
        spans.append((start, place))
    new, new_spans = replace_spans_in_text(text, spans, [new for _, new in changes])
    assert [new[start:end] for start, end in new_spans] == [new for _, new in changes]
    return new


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        # A spaced script keeps its spaces, whatever is set into it.
        ("Der Hund läuft.", [("Hund", "狗")], "Der 狗 läuft."),
        ("Der Hund, der läuft", [("Hund", "犬")], "Der 犬, der läuft"),
        ("Собака бежит.", [("Собака", "หมา")], "หมา бежит."),
        ("الكلب يركض.", [("الكلب", "Hund")], "Hund يركض."),
        ("개가 뛴다", [("개가", "dog")], "dog 뛴다"),
        # Two words of an unspaced script side by side lose the space.
        ("Der Hund läuft.", [("Hund", "狗"), ("läuft", "跑")], "Der 狗跑."),
        ("Собака бежит", [("Собака", "犬が"), ("бежит", "走る")], "犬が走る"),
        # A spaced script's word in an unspaced text gets a space on each side with a letter.
        ("一只狗在跑。", [("狗", "Hund")], "一只 Hund 在跑。"),
        ("犬が走る。", [("犬", "كلب")], "كلب が走る。"),
        ("หมาวิ่ง", [("วิ่ง", "бежит")], "หมา бежит"),
        ("（狗）", [("狗", "Hund")], "（Hund）"),
        ("三只狗", [("三", "3")], "3 只狗"),
        ("狗😀", [("狗", "Hund")], "Hund😀"),
        # Words of spaced scripts never join, and no space is doubled.
        ("黑狗跑。", [("黑", "black"), ("狗", "dog")], "black dog 跑。"),
        ("在美国美元住", [("美国", "U.S."), ("美元", "dollars")], "在 U.S. dollars 住"),
        ("狗(dog)", [("狗", "Hund")], "Hund (dog)"),
        ("don't", [("do", "狗")], "狗 n't"),
        ("一 狗 跑", [("狗", "Hund")], "一 Hund 跑"),
        # What the host does stays when the classes stay: no space, two spaces, an ideographic one.
        ("用Python语言", [("Python", "Java")], "用Java语言"),
        ("一只狗", [("狗", "犬")], "一只犬"),
        ("กาแฟ ร้อน", [("กาแฟ", "咖啡")], "咖啡 ร้อน"),
        ("Der  Hund", [("Hund", "狗")], "Der  狗"),
        ("黑\u3000狗", [("狗", "dog")], "黑\u3000dog"),
        # And back again.
        ("一只 Hund 在跑。", [("Hund", "狗")], "一只狗在跑。"),
        ("Der 狗跑.", [("狗", "Hund"), ("跑", "läuft")], "Der Hund läuft."),
        # A mark that followed the replaced letter is kept off the new one.
        ("e\u0301t", [("e", "犬")], "犬 \u0301t"),
        ("狗，", [("狗", "\u0301a")], "\u0301a，"),
        ("黑狗", [("狗", "\u0301a")], "黑 \u0301a"),
        ("，狗", [("狗", "\u0301a")], "， \u0301a"),
        ("หม่า", [("ม", "犬")], "ห犬 ่า"),
        ("👩\u200d狗", [("狗", "犬")], "👩\u200d 犬"),
        ("黑狗白", [("黑", "👩\u200d"), ("狗", "犬")], "👩\u200d 犬白"),
    ],
)
def test_boundary_spaces_follow_the_scripts(text: str, changes, expected: str) -> None:
    assert replaced(text, *changes) == expected


@given(edited())
@example(("", [], []))
def test_whatever_is_not_replaced_stays_but_for_one_space_at_a_seam(case) -> None:
    text, spans, words = case
    new, new_spans = replace_spans_in_text(text, spans, words)
    old_gaps, new_gaps = gaps(text, spans), gaps(new, new_spans)
    for i, (old, now) in enumerate(zip(old_gaps, new_gaps, strict=True)):
        ends = {old}
        if i > 0:
            ends |= {" " + old, old.removeprefix(" ")}
        if i < len(spans):
            ends |= {e + " " for e in ends} | {e.removesuffix(" ") for e in ends}
        assert now in ends
    assert [new[start:end] for start, end in new_spans] == words


@given(edited())
def test_no_boundary_joins_two_words_and_none_is_doubled(case) -> None:
    text, spans, words = case
    new, new_spans = replace_spans_in_text(text, spans, words)
    code = codepoints.char_classes()
    spaced = {codepoints.SPACED, codepoints.DIGIT}
    for start, end in new_spans:
        for left, right in ((start - 1, start), (end - 1, end)):
            if left >= 0 and right < len(new):
                assert not {code[ord(new[left])], code[ord(new[right])]} <= spaced
                assert not unicodedata.combining(new[right])
    if not regex.search(r"\s\s", text):
        assert not regex.search(r"\s[ ]|[ ]\s", new)


@given(edited())
def test_the_negated_boundary_spaces_give_the_text_back(case) -> None:
    text, spans, words = case
    host, pool = to_texts(pa.array([text])), to_texts(pa.array(words, pa.string()))
    start, end = np.array(spans, np.int64).reshape(-1, 2).T
    row = np.zeros(len(spans), np.int64)
    new = replace_spans(host, Edits(row, start, end, *bounds(pool)), pool.points)
    back = replace_spans(
        new.texts,
        Edits(row, new.start, new.end, start, end),
        host.points,
        boundary_spaces=-new.boundary_spaces,
    )
    assert back.strings[0].as_py() == text
    assert list(zip(back.start.tolist(), back.end.tolist())) == spans


@given(st.data())
def test_in_usually_spaced_text_the_rule_undoes_itself(data) -> None:
    spaced, dense = ["Hund", "собака", "كلب", "개가"], ["狗", "走る", "หมา"]
    host_words, gap, words = data.draw(
        st.sampled_from([(spaced, " ", dense + spaced), (dense, "", dense + spaced)])
    )
    host = data.draw(st.lists(st.sampled_from(host_words), min_size=1, max_size=6))
    text, ends = gap.join(host) + ".", np.cumsum([len(w) + len(gap) for w in host]) - len(gap)
    chosen = sorted(data.draw(st.sets(st.integers(0, len(host) - 1))))
    spans = [(int(ends[i]) - len(host[i]), int(ends[i])) for i in chosen]
    new = replace_spans_in_text(text, spans, [data.draw(st.sampled_from(words)) for _ in chosen])
    assert replace_spans_in_text(*new, [host[i] for i in chosen]) == (text, spans)


@given(st.lists(edited(), max_size=5))
def test_many_texts_at_once_are_each_text_alone(cases) -> None:
    texts = [text for text, _, _ in cases]
    pool = to_texts(pa.array([w for _, _, words in cases for w in words], pa.string()))
    flat = [(row, *span) for row, (_, spans, _) in enumerate(cases) for span in spans]
    row, start, end = np.array(flat, np.int64).reshape(-1, 3).T
    edits = Edits(row, start, end, *bounds(pool))
    new = replace_spans(to_texts(pa.array(texts, pa.string())), edits, pool.points)
    alone = [replace_spans_in_text(*case) for case in cases]
    assert new.strings.to_pylist() == [text for text, _ in alone]
    places = list(zip(new.start.tolist(), new.end.tolist()))
    assert places == [span for _, spans in alone for span in spans]


@pytest.mark.parametrize(
    ("spans", "words", "problem"),
    [
        ([(0, 9)], ["a"], "lies outside its text"),
        ([(2, 2)], ["a"], "lies outside its text or is empty"),
        ([(-1, 2)], ["a"], "lies outside"),
        ([(0, 2), (1, 3)], ["a", "b"], "overlaps the span before it"),
        ([(2, 3), (0, 1)], ["a", "b"], "not sorted"),
        ([(0, 1)], [""], "empty replacement"),
    ],
)
def test_spans_out_of_bounds_are_refused(spans, words, problem: str) -> None:
    with pytest.raises(RowError, match=problem):
        replace_spans_in_text("Hund", spans, words)


@pytest.mark.parametrize(
    ("text", "stretch", "safe"),
    [
        ("ein Hund", "Hund", True),
        ("หมาวิ่ง", "วิ่ง", True),
        ("หมาวิ่ง", "ว", False),
        ("e\u0301t", "e", False),
        ("e\u0301t", "\u0301t", False),
        ("👩\u200d🚀", "👩", False),
        ("👩\u200d🚀", "🚀", False),
        ("👩\u200d🚀", "👩\u200d🚀", True),
    ],
)
def test_a_stretch_is_safe_unless_it_tears_a_character(text, stretch, safe) -> None:
    # Neighbours in the column must not matter: each begins or ends with what joins.
    texts = to_texts(pa.array(["👩\u200d", text, "\u0301"]))
    start = texts.offsets[1] + text.index(stretch)
    found = grapheme_safe(texts, np.array([start]), np.array([start + len(stretch)]))
    assert found.tolist() == [safe]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5), st.data())
def test_code_points_are_those_of_python(texts, data) -> None:
    points = to_texts(pa.array(texts, pa.string()))
    assert to_strings(points).to_pylist() == texts
    assert points.points.tolist() == [ord(c) for text in texts for c in text]
    if texts:
        row = data.draw(st.integers(0, len(texts) - 1))
        start = data.draw(st.integers(0, len(texts[row])))
        end = data.draw(st.integers(start, len(texts[row])))
        base = points.offsets[row]
        piece = cut(points, np.array([base + start]), np.array([base + end]))
        assert piece[0].as_py() == texts[row][start:end]


def test_classes_are_those_of_the_characters() -> None:
    code = codepoints.char_classes()
    for characters, expected in (
        ("犬々かーกำລကｱａ３〇๑", codepoints.UNSPACED),
        ("aÄжشकि한\u0301ა", codepoints.SPACED),
        ("3٣३Ⅷ", codepoints.DIGIT),
        (" \t\u00a0\u3000", codepoints.SPACE),
        ("([«“", codepoints.OPENING),
        (")]»”.,!?'’", codepoints.CLOSING),
        ("😀-/、。「（，+€", codepoints.NEUTRAL),
    ):
        assert {c: int(code[ord(c)]) for c in characters} == dict.fromkeys(characters, expected)


def gaps(text: str, spans: list[tuple[int, int]]) -> list[str]:
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    return [text[end:start] for end, start in zip(ends, starts)]


def bounds(pool: codepoints.Texts) -> tuple[np.ndarray, np.ndarray]:
    return pool.offsets[:-1], pool.offsets[1:]
