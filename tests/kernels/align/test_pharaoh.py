"""Lines in, Pharaoh lines out: as many, whatever they hold."""

import io
import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitextile.kernels.align.pharaoh as text_module
from bitextile.kernels.align.alignment import MAX_WORDS, Alignment
from bitextile.kernels.align.eflomal.config import EflomalConfig
from bitextile.kernels.align.engine import Runtime
from bitextile.kernels.align.pharaoh import TextSummary, align_text, read_sides, write_links
from bitextile.schema.errors import ConfigError, DatasetError
from bitextile.schema.kinds import LINKS

LINES = [f"das {w} ||| the {v}" for w, v in (("haus", "house"), ("buch", "book"), ("tor", "gate"))]


def run(lines, progress=lambda line: None, **options):
    out, scores = io.StringIO(), io.StringIO()
    runtime = Runtime(n_threads=1, progress=progress)
    summary = align_text(lines, out, scores_out=scores, runtime=runtime, **options)
    assert len(scores.getvalue().splitlines()) == len(lines)
    return summary, out.getvalue().split("\n")[:-1]


def test_each_defect_gives_an_empty_line_and_a_count():
    bad = ["no separator", "a ||| b ||| c", "||| x", "x |||", "", "a " * 40000 + "||| b"]
    summary, out = run([*LINES, *bad])
    assert out[:3] == ["0-0 1-1"] * 3
    assert out[3:] == [""] * len(bad)
    assert summary.lines == 9
    assert (summary.aligned, summary.no_separator, summary.empty_side) == (3, 3, 2)
    assert (summary.too_long, summary.no_links, summary.links) == (1, 0, 6)


@given(st.lists(st.text(alphabet="ab|. \t\u00a0\u2028\u0301\u200dא水", max_size=20), max_size=8))
@settings(max_examples=40, deadline=None)
def test_as_many_lines_as_came_in_and_every_one_counted(lines):
    summary, out = run(lines)
    assert len(out) == len(lines) == summary.lines
    refused = summary.no_separator + summary.empty_side + summary.too_long
    assert summary.lines == summary.aligned + refused
    assert out.count("") == refused + summary.no_links
    for line, links in zip(lines, out):
        for i, j in (map(int, link.split("-")) for link in links.split()):
            src, tgt = line.split("|||")
            assert i < len(src.split())
            assert j < len(tgt.split())


def test_a_saved_model_applied_gives_the_same_lines(tmp_path):
    said = []
    fitted, out = run(LINES, save_model=tmp_path / "m", progress=said.append)
    applied, again = run(LINES, model=tmp_path / "m")
    assert again == out
    assert applied.model == fitted.model
    assert any("hmm 2/2" in line for line in said)


def test_wrong_calls_are_refused_before_anything_is_written(tmp_path):
    out = io.StringIO()
    with pytest.raises(ConfigError, match="eflomal-align is not in"):
        align_text(LINES, out, config=EflomalConfig(bin_dir=str(tmp_path)))
    with pytest.raises(DatasetError, match=r"model.json: cannot be read"):
        align_text(LINES, out, model=tmp_path / "none")
    assert out.getvalue() == ""


def test_links_number_the_words_between_spaces_whatever_stands_in_them():
    lines = [
        "10\u00a0000 euros ||| 10\u202f000 euros\n",
        "das\u3000haus ist ||| the house\u2028 is\r\n",
        "price\u0085 euros\t||| prix\u2003 euros",
    ]
    src, tgt = read_sides(lines * 2, TextSummary())
    assert pc.list_value_length(src).to_pylist() == [2, 2, 2] * 2
    assert pc.list_value_length(tgt).to_pylist() == [2, 3, 2] * 2
    out = io.StringIO()
    align_text(lines * 5, out)
    for line, links in zip(lines * 5, out.getvalue().splitlines(), strict=True):
        sizes = [len(side.strip().split(" ")) for side in line.split("|||")]
        assert all(
            int(n) < size for link in links.split() for n, size in zip(link.split("-"), sizes)
        )


def slow_sides(lines, summary):
    """What `read_sides` does, line by line."""
    for line in lines:
        summary.lines += 1
        sides = [re.findall(r"[^ \t]+", side.strip(" \t\r\n")) for side in line.split("|||")]
        if len(sides) != 2:
            summary.no_separator += 1
        elif not sides[0] or not sides[1]:
            summary.empty_side += 1
        elif max(map(len, sides)) > MAX_WORDS:
            summary.too_long += 1
        else:
            summary.aligned += 1
            yield tuple(sides)
            continue
        yield [], []


def slow_lines(links, summary):
    """What `write_links` writes, link by link."""
    at, points = links.offsets.to_pylist(), links.flatten().to_pylist()
    for begin, end in pairwise(at):
        pairs = points[begin - at[0] : end - at[0]]
        summary.no_links += begin == end
        summary.links += len(pairs)
        yield " ".join(f"{link['src']}-{link['tgt']}" for link in pairs) + "\n"


SPACES = "".join(c for c in map(chr, range(0x110000)) if c.isspace())
A_SIDE = st.text(alphabet="ab|水\u200b\u180e\U0001f600" + SPACES, max_size=9)
A_LINE = st.one_of(A_SIDE, st.tuples(A_SIDE, A_SIDE).map("|||".join))


@given(st.lists(A_LINE, max_size=12), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_lines_are_cut_at_spaces_and_tabs_however_many_at_a_time(lines, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "LINES_PER_BATCH", at_once)
        found, expected = TextSummary(), TextSummary()
        src, tgt = read_sides(iter(lines), found)
    assert list(zip(src.to_pylist(), tgt.to_pylist())) == list(slow_sides(lines, expected))
    assert found == expected


def test_a_side_of_as_many_words_as_links_can_number_is_taken_and_of_one_more_is_not():
    lines = [f"{'a ' * n} ||| b" for n in (MAX_WORDS, MAX_WORDS + 1)]
    lines += [line[:-1] + "a|||b " * n for n, line in enumerate(lines)]
    found, expected = TextSummary(), TextSummary()
    sides = list(zip(*(side.to_pylist() for side in read_sides(lines, found))))
    assert sides == list(slow_sides(lines, expected))
    assert found == expected


LINK_ROWS = st.lists(
    st.lists(st.tuples(*[st.integers(0, MAX_WORDS)] * 2), max_size=4), min_size=1, max_size=9
)


@given(LINK_ROWS, st.integers(1, 5), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_links_are_written_as_they_would_be_one_by_one(rows, at_once, first):
    links = pa.array([[(i, j, 0.5) for i, j in row] for row in rows], LINKS).slice(first)
    score = pa.array(np.linspace(-3, 0, len(links), dtype=np.float32))
    found, expected, out, scores = TextSummary(), TextSummary(), io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "LINES_PER_BATCH", at_once)
        write_links(Alignment(links, score), out, scores, found)
    assert out.getvalue() == "".join(slow_lines(links, expected))
    assert scores.getvalue() == "".join(f"{x:.6f}\n" for x in score.to_pylist())
    assert found == expected


def test_a_line_that_is_too_long_to_be_held_is_one_empty_line(monkeypatch) -> None:
    monkeypatch.setattr("bitextile.kernels.align.pharaoh.CHARS_PER_BATCH", 20)
    lines = ["das haus ||| the house", None, "نعم ||| yes", "x", None]
    summary = TextSummary()
    src, tgt = read_sides(lines, summary)
    assert (len(src), src[1].as_py(), tgt[4].as_py()) == (5, [], [])
    assert (summary.lines, summary.aligned, summary.no_separator) == (5, 2, 1)
    assert (summary.too_long, summary.empty_side) == (2, 0)
