"""Fitting: what holds for any corpus."""

import os
import subprocess
import sys
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.align.config import Symmetrization
from bitextile.kernels.align.corpus import split_words
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit
from bitextile.schema.errors import InputError

WORDS = pa.list_(pa.string())
METHODS = get_args(Symmetrization)


def words(*lines):
    return split_words(list(lines))


def test_a_model_is_the_same_for_any_number_of_threads(corpus, model, monkeypatch):
    monkeypatch.setattr("bitextile.kernels.align.hmm.fit.CELLS_PER_CHUNK", 500)
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


def test_wrong_calls_are_refused_in_words():
    with pytest.raises(InputError, match="1 source and 2 target"):
        fit(words("a"), words("b", "c"))
    with pytest.raises(InputError, match="list<string>"):
        fit(pa.array(["a"]), words("b"))
