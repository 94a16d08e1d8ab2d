"""eflomal's programs as an engine: what they are given, what becomes of what they write."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

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
from bitextile.kernels.align.eflomal.model import EflomalModel
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.schema.errors import BitextileError, ConfigError, DatasetError, InputError
from project import TESTS

FAKE = TESTS / "fake_eflomal.py"
REAL = os.environ.get("BITEXTILE_EFLOMAL", "")


def write_programs(folder: Path, text: str) -> EflomalOptions:
    for name in ("eflomal-align", "eflomal-makepriors"):
        (folder / name).write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        (folder / name).chmod(0o755)
    return EflomalOptions(bin_dir=str(folder))


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> EflomalOptions:
    return write_programs(tmp_path_factory.mktemp("fake"), FAKE.read_text(encoding="utf-8"))


def column(*sentences: str) -> pa.ListArray:
    return pa.array([s.split() for s in sentences], pa.list_(pa.string()))


def points(alignment) -> list[list[tuple[int, int]]]:
    return [[(x["src"], x["tgt"]) for x in row] for row in alignment.links.to_pylist()]


def links(src, tgt, options, *, model=None, symmetrize="union"):
    output = run_eflomal(src, tgt, options=options, model=model)
    return symmetrize_output(output, symmetrize=symmetrize)


def test_two_directions_become_one_and_score_by_their_agreement(fake) -> None:
    src, tgt = column("ein Haus", "", "a b c"), column("房子", "x", "c b a D")
    assert points(links(src, tgt, fake)) == [
        [(0, 0), (1, 0)],
        [],
        [(0, 0), (1, 1), (2, 2), (2, 3)],
    ]
    both = links(src, tgt, fake, symmetrize="intersect")
    assert points(both) == [[(0, 0)], [], [(0, 0), (1, 1), (2, 2)]]
    assert both.score.to_pylist() == pytest.approx([0, -13.8155, 0])
    scores = [x["score"] for x in links(src, tgt, fake).links[2].as_py()]
    assert scores == [1, 1, 1, 0.5]


def test_only_the_five_heuristics(fake) -> None:
    with pytest.raises(ConfigError, match="eflomal gives no posteriors"):
        links(column("a"), column("b"), fake, symmetrize="posterior")
    with pytest.raises(ConfigError, match="symmetrize is 'x'"):
        links(column("a"), column("b"), fake, symmetrize="x")


WORDS = st.lists(
    st.sampled_from(["a", "B", "", " ", "a b", "x\ty", "\n", "\u2028", "\x1c", "|||", "<NULL>"]),
    max_size=5,
)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=4))
@settings(max_examples=25)
def test_any_words_give_a_row_each_and_links_by_place(fake, pairs) -> None:
    src, tgt = (pa.array([pair[k] for pair in pairs], pa.list_(pa.string())) for k in (0, 1))
    output = run_eflomal(src, tgt, options=fake)
    found = points(symmetrize_output(output, symmetrize="intersect"))
    assert found == [[(i, i) for i in range(min(len(a), len(b)))] for a, b in pairs]
    whole = sum(bool(a and b) for a, b in pairs)
    assert output.statistics["pairs_with_an_empty_side"] == len(pairs) - whole
    model = make_model(output, options=fake)
    for (a, b), row in zip(pairs, points(links(src, tgt, fake, model=model))):
        assert {j for _, j in row} == set(range(len(b) if a else 0))
        assert {i for i, _ in row} == set(range(len(a) if b else 0))
    assert model.statistics["pairs"] == len(pairs)


@pytest.mark.parametrize(("n_src", "n_tgt"), [(1_025, 1_025), (3_000, 4), (251, 700)])
def test_long_sentences_go_in_windows_and_keep_their_words(fake, n_src, n_tgt) -> None:
    src, tgt = column("w " * n_src, "a"), column("v " * n_tgt, "b")
    output = run_eflomal(src, tgt, options=fake)
    most = max(len(line.split()) for text in output.texts for line in text.splitlines())
    assert most <= WINDOW_WORDS
    assert output.statistics["pairs_in_windows"] == 1
    long, short = points(symmetrize_output(output, symmetrize="union"))
    assert short == [(0, 0)]
    assert {i for i, _ in long} == set(range(n_src))
    assert long == sorted(set(long))
    assert max(j for _, j in long) < n_tgt
    if n_src == n_tgt:
        assert long == [(i, i) for i in range(n_src)]


def test_the_words_of_a_batch_choose_the_priors_that_go_along(fake, tmp_path) -> None:
    trained = run_eflomal(column("a b c"), column("x y z"), options=fake)
    model = make_model(trained, options=fake)
    kinds = model.priors["kind"].to_pylist()
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "LEX": 3,
        "FERF": 3,
        "FERR": 3,
        "HMMF": 1,
        "HMMR": 1,
    }
    # The fake refuses priors of words that are not there, and follows those that are.
    src, tgt = column("q C A"), column("X Z")
    assert points(links(src, tgt, fake, symmetrize="intersect")) == [[(0, 0), (1, 1)]]
    applied = links(src, tgt, fake, model=model, symmetrize="intersect")
    assert points(applied) == [[(1, 1)]]
    assert model.save(tmp_path / "m") == model.digest
    again = EflomalModel.load(tmp_path / "m")
    assert again.digest == model.digest
    assert again.priors.equals(model.priors)
    assert again.options == fake


def test_a_damaged_or_foreign_model_is_refused(fake, tmp_path) -> None:
    output = run_eflomal(column("a"), column("x"), options=fake)
    model = make_model(output, options=fake)
    model.save(tmp_path / "m")
    head = json.loads((tmp_path / "m/model.json").read_text())
    (tmp_path / "m/model.json").write_text(json.dumps(head | {"statistics": {"pairs": 2}}))
    with pytest.raises(DatasetError, match="content is sha256"):
        EflomalModel.load(tmp_path / "m")
    with pytest.raises(DatasetError, match="not a whole model"):
        EflomalModel.load(tmp_path)
    fit(column("a"), column("x"), n_threads=1).save(tmp_path / "ours")
    with pytest.raises(DatasetError, match="which --aligner fitted it"):
        EflomalModel.load(tmp_path / "ours")
    model.save(tmp_path / "m")
    with pytest.raises(DatasetError, match="bitextile-eflomal/1"):
        HmmModel.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import sys; sys.exit('no memory')", "ended with 1: no memory"),
        ("", "wrote no file of 'f'"),
        ("open('f', 'w'); open('r', 'w')", "wrote 0 lines of links for 1 pairs"),
        ("[open(n, 'w').write('0-0 0-1\\n') for n in 'fr']", "a link outside its sentence"),
        ("[open(n, 'w').write('0-x\\n') for n in 'fr']", "malformed links"),
        ("[open(n, 'w').write('0-0-0\\n') for n in 'fr']", "malformed links"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(tmp_path, program, sentence) -> None:
    with pytest.raises(BitextileError, match=re.escape(sentence)):
        links(column("a"), column("x"), write_programs(tmp_path, program))


def test_not_installed_is_said_in_a_sentence(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"eflomal-align is not in .*pip install eflomal"):
        links(column("a"), column("x"), EflomalOptions(bin_dir=str(tmp_path)))
    (tmp_path / "eflomal-align").write_text("#!/no/such/interpreter\n")
    (tmp_path / "eflomal-align").chmod(0o755)
    with pytest.raises(ConfigError, match="cannot be run"):
        links(column("a"), column("x"), EflomalOptions(bin_dir=str(tmp_path)))


def test_sides_that_do_not_fit_are_refused(fake) -> None:
    with pytest.raises(InputError, match="2 source and 1 target"):
        links(column("a", "b"), column("x"), fake)
    with pytest.raises(InputError, match="links number 32767"):
        links(column("a " * 32_768), column("x"), fake)


@pytest.mark.skipif(
    shutil.which("eflomal-align", path=REAL or None) is None,
    reason="eflomal is not installed: put eflomal-align on PATH or name its folder "
    "in BITEXTILE_EFLOMAL",
)
def test_the_real_eflomal_learns_a_cipher_and_applies_its_priors() -> None:
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
    found = points(symmetrize_output(output, symmetrize="intersect"))
    right = sum(
        src[n][i].as_py()[1:] == tgt[n][j].as_py()[1:] for n in range(300) for i, j in found[n]
    )
    assert right > 0.9 * sum(map(len, found[:300]))
    assert right > 1_500
    assert found[301] == []
    model = make_model(output, options=options)
    # Alone, two lines in another order teach nothing; the priors know every word.
    few = column("w1 w7 w13 w30", "w2 w9 w25 w39")
    turned = pa.array([[f"水{w[1:]}" for w in reversed(row)] for row in few.to_pylist()], few.type)
    applied = points(links(few, turned, options, model=model, symmetrize="intersect"))
    crossed = [i + j == 3 for row in applied for i, j in row]
    assert sum(crossed) >= 5  # of 8; it draws
    assert crossed.count(False) <= 1
