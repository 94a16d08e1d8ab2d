"""Corpora that break aligners: a defined result, small memory, never NaN."""

import resource

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit

WORDS = pa.list_(pa.string())


def repeated(words, n):
    """The same sentence n times, as one Arrow array made without n Python lists."""
    flat = pa.array(words).take(pa.array(np.tile(np.arange(len(words)), n)))
    offsets = np.arange(0, n * len(words) + 1, max(len(words), 1), dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def finite(model):
    arrays = (*model.table[2:], model.null_src, model.null_tgt, model.jumps_to_tgt)
    return all(np.isfinite(x).all() for x in (*arrays, model.jumps_to_src))


def points(alignment, row=0):
    return [(x["src"], x["tgt"]) for x in alignment.links[row].as_py()]


def test_a_sentence_a_million_times_is_fitted_in_little_memory():
    src, tgt = repeated(["une", "phrase", "."], 10**6), repeated(["一", "句", "。"], 10**6)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = fit(src, tgt, config=HmmModelConfig(hmm_iterations=1), n_threads=1)
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert growth < 300 * 10**6
    assert finite(model)
    assert len(model.table.tgt) == 9
    links = points(align_pairs(model, src.slice(0, 1), tgt.slice(0, 1)))
    assert (0, 0) in links
    assert all(i == j for i, j in links)


def test_three_pairs_and_a_single_pair_of_three_sentences_are_enough_for_a_model():
    src = [["Guten", "Tag", "."], ["Wie", "geht", "es", "?"], ["Gut", "."]]
    tgt = [["Good", "day", "."], ["How", "is", "it", "?"], ["Good", "."]]
    whole = ([[word for line in side for word in line]] for side in (src, tgt))
    for sides in ((src, tgt), tuple(whole)):
        arrays = [pa.array(side, WORDS) for side in sides]
        model = fit(*arrays, n_threads=1)
        alignment = align_pairs(model, *arrays)
        assert finite(model)
        assert np.isfinite(alignment.score.to_numpy()).all()
        row, at = (1, 3) if len(arrays[0]) == 3 else (0, 6)
        assert (at, at) in points(alignment, row)


@pytest.mark.parametrize("word", ["a", "水", "."])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (40, 40), (3, 50), (50, 1)])
def test_one_word_repeated_has_finite_parameters_and_scores(word, m, n):
    src, tgt = pa.array([[word] * m] * 5, WORDS), pa.array([[word] * n] * 5, WORDS)
    model = fit(src, tgt, n_threads=1)
    alignment = align_pairs(model, src, tgt)
    assert finite(model)
    assert np.isfinite(alignment.score.to_numpy()).all()
    assert len(alignment.links) == 5


def test_punctuation_alone_is_linked_by_its_kind():
    src = pa.array([[".", ",", "!"], ["?", "."], [",", "!"]] * 4, WORDS)
    tgt = pa.array([["。", "、", "!"], ["?", "。"], ["、", "!"]] * 4, WORDS)
    model = fit(src, tgt, n_threads=1)
    assert finite(model)
    assert points(align_pairs(model, src, tgt)) == [(0, 0), (1, 1), (2, 2)]


def test_pairs_with_an_empty_side_are_counted_and_teach_nothing():
    pairs = [(["das", "haus"], ["这", "房子"]), (["das", "buch"], ["这", "书"])]
    poor = [(["das"], []), ([], ["书"]), ([], [])]
    src, tgt = (pa.array([p[k] for p in pairs + poor], WORDS) for k in (0, 1))
    model = fit(src, tgt, n_threads=1)
    assert model.statistics["pairs_with_an_empty_side"] == 3
    alignment = align_pairs(model, src, tgt)
    assert [len(x) for x in alignment.links.to_pylist()] == [2, 2, 0, 0, 0]
    assert np.isfinite(alignment.score.to_numpy()).all()
    assert finite(fit(src.slice(2), tgt.slice(2), n_threads=1))


def test_ten_thousand_words_in_a_line_are_windowed_counted_and_linked():
    rng = np.random.default_rng(5)
    ids = rng.integers(0, 500, 10_000).tolist()
    lines = [[k] for k in range(500)] * 2
    src = pa.array([[f"w{k}" for k in line] for line in [*lines, ids]], WORDS)
    tgt = pa.array([[f"Ж{k}" for k in line] for line in [*lines, ids]], WORDS)
    model = fit(src, tgt, n_threads=1)
    assert model.statistics["pairs_in_windows"] == 1
    assert model.statistics["src_words"] == 11_000
    assert points(align_pairs(model, src, tgt), len(lines)) == [(i, i) for i in range(10_000)]
