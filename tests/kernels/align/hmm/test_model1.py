"""Candidates, model 1 and the E-step against dictionaries."""

import numba
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.hmm.backoff import (
    Classes,
    classes_of,
    seen_wholes,
    set_probabilities,
    table_of,
    with_prior,
)
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import Table, candidates, faced, places_of
from bitextile.kernels.align.hmm.forward_backward import padded
from bitextile.kernels.align.hmm.jumps import first_jumps, spread_out
from bitextile.kernels.align.hmm.model1 import train_model1
from bitextile.kernels.align.hmm.posteriors import (
    Parameters,
    add_joint,
    cells_of,
    evidence,
    expect,
    infer,
    lattices_for,
    sentences,
)
from bitextile.kernels.align.hmm.prior import checked_lexicon, prior_of
from bitextile.kernels.arrays import offsets_of

SENTENCE = st.lists(st.integers(0, 4), min_size=0, max_size=5)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)
NULL = np.full(5, 0.05, np.float32)


def corpus_of(pairs):
    def side(k):
        at = offsets_of(np.array([len(p[k]) for p in pairs], int))
        return np.array([w for p in pairs for w in p[k]], np.int32), at

    return Corpus(*side(0), *side(1))


def rows(table):
    return np.repeat(np.arange(len(table.start) - 1), np.diff(table.start))


def entries(table):
    return list(zip(rows(table).tolist(), table.tgt.tolist()))


def no_words(n=5):
    """No word is known beforehand."""
    none = pa.array([str(k) for k in range(n)])
    return prior_of(checked_lexicon(None), none, none)


def no_classes(n=5, **weights):
    """Every word in a class of its own, no word spelt as on the other side."""
    ids, none = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32)
    classes = Classes(np.arange(n + 1), ids, ids, ids, none, none)
    return classes, HmmModelConfig(**({"class_weight": 0.0} | weights))


def counted(pairs, association=0.0, often=99, n_threads=1):
    corpus = corpus_of(pairs)
    config = HmmModelConfig(min_association=association, max_singleton_frequency=often)
    places = places_of(corpus, 5)
    return corpus, places, candidates(corpus, places, 5, config=config, n_threads=n_threads)


def by_chance(corpus, places, counts, n=5, n_threads=1):
    wholes = seen_wholes(places.beside, faced(corpus, n), no_classes(n)[0])
    return table_of(counts, wholes, least=-1.0, n_threads=n_threads)


def estimated(counts, classes, config, prior=None):
    """The M-step: expected counts of all candidates to a table of them all."""
    wholes = with_prior(counts, classes, prior or no_words(), config)
    return table_of(counts, wholes, least=-1.0, n_threads=1)


@given(PAIRS, st.sampled_from([0.0, 0.5, 1.0, 1.5]), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_candidates_are_seen_more_than_by_chance_and_more_than_once_if_frequent(
    pairs, association, often
):
    corpus, places, counts = counted(pairs, association, often)
    table = by_chance(corpus, places, counts)
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
    corpus, places, counts = counted(pairs)
    table = by_chance(corpus, places, counts)
    start = [dict(zip(entries(table), p.tolist())) for p in (table.p_tgt, table.p_src)]
    classes, config = no_classes(ibm1_iterations=iterations)
    threads = {"config": config, "n_threads": n_threads}
    wholes = train_model1(corpus, places, counts, NULL, NULL, classes, no_words(), **threads)
    table = table_of(counts, wholes, least=-1.0, n_threads=n_threads)
    null = [0.05] * 5
    p_tgt, p_src, _ = reference.model1(pairs, null, null, start, iterations)
    for k, key in enumerate(entries(table)):
        assert table.p_tgt[k] == pytest.approx(p_tgt[key], rel=1e-3, abs=1e-6)
        assert table.p_src[k] == pytest.approx(p_src[key], rel=1e-3, abs=1e-6)


def test_without_classes_rows_and_columns_sum_to_one_and_empty_ones_stay_zero():
    _, _, counts = counted([([0, 1], [0, 1, 2]), ([3], [4])])
    counts.value[:] = np.arange(len(counts.tgt))
    counts.value[rows(counts) == 3] = 0
    table = estimated(counts, *no_classes())
    of_rows = np.bincount(rows(table), table.p_tgt, 5)
    np.testing.assert_allclose(of_rows, [1, 1, 0, 0, 0], atol=1e-6)
    columns = np.bincount(table.tgt, table.p_src, 5)
    np.testing.assert_allclose(columns, [1, 1, 1, 0, 0], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 10.0]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_probabilities_are_the_formula_with_classes_spelling_and_lexicon(seed, weight, known):
    rng = np.random.default_rng(seed)
    src, tgt = (
        pa.array([f"{'ab'[int(rng.integers(2))] * 4}{side}{k}" for k in range(4)] + ["same"])
        for side in "xy"
    )
    config = HmmModelConfig(class_weight=weight, same_word_weight=0.7, same_prefix_weight=0.2)
    sentences_ = [
        ([int(x) for x in rng.integers(0, 5, 3)], [int(x) for x in rng.integers(0, 5, 3)])
    ]
    _, _, counts = counted(sentences_ * 2 + [([4], [4])])
    counts.value[:] = rng.random(len(counts.tgt))
    lexicon = {"src": [src[0].as_py(), "same", "never"], "tgt": [tgt[1].as_py(), "same", "x"]}
    lexicon = pa.table({**lexicon, "weight": [0.3, 2.0, 9.0]}) if known else None
    prior = prior_of(checked_lexicon(lexicon), src, tgt)
    c = {}
    begins = [[w[:4] for w in side.to_pylist()] for side in (src, tgt)]
    for (e, f), n in zip(entries(counts), counts.value.tolist()):
        same, alike = src[e] == tgt[f], begins[0][e] == begins[1][f]
        c[e, f] = n + (0.7 if same else 0.2 if alike else 0.0)
        c[e, f] += known * {(0, 1): 0.3, (4, 4): 2.0}.get((e, f), 0.0)
    table = estimated(counts, classes_of(src, tgt, config), config, prior)

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


def test_pairs_that_are_unlikely_in_both_directions_are_left_out_of_the_table():
    _, _, counts = counted([([0, 1], [0, 1, 2]), ([3], [4])])
    counts.value[:] = np.where((rows(counts) == 0) & (counts.tgt == 1), 0.01, 1.0)
    wholes = with_prior(counts, no_classes()[0], no_words(), no_classes(same_word_weight=0)[1])
    whole = table_of(counts, wholes, least=-1.0, n_threads=1)
    kept = table_of(counts, wholes, least=0.1, n_threads=2)
    on = np.maximum(whole.p_tgt, whole.p_src) > 0.1
    assert 0 < on.sum() < len(on)
    assert entries(kept) == [k for k, keep in zip(entries(whole), on) if keep]
    assert kept.p_tgt.tolist() == whole.p_tgt[on].tolist()
    assert kept.p_src.tolist() == whole.p_src[on].tolist()


def test_probabilities_are_set_in_place_as_in_a_new_table():
    _, _, counts = counted([([0, 1], [0, 1, 2]), ([3], [4])])
    wholes = with_prior(counts, no_classes()[0], no_words(), no_classes(class_weight=3.0)[1])
    new = table_of(counts, wholes, least=-1.0, n_threads=1)
    old = Table(counts.start, counts.tgt, *np.full((2, len(counts.tgt)), 9, np.float32))
    set_probabilities(old, counts, wholes, n_threads=1)
    for got, expected in zip(old, new):
        assert got.tolist() == expected.tolist()


def known_for(table, p_null=0.3):
    jumps = spread_out(first_jumps(10), 8)
    numbers = (np.float32(p_null), np.float32(1e-7), np.float32(0))
    return Parameters(table, NULL, NULL, jumps, jumps, *numbers)


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_agreement_counts_are_products_of_the_two_reference_posteriors(reference, pairs):
    corpus, places, counted_ = counted(pairs)
    table = by_chance(corpus, places, counted_)
    known = known_for(table)
    cells = cells_of(corpus, np.arange(5, dtype=np.int32), table, 5)
    found = evidence(corpus, known, for_jumps=True)
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
def one_direction(corpus, cells, known, work, found, counts):
    """Adds to the counts the posteriors of the direction that explains the target, alone."""
    one, two = work
    for s in range(len(corpus.src_at) - 1):
        infer(corpus, s, cells, known, one, two, found)
        first, n = corpus.src_at[s], corpus.src_at[s + 1] - corpus.src_at[s]
        for i in range(n):
            for c in range(cells.first[first + i], cells.last[first + i]):
                counts[cells.entry[c]] += one.gamma[cells.position[c] * padded(n) + i]


def test_em_of_one_direction_never_lowers_the_likelihood(corpus):
    """Without agreement (counts are one direction's posteriors) the HMM is plain EM."""
    from bitextile.kernels.align.hmm.fit import _read

    data, src_words, tgt_words = _read(*corpus)
    config = HmmModelConfig(min_association=0.0, max_singleton_frequency=999)
    places = places_of(data, len(src_words))
    n_tgt = len(tgt_words)
    counted_ = candidates(data, places, n_tgt, config=config, n_threads=1)
    alone = np.arange(n_tgt, dtype=np.int32)
    classes = Classes(np.arange(len(src_words) + 1), np.arange(len(src_words)), *[alone] * 4)
    wholes = seen_wholes(places.beside, faced(data, n_tgt), classes)
    table = table_of(counted_, wholes, least=-1.0, n_threads=1)
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
        found = evidence(data, known, for_jumps=True)
        counts = np.zeros(len(table.tgt), np.float32)
        one_direction(data, cells, known, lattices_for(data), found, counts)
        of_rows = np.bincount(rows(table), counts, len(src_words))
        table.p_tgt[:] = counts / of_rows[rows(table)]
        likelihood.append(found.log_likelihood[0])
    assert (np.diff(likelihood) > -1e-2).all()
    assert likelihood[-1] > likelihood[0] + 100


def test_a_range_of_sentences_is_the_corpus_of_those_sentences():
    pairs = [([0, 1], [2]), ([], [3]), ([4], []), ([1, 2, 3], [0, 0])]
    part = sentences(corpus_of(pairs), 1, 4)
    for got, expected in zip(part, corpus_of(pairs[1:4])):
        assert got.tolist() == expected.tolist()
