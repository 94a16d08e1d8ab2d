"""Fitting and applying: what holds for any corpus."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.alignment import LEAST_SCORE
from bitextile.kernels.align.corpus import Corpus, windowed
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.schema.errors import ConfigError, DatasetError, InputError
from bitextile.schema.kinds import LINKS

WORDS = pa.list_(pa.string())
METHODS = [
    "intersect",
    "union",
    "grow-diag",
    "grow-diag-final",
    "grow-diag-final-and",
    "posterior",
]


def words(*lines):
    return pa.array([line.split() for line in lines], WORDS)


def test_the_made_up_language_is_aligned(corpus, model):
    """Every target word is s<k>'s translation, so links can be counted right and wrong."""
    src, tgt = (side.to_pylist() for side in corpus)
    rng = np.random.default_rng(7)
    lexicon = [f"Ж{int(k)}" for k in rng.permutation(60)]
    right = wrong = possible = 0
    for s, t, links in zip(src, tgt, align_pairs(model, *corpus).links.to_pylist()):
        hits = [lexicon[int(s[x["src"]][1:])] == t[x["tgt"]] for x in links]
        right, wrong, possible = right + sum(hits), wrong + len(hits) - sum(hits), possible + len(t)
    assert wrong < 0.03 * right
    assert right > 0.95 * possible


@pytest.mark.parametrize("method", METHODS)
def test_links_are_typed_sorted_inside_and_scored(corpus, model, method):
    alignment = align_pairs(model, *corpus, symmetrize=method)
    assert alignment.links.type == LINKS
    assert alignment.score.type == pa.float32()
    rows = zip(*(side.to_pylist() for side in corpus), alignment.links.to_pylist())
    for (s, t, links), mean in zip(rows, alignment.score.to_pylist()):
        points = [(x["src"], x["tgt"]) for x in links]
        assert points == sorted(set(points))
        assert all(0 <= i < len(s) and 0 <= j < len(t) for i, j in points)
        scores = [x["score"] for x in links]
        assert all(0 < p <= 1 for p in scores)
        expected = np.mean(np.log(scores)) if scores else np.log(LEAST_SCORE)
        assert mean == pytest.approx(expected, abs=1e-5)


@given(st.permutations(range(30)), st.integers(1, 30))
@settings(max_examples=15, deadline=None)
def test_a_pair_is_aligned_the_same_in_any_order_and_batch(corpus, model, order, cut):
    src, tgt = (side.slice(0, 30) for side in corpus)
    whole = align_pairs(model, src, tgt)
    moved = align_pairs(model, src.take(pa.array(order)), tgt.take(pa.array(order)))
    assert moved.links.to_pylist() == whole.links.take(pa.array(order)).to_pylist()
    parts = [
        align_pairs(model, src.slice(at, n), tgt.slice(at, n)) for at, n in ((0, cut), (cut, 30))
    ]
    assert [x for p in parts for x in p.links.to_pylist()] == whole.links.to_pylist()
    assert [x for p in parts for x in p.score.to_pylist()] == whole.score.to_pylist()


def test_case_does_not_matter(model):
    low = align_pairs(model, words("s1 s2 s3"), words("ж1 ж2 ж3"))
    assert align_pairs(model, words("S1 s2 S3"), words("Ж1 ж2 Ж3")).links == low.links


def test_a_model_is_the_same_for_any_number_of_threads(corpus, model, monkeypatch):
    monkeypatch.setattr("bitextile.kernels.align.hmm.fit.CELLS_PER_PART", 500)
    in_parts = {fit(*corpus, n_threads=n).digest for n in (1, 2, 3)}
    assert len(in_parts) == 1


def test_a_model_is_the_same_in_another_process(corpus, model, tmp_path):
    with pa.OSFile(str(tmp_path / "c.arrow"), "wb") as sink:
        table = pa.table({"src": corpus[0], "tgt": corpus[1]})
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    code = (
        "import pyarrow as pa, sys; from bitextile.kernels.align.hmm.fit import fit;"
        "t = pa.ipc.open_file(sys.argv[1]).read_all();"
        "print(fit(t['src'].combine_chunks(), t['tgt'].combine_chunks(), n_threads=2).digest)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.arrow")],
        env={**os.environ, "NUMBA_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == model.digest


def test_a_saved_model_gives_the_same_links(corpus, model, tmp_path):
    digest = model.save(tmp_path / "m")
    again = HmmModel.load(tmp_path / "m")
    assert digest == model.digest == again.digest
    assert again.config == model.config
    for method in METHODS:
        assert align_pairs(again, *corpus, symmetrize=method).links == (
            align_pairs(model, *corpus, symmetrize=method).links
        )
    before = {f.name: f.read_bytes() for f in (tmp_path / "m").iterdir()}
    again.save(tmp_path / "n")
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "n").iterdir()}


@pytest.mark.parametrize("name", ["src_words.arrow", "tgt_words.arrow", "table.arrow"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_model_is_refused(model, tmp_path, name, damage):
    model.save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    if damage == "gone":
        (tmp_path / name).unlink()
    with pytest.raises(DatasetError, match=name):
        HmmModel.load(tmp_path)


def test_a_changed_or_foreign_model_json_is_refused(model, tmp_path):
    model.save(tmp_path)
    head = tmp_path / "model.json"
    text = head.read_text()
    head.write_text(text.replace('"p_null": 0.2', '"p_null": 0.3'))
    with pytest.raises(DatasetError, match="content is sha256"):
        HmmModel.load(tmp_path)
    head.write_text(text.replace("bitextile-aligner/", "bitextile-aligner/9"))
    with pytest.raises(DatasetError, match="format is 'bitextile-aligner/9"):
        HmmModel.load(tmp_path)
    head.write_text("{")
    with pytest.raises(DatasetError, match="not JSON"):
        HmmModel.load(tmp_path)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("", "")],
        [("a", "")],
        [("a", "b")],
        [("a a a a a a", "b b b")] * 3,
        [(". , ! ?", ". , ?")] * 3,
        [("das haus", "the house"), ("das buch", "the book"), ("ein buch", "a book")],
        [("the same sentence", "la même phrase")] * 300,
        [("x " * 1200, "y " * 1000), ("x", "y")],
    ],
    ids=lambda pairs: f"{len(pairs)} of {str(pairs[:1])[:20]}",
)
@pytest.mark.parametrize("method", METHODS)
def test_poor_corpora_give_a_defined_result(pairs, method):
    src, tgt = words(*(s for s, _ in pairs)), words(*(t for _, t in pairs))
    fitted = fit(src, tgt, n_threads=1)
    for array in (fitted.null_src, fitted.table.p_tgt, fitted.table.p_src, fitted.jumps_to_tgt):
        assert np.isfinite(array).all()
    alignment = align_pairs(fitted, src, tgt, symmetrize=method)
    assert len(alignment.links) == len(alignment.score) == len(pairs)
    assert np.isfinite(alignment.score.to_numpy()).all()
    unknown = align_pairs(
        fitted, words("never seen . 12"), words("nie gesehen . 12"), symmetrize=method
    )
    assert np.isfinite(unknown.score.to_numpy()).all()


def test_an_unseen_word_is_read_as_one_that_begins_alike():
    src = words("wir wählen", "sie wählten", "wir gehen", "sie gingen")
    tgt = words("we vote", "they voted", "we go", "they went")
    fitted = fit(src, tgt, n_threads=1)
    links = align_pairs(fitted, words("sie WÄHLERISCH"), words("voters they")).links.to_pylist()
    assert [(x["src"], x["tgt"]) for x in links[0]] == [(0, 1), (1, 0)]


def test_one_repeated_sentence_is_aligned_along_the_diagonal():
    src, tgt = words(*["the same sentence"] * 300), words(*["la même phrase"] * 300)
    links = align_pairs(fit(src, tgt, n_threads=1), src, tgt).links.to_pylist()
    assert [(x["src"], x["tgt"]) for x in links[0]] == [(0, 0), (1, 1), (2, 2)]


def test_sentences_beyond_the_limit_are_windowed_and_fully_aligned():
    rng = np.random.default_rng(1)
    long = [f"w{int(k)}" for k in rng.integers(0, 200, 700)]
    short = [[w] for w in sorted(set(long))] * 2
    src = pa.array([*short, long], WORDS)
    tgt = pa.array([[w.upper() + "x" for w in line] for line in src.to_pylist()], WORDS)
    fitted = fit(src, tgt, config=HmmModelConfig(max_words=100), n_threads=1)
    links = align_pairs(fitted, src, tgt).links.to_pylist()[-1]
    assert [(x["src"], x["tgt"]) for x in links] == [(i, i) for i in range(700)]
    assert fitted.statistics["pairs_in_windows"] == 1


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=5),
    st.integers(16, 40),
)
@settings(deadline=None)
def test_windows_cover_every_word_once_and_stay_within_the_limit(lengths, limit):
    at = np.array([[0, 0], *lengths]).cumsum(axis=0)
    ids = [np.arange(at[-1, k], dtype=np.int32) for k in (0, 1)]
    cut = windowed(Corpus(ids[0], at[:, 0], ids[1], at[:, 1]), limit)
    assert max(np.diff(cut.corpus.src_at).max(), np.diff(cut.corpus.tgt_at).max()) <= limit
    owned, seen = [], set()
    for w, row in enumerate(cut.row.tolist()):
        base = at[row, 0]
        owned += range(base + cut.own_from[w], base + cut.own_to[w])
        piece = cut.corpus.src[cut.corpus.src_at[w] : cut.corpus.src_at[w + 1]]
        assert piece.tolist() == list(
            range(base + cut.src_from[w], base + cut.src_from[w] + len(piece))
        )
        seen |= set(cut.corpus.tgt[cut.corpus.tgt_at[w] : cut.corpus.tgt_at[w + 1]].tolist())
    assert owned == list(range(at[-1, 0]))
    assert seen == set(range(at[-1, 1]))
    assert cut.n_long == sum(max(a, b) > limit for a, b in lengths)


def test_wrong_calls_are_refused_in_words(model):
    with pytest.raises(InputError, match="1 source and 2 target"):
        fit(words("a"), words("b", "c"))
    with pytest.raises(InputError, match="list<string>"):
        fit(pa.array(["a"]), words("b"))
    with pytest.raises(ConfigError, match="expected one of"):
        align_pairs(model, words("a"), words("b"), symmetrize="best")
    with pytest.raises(ConfigError, match=r"threshold is 1\.5"):
        align_pairs(model, words("a"), words("b"), threshold=1.5)
    with pytest.raises(InputError, match="40000 words"):
        align_pairs(model, pa.array([["a"] * 40000], WORDS), words("b"))
    with pytest.raises(ConfigError, match="p_null is 2"):
        HmmModelConfig(p_null=2)
    with pytest.raises(ConfigError, match="unknown field 'fertility'"):
        HmmModelConfig.from_json({"fertility": 1})
    assert HmmModelConfig.from_json(HmmModelConfig().to_json()) == HmmModelConfig()
