"""eflomal's programs as an engine: what they are given, what becomes of what they write."""

import os
import shutil

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.kernels.align.eflomal.links import (
    WINDOW_WORDS,
    make_model,
    run_eflomal,
    symmetrize_output,
)
from bitextile.schema.errors import ConfigError, InputError

REAL = os.environ.get("BITEXTILE_EFLOMAL", "")


def test_two_directions_become_one_and_score_by_their_agreement(run, fake) -> None:
    src, tgt = run.column("ein Haus", "", "a b c"), run.column("房子", "x", "c b a D")
    assert run.points(run.links(src, tgt, fake)) == [
        [(0, 0), (1, 0)],
        [],
        [(0, 0), (1, 1), (2, 2), (2, 3)],
    ]
    both = run.links(src, tgt, fake, symmetrize="intersect")
    assert run.points(both) == [[(0, 0)], [], [(0, 0), (1, 1), (2, 2)]]
    assert both.score.to_pylist() == pytest.approx([0, -13.8155, 0])
    scores = [x["score"] for x in run.links(src, tgt, fake).links[2].as_py()]
    assert scores == [1, 1, 1, 0.5]


def test_only_the_five_heuristics(run, fake) -> None:
    with pytest.raises(ConfigError, match="eflomal gives no posteriors"):
        run.links(run.column("a"), run.column("b"), fake, symmetrize="posterior")
    with pytest.raises(ConfigError, match="symmetrize is 'x'"):
        run.links(run.column("a"), run.column("b"), fake, symmetrize="x")


WORDS = st.lists(
    st.sampled_from(["a", "B", "", " ", "a b", "x\ty", "\n", "\u2028", "\x1c", "|||", "<NULL>"]),
    max_size=5,
)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=4))
@settings(max_examples=25)
def test_any_words_give_a_row_each_and_links_by_place(run, fake, pairs) -> None:
    src, tgt = (pa.array([pair[k] for pair in pairs], pa.list_(pa.string())) for k in (0, 1))
    output = run_eflomal(src, tgt, options=fake)
    found = run.points(symmetrize_output(output, symmetrize="intersect"))
    assert found == [[(i, i) for i in range(min(len(a), len(b)))] for a, b in pairs]
    whole = sum(bool(a and b) for a, b in pairs)
    assert output.statistics["pairs_with_an_empty_side"] == len(pairs) - whole
    model = make_model(output, options=fake)
    for (a, b), row in zip(pairs, run.points(run.links(src, tgt, fake, model=model))):
        assert {j for _, j in row} == set(range(len(b) if a else 0))
        assert {i for i, _ in row} == set(range(len(a) if b else 0))
    assert model.statistics["pairs"] == len(pairs)


@pytest.mark.parametrize(("n_src", "n_tgt"), [(1_025, 1_025), (3_000, 4), (251, 700)])
def test_long_sentences_go_in_windows_and_keep_their_words(run, fake, n_src, n_tgt) -> None:
    src, tgt = run.column("w " * n_src, "a"), run.column("v " * n_tgt, "b")
    output = run_eflomal(src, tgt, options=fake)
    most = max(len(line.split()) for text in output.texts for line in text.splitlines())
    assert most <= WINDOW_WORDS
    assert output.statistics["pairs_in_windows"] == 1
    long, short = run.points(symmetrize_output(output, symmetrize="union"))
    assert short == [(0, 0)]
    assert {i for i, _ in long} == set(range(n_src))
    assert long == sorted(set(long))
    assert max(j for _, j in long) < n_tgt
    if n_src == n_tgt:
        assert long == [(i, i) for i in range(n_src)]


def test_sides_that_do_not_fit_are_refused(run, fake) -> None:
    with pytest.raises(InputError, match="2 source and 1 target"):
        run.links(run.column("a", "b"), run.column("x"), fake)
    with pytest.raises(InputError, match="links number 32767"):
        run.links(run.column("a " * 32_768), run.column("x"), fake)


@pytest.mark.skipif(
    shutil.which("eflomal-align", path=REAL or None) is None,
    reason="eflomal is not installed: put eflomal-align on PATH or name its folder "
    "in BITEXTILE_EFLOMAL",
)
def test_the_real_eflomal_learns_a_cipher_and_applies_its_priors(run) -> None:
    options = EflomalOptions(bin_dir=REAL)
    texts = [[f"w{(7 * n + 3 * k * k) % 40}" for k in range(6)] for n in range(300)]
    src = pa.array([*texts, ["w1"] * 1_100, []], pa.list_(pa.string()))
    tgt = pa.array([[f"水{w[1:]}" for w in row] for row in src.to_pylist()], src.type)
    output = run_eflomal(src, tgt, options=options)
    assert output.statistics == {
        "pairs": 302,
        "pairs_with_an_empty_side": 1,
        "pairs_in_windows": 1,
    }
    found = run.points(symmetrize_output(output, symmetrize="intersect"))
    right = sum(
        src[n][i].as_py()[1:] == tgt[n][j].as_py()[1:] for n in range(300) for i, j in found[n]
    )
    assert right > 0.9 * sum(map(len, found[:300]))
    assert right > 1_500
    assert found[301] == []
    model = make_model(output, options=options)
    # Alone, two lines in another order teach nothing; the priors know every word.
    few = run.column("w1 w7 w13 w30", "w2 w9 w25 w39")
    turned = pa.array([[f"水{w[1:]}" for w in reversed(row)] for row in few.to_pylist()], few.type)
    applied = run.points(run.links(few, turned, options, model=model, symmetrize="intersect"))
    crossed = [i + j == 3 for row in applied for i, j in row]
    assert sum(crossed) >= 5  # of 8; it draws
    assert crossed.count(False) <= 1
