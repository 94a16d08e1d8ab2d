"""Candidates, model 1 and the E-step against dictionaries."""

import numba
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.backoff import Classes, classes_of, set_probabilities
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.cooccurrence import candidates, places_of, pruned
from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.hmm import padded
from bitextile.kernels.align.jumps import first_jumps, spread_out
from bitextile.kernels.align.model1 import train_model1
from bitextile.kernels.align.posteriors import (
    Parameters,
    add_joint,
    cells_of,
    evidence,
    expect,
    infer,
    lattices_for,
    sentences,
)

SENTENCE = st.lists(st.integers(0, 4), min_size=0, max_size=5)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)
NULL = np.full(5, 0.05, np.float32)


def corpus_of(pairs):
    def side(k):
        at = np.concatenate([[0], np.cumsum([len(p[k]) for p in pairs])]).astype(np.int64)
        return np.array([w for p in pairs for w in p[k]], np.int32), at

    return Corpus(*side(0), *side(1))


def entries(table):
    return list(zip(table.rows.tolist(), table.tgt.tolist()))


def table_of(pairs, association=0.0, often=99, n_threads=1):
    corpus = corpus_of(pairs)
    config = AlignerConfig(min_association=association, often=often)
    places = places_of(corpus.src, corpus.src_at, 5)
    return (
        corpus,
        places,
        candidates(corpus, places, 5, config=config, n_threads=n_threads),
    )


@given(PAIRS, st.sampled_from([0.0, 0.5, 1.0, 1.5]), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_candidates_are_seen_more_than_by_chance_and_more_than_once_if_frequent(
    pairs, association, often
):
    corpus, _, table = table_of(pairs, association, often)
    together, beside, total = {}, {}, max(1, len(corpus.tgt))
    for src, tgt in pairs:
        for e in src:
            beside[e] = beside.get(e, 0) + len(tgt)
            for f in tgt:
                together[e, f] = together.get((e, f), 0) + 1
    of_src, of_tgt = corpus.src.tolist().count, corpus.tgt.tolist().count
    least = {(e, f): association * beside[e] * of_tgt(f) / total for e, f in together}
    near = {k for k, n in together.items() if abs(n - least[k]) < 1e-4}
    lone = {
        k for k, n in together.items() if n == 1 and of_src(k[0]) > often and of_tgt(k[1]) > often
    }
    expected = {k for k, n in together.items() if n > least[k]} - lone
    assert set(entries(table)) - near == expected - near
    for (e, f), p, q in zip(entries(table), table.p_tgt, table.p_src):
        assert p == pytest.approx(together[e, f] / beside[e], rel=1e-5)
        facing = sum(len(src) * tgt.count(f) for src, tgt in pairs)
        assert q == pytest.approx(together[e, f] / facing, rel=1e-5)


@given(PAIRS, st.integers(1, 3), st.sampled_from([1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_model1_is_the_cell_by_cell_version(reference, pairs, iterations, n_threads):
    corpus, places, table = table_of(pairs)
    start = [dict(zip(entries(table), p.tolist())) for p in (table.p_tgt, table.p_src)]
    classes, config = no_classes(ibm1_iterations=iterations)
    train_model1(corpus, places, table, NULL, NULL, classes, config=config, n_threads=n_threads)
    null = [0.05] * 5
    p_tgt, p_src, _ = reference.model1(pairs, null, null, start, iterations)
    for k, key in enumerate(entries(table)):
        assert table.p_tgt[k] == pytest.approx(p_tgt[key], rel=1e-3, abs=1e-6)
        assert table.p_src[k] == pytest.approx(p_src[key], rel=1e-3, abs=1e-6)


def no_classes(n=5, **weights):
    """Every word in a class of its own, no word spelt as on the other side."""
    ids, none = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32)
    classes = Classes(np.arange(n + 1), ids, ids, ids, none, none)
    return classes, AlignerConfig(**({"class_weight": 0.0} | weights))


def test_without_classes_rows_and_columns_sum_to_one_and_empty_ones_stay_zero():
    _, _, table = table_of([([0, 1], [0, 1, 2]), ([3], [4])])
    counts = np.arange(len(table.tgt), dtype=np.float32)
    counts[table.rows == 3] = 0
    set_probabilities(table, counts, *no_classes())
    rows = np.bincount(table.rows, table.p_tgt, 5)
    np.testing.assert_allclose(rows, [1, 1, 0, 0, 0], atol=1e-6)
    columns = np.bincount(table.tgt, table.p_src, 5)
    np.testing.assert_allclose(columns, [1, 1, 1, 0, 0], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 10.0]))
@settings(max_examples=40, deadline=None)
def test_probabilities_are_the_formula_with_classes_and_spelling(seed, weight):
    rng = np.random.default_rng(seed)
    src, tgt = (
        pa.array([f"{'ab'[int(rng.integers(2))] * 4}{side}{k}" for k in range(4)] + ["same"])
        for side in "xy"
    )
    config = AlignerConfig(class_weight=weight, same_word_weight=0.7, same_beginning_weight=0.2)
    sentences_ = [
        ([int(x) for x in rng.integers(0, 5, 3)], [int(x) for x in rng.integers(0, 5, 3)])
    ]
    _, _, table = table_of(sentences_ * 2 + [([4], [4])])
    counts = rng.random(len(table.tgt)).astype(np.float32)
    c = {}
    begins = [[w[:4] for w in side.to_pylist()] for side in (src, tgt)]
    for (e, f), n in zip(entries(table), counts.tolist()):
        same, alike = src[e] == tgt[f], begins[0][e] == begins[1][f]
        c[e, f] = n + (0.7 if same else 0.2 if alike else 0.0)
    set_probabilities(table, counts, classes_of(src, tgt, config), config)

    def total(e=None, f=None, big_e=None, big_f=None):
        return sum(
            n
            for (x, y), n in c.items()
            if e in (None, x)
            and f in (None, y)
            and big_e in (None, begins[0][x])
            and big_f in (None, begins[1][y])
        )

    for k, (e, f) in enumerate(entries(table)):
        big = {"big_e": begins[0][e], "big_f": begins[1][f]}
        both, all_e, all_f = total(**big), total(big_e=big["big_e"]), total(big_f=big["big_f"])
        to_tgt = both / all_e * total(f=f) / all_f
        to_src = both / all_f * total(e=e) / all_e
        expected = (c[e, f] + weight * to_tgt) / (total(e=e) + weight)
        assert table.p_tgt[k] == pytest.approx(expected, rel=1e-4)
        expected = (c[e, f] + weight * to_src) / (total(f=f) + weight)
        assert table.p_src[k] == pytest.approx(expected, rel=1e-4)


def test_pruning_keeps_rows_in_place():
    _, _, table = table_of([([0, 1], [0, 1, 2]), ([3], [4])])
    table.p_tgt[:] = np.where(table.tgt == 1, 0.1, 0.2)
    table.p_src[:] = np.where(table.rows == 1, 0.3, 0.1)
    kept = pruned(table, 0.15)
    on = (table.tgt != 1) | (table.rows == 1)
    assert entries(kept) == [k for k, keep in zip(entries(table), on) if keep]
    assert kept.p_tgt.tolist() == table.p_tgt[on].tolist()
    assert kept.p_src.tolist() == table.p_src[on].tolist()


def known_for(table, p_null=0.3):
    jumps = spread_out(first_jumps(10), 8)
    numbers = (np.float32(p_null), np.float32(1e-7), np.float32(0))
    return Parameters(table, NULL, NULL, jumps, jumps, *numbers)


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_agreement_counts_are_products_of_the_two_reference_posteriors(reference, pairs):
    corpus, _, table = table_of(pairs)
    known = known_for(table)
    cells = cells_of(corpus, np.arange(5, dtype=np.int32), table, 5)
    found = evidence(corpus, known, for_links=False, for_jumps=True)
    counts = np.zeros(len(table.tgt), np.float32)
    add_joint(cells, expect(corpus, cells, known, found), counts)
    weights = first_jumps(10).astype(np.float32).tolist()
    p_tgt = dict(zip(entries(table), table.p_tgt.tolist()))
    p_src = dict(zip(entries(table), table.p_src.tolist()))
    slow, log = dict.fromkeys(p_tgt, 0.0), [0.0, 0.0]
    for src, tgt in pairs:
        if not src or not tgt:
            continue
        null = float(known.p_null)
        one = reference.hmm(
            [[p_tgt[e, f] for e in src] for f in tgt], [float(NULL[0])] * len(tgt), weights, null
        )
        two = reference.hmm(
            [[p_src[e, f] for f in tgt] for e in src], [float(NULL[0])] * len(src), weights, null
        )
        log = [log[0] + one.log, log[1] + two.log]
        for i, e in enumerate(src):
            for j, f in enumerate(tgt):
                slow[e, f] += one.real[j, i] * two.real[i, j]
    np.testing.assert_allclose(counts, [slow[k] for k in entries(table)], atol=1e-4)
    np.testing.assert_allclose(found.log_likelihood, log, atol=1e-3)


@numba.njit
def one_direction(corpus, cells, known, found, counts):
    """Adds to the counts the posteriors of the direction that explains the target, alone."""
    one, two = lattices_for(corpus)
    for s in range(len(corpus.src_at) - 1):
        infer(corpus, s, cells, known, one, two, found)
        first, n = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
        for i in range(n):
            for c in range(cells.first[first + i], cells.last[first + i]):
                counts[cells.entry[c]] += one.gamma[cells.position[c] * padded(n) + i]


def test_em_of_one_direction_never_lowers_the_likelihood(corpus):
    """Without agreement (counts are one direction's posteriors) the HMM is plain EM."""
    from bitextile.kernels.align.fit import _read

    data, src_words, tgt_words = _read(*corpus)
    config = AlignerConfig(min_association=0.0, often=999)
    places = places_of(data.src, data.src_at, len(src_words))
    table = candidates(data, places, len(tgt_words), config=config, n_threads=1)
    null_src = np.full(len(src_words), 1 / len(src_words), np.float32)
    null_tgt = np.full(len(tgt_words), 1 / len(tgt_words), np.float32)
    known = known_for(table)._replace(
        null_src=null_src,
        null_tgt=null_tgt,
        to_tgt=spread_out(first_jumps(10), 20),
        to_src=spread_out(first_jumps(10), 20),
    )
    ids = np.arange(len(src_words), dtype=np.int32)
    cells = cells_of(data, ids, table, len(tgt_words))
    likelihood = []
    for _ in range(6):
        found = evidence(data, known, for_links=False, for_jumps=True)
        counts = np.zeros(len(table.tgt), np.float32)
        one_direction(data, cells, known, found, counts)
        rows = np.bincount(table.rows, counts, len(src_words))
        table.p_tgt[:] = counts / rows[table.rows]
        likelihood.append(found.log_likelihood[0])
    assert (np.diff(likelihood) > -1e-2).all()
    assert likelihood[-1] > likelihood[0] + 100


def test_a_range_of_sentences_is_the_corpus_of_those_sentences():
    pairs = [([0, 1], [2]), ([], [3]), ([4], []), ([1, 2, 3], [0, 0])]
    part = sentences(corpus_of(pairs), 1, 4)
    for got, expected in zip(part, corpus_of(pairs[1:4])):
        assert got.tolist() == expected.tolist()
