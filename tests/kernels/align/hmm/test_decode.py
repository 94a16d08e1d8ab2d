"""Posterior decoding: what holds for any pairs."""

from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.alignment import LEAST_SCORE
from bitextile.kernels.align.config import Symmetrization
from bitextile.kernels.align.corpus import split_words
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import LINKS

WORDS = pa.list_(pa.string())
METHODS = get_args(Symmetrization)


def words(*lines):
    return split_words(list(lines))


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


def test_a_call_that_cannot_be_answered_is_refused(model):
    with pytest.raises(ConfigError, match="expected one of"):
        align_pairs(model, words("a"), words("b"), symmetrize="best")
    with pytest.raises(ConfigError, match=r"threshold is 1\.5"):
        align_pairs(model, words("a"), words("b"), threshold=1.5)
    with pytest.raises(InputError, match="40000 words"):
        align_pairs(model, pa.array([["a"] * 40000], WORDS), words("b"))
    with pytest.raises(InputError, match="1 source and 2 target"):
        align_pairs(model, words("a"), words("b", "c"))
