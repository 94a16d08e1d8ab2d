"""Lines in, Pharaoh lines out: as many, whatever they hold."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.text import align_text
from bitextile.schema.errors import ConfigError, DatasetError

LINES = [f"das {w} ||| the {v}" for w, v in (("haus", "house"), ("buch", "book"), ("tor", "gate"))]


def run(lines, **options):
    out, scores = io.StringIO(), io.StringIO()
    summary = align_text(lines, out, scores_out=scores, n_threads=1, **options)
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
    assert any("hmm 3/3" in line for line in said)


def test_wrong_calls_are_refused_before_anything_is_written(tmp_path):
    out = io.StringIO()
    with pytest.raises(ConfigError, match="symmetrize is 'x'"):
        align_text(LINES, out, symmetrize="x")
    with pytest.raises(DatasetError, match=r"model.json: cannot be read"):
        align_text(LINES, out, model=tmp_path / "none")
    assert out.getvalue() == ""
