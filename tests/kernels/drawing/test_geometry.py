"""Drawings of aligned pairs: every word and link inside, nothing on top of another."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.drawing.geometry import (
    PAGE_PX,
    Sentence,
    ladder,
    matrix,
    two_lines,
    wide_drawing,
)

WORD = st.one_of(
    st.text("abcßéWMil.,", min_size=1, max_size=9),
    st.text("كتابهيم", min_size=1, max_size=7),
    st.text("猫が魚食べる房子", min_size=1, max_size=4),
    st.text("กขคนปลาี่", min_size=1, max_size=6),
)


def xs(drawing, side) -> list[float]:
    return [word.x for word in sorted(drawing.words, key=lambda w: w.index) if word.side == side]


def test_arabic_words_stand_from_the_right_latin_ones_from_the_left():
    src = Sentence(lang="ar", words=["القط", "نائم", "الآن"])
    tgt = Sentence(lang="de", words=["Die", "Katze", "schläft", "jetzt"])
    for drawing in (two_lines(src, tgt, []), matrix(tgt, src, [])):
        arabic = xs(drawing, "src" if drawing.form == "lines" else "tgt")
        assert arabic == sorted(arabic, reverse=True)
    assert xs(two_lines(src, tgt, []), "tgt") == sorted(xs(two_lines(src, tgt, []), "tgt"))


@st.composite
def drawn_pairs(draw):
    sides = [
        Sentence(
            lang=draw(st.sampled_from(["de", "ar", "zh", "th", "ja", "he"])),
            words=draw(st.lists(WORD, min_size=1, max_size=30)),
        )
        for _ in range(2)
    ]
    pairs = st.tuples(*(st.integers(0, len(s.words) - 1) for s in sides))
    links = draw(st.sets(pairs, max_size=40))
    return *sides, [(i, j, 0.5) for i, j in sorted(links)]


@settings(max_examples=80, deadline=None)
@given(drawn_pairs())
def test_drawings_hold_every_word_and_link_inside_and_apart(pair):
    src, tgt, links = pair
    for drawing in (two_lines(*pair), ladder(*pair), matrix(*pair)):
        assert len(drawing.words) == len(src.words) + len(tgt.words)
        assert len(drawing.strokes) + len(drawing.cells) == len(links)
        assert all(0 <= w.x <= drawing.width for w in drawing.words)
        assert all(0 <= w.y <= drawing.height for w in drawing.words)
        assert {w.index for w in drawing.words if w.side == "src" and w.linked} == {
            i for i, _, _ in links
        }
        for cell in drawing.cells:
            assert drawing.origin[0] - 0.1 <= cell.x <= drawing.width - drawing.pitch
            assert drawing.origin[1] - 0.1 <= cell.y <= drawing.height - drawing.pitch
    lines = two_lines(*pair)
    for side, sentence in (("src", src), ("tgt", tgt)):
        slots = sorted(
            (x - w / 2, x + w / 2) for x, w in zip(xs(lines, side), sentence.widths(), strict=True)
        )
        assert slots[0][0] >= 0
        assert slots[-1][1] <= lines.width + 0.1
        assert all(b[0] - a[1] > 4 for a, b in pairwise(slots))


def test_short_pairs_are_lines_long_ones_a_matrix_and_the_longest_only_a_ladder():
    def drawn(n):
        sentence = Sentence(lang="de", words=["Wort"] * n)
        return wide_drawing(sentence, sentence, [(0, n - 1, 1.0)])

    assert drawn(5).form == "lines"
    assert drawn(40).form == "matrix"
    assert drawn(40).width <= PAGE_PX
    assert drawn(110) is None
