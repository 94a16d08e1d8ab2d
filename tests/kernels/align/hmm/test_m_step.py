"""The M-step against its formula over dictionaries."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import TranslationTable
from bitextile.kernels.align.hmm.m_step import add_prior, estimate_table, update_table
from bitextile.kernels.align.hmm.prior import build_prior, normalise_lexicon
from bitextile.kernels.align.hmm.word_classes import group_by_prefix


def test_without_classes_rows_and_columns_sum_to_one_and_empty_ones_stay_zero(small):
    _, _, counts = small.counted([([0, 1], [0, 1, 2]), ([3], [4])])
    counts.value[:] = np.arange(len(counts.tgt))
    counts.value[small.rows(counts) == 3] = 0
    table = small.estimated(counts, *small.no_classes())
    of_rows = np.bincount(small.rows(table), table.p_tgt, 5)
    np.testing.assert_allclose(of_rows, [1, 1, 0, 0, 0], atol=1e-6)
    columns = np.bincount(table.tgt, table.p_src, 5)
    np.testing.assert_allclose(columns, [1, 1, 1, 0, 0], atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 10.0]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_probabilities_are_the_formula_with_classes_spelling_and_lexicon(
    small, seed, weight, known
):
    rng = np.random.default_rng(seed)
    src, tgt = (
        pa.array([f"{'ab'[int(rng.integers(2))] * 4}{side}{k}" for k in range(4)] + ["same"])
        for side in "xy"
    )
    config = HmmModelConfig(class_weight=weight, same_word_weight=0.7, same_prefix_weight=0.2)
    sentences_ = [
        ([int(x) for x in rng.integers(0, 5, 3)], [int(x) for x in rng.integers(0, 5, 3)])
    ]
    _, _, counts = small.counted(sentences_ * 2 + [([4], [4])])
    counts.value[:] = rng.random(len(counts.tgt))
    lexicon = {"src": [src[0].as_py(), "same", "never"], "tgt": [tgt[1].as_py(), "same", "x"]}
    lexicon = pa.table({**lexicon, "weight": [0.3, 2.0, 9.0]}) if known else None
    prior = build_prior(normalise_lexicon(lexicon), src, tgt)
    c = {}
    begins = [[w[:4] for w in side.to_pylist()] for side in (src, tgt)]
    for (e, f), n in zip(small.entries(counts), counts.value.tolist()):
        same, alike = src[e] == tgt[f], begins[0][e] == begins[1][f]
        c[e, f] = n + (0.7 if same else 0.2 if alike else 0.0)
        c[e, f] += known * {(0, 1): 0.3, (4, 4): 2.0}.get((e, f), 0.0)
    table = small.estimated(counts, group_by_prefix(src, tgt, config), config, prior)

    def total(e=None, f=None, big_e=None, big_f=None):
        return sum(
            n
            for (x, y), n in c.items()
            if e in (None, x)
            and f in (None, y)
            and big_e in (None, begins[0][x])
            and big_f in (None, begins[1][y])
        )

    for k, (e, f) in enumerate(small.entries(table)):
        big = {"big_e": begins[0][e], "big_f": begins[1][f]}
        both, all_e, all_f = total(**big), total(big_e=big["big_e"]), total(big_f=big["big_f"])
        to_tgt = both / all_e * total(f=f) / all_f
        to_src = both / all_f * total(e=e) / all_e
        expected = (c[e, f] + weight * to_tgt) / (total(e=e) + weight)
        assert table.p_tgt[k] == pytest.approx(expected, rel=1e-4)
        expected = (c[e, f] + weight * to_src) / (total(f=f) + weight)
        assert table.p_src[k] == pytest.approx(expected, rel=1e-4)


def test_pairs_that_are_unlikely_in_both_directions_are_left_out_of_the_table(small):
    _, _, counts = small.counted([([0, 1], [0, 1, 2]), ([3], [4])])
    counts.value[:] = np.where((small.rows(counts) == 0) & (counts.tgt == 1), 0.01, 1.0)
    marginals = add_prior(
        counts, small.no_classes()[0], small.no_words(), small.no_classes(same_word_weight=0)[1]
    )
    whole = estimate_table(counts, marginals, min_probability=-1.0, n_threads=1)
    kept = estimate_table(counts, marginals, min_probability=0.1, n_threads=2)
    on = np.maximum(whole.p_tgt, whole.p_src) > 0.1
    assert 0 < on.sum() < len(on)
    assert small.entries(kept) == [k for k, keep in zip(small.entries(whole), on) if keep]
    assert kept.p_tgt.tolist() == whole.p_tgt[on].tolist()
    assert kept.p_src.tolist() == whole.p_src[on].tolist()


def test_probabilities_are_set_in_place_as_in_a_new_table(small):
    _, _, counts = small.counted([([0, 1], [0, 1, 2]), ([3], [4])])
    marginals = add_prior(
        counts, small.no_classes()[0], small.no_words(), small.no_classes(class_weight=3.0)[1]
    )
    new = estimate_table(counts, marginals, min_probability=-1.0, n_threads=1)
    old = TranslationTable(counts.start, counts.tgt, *np.full((2, len(counts.tgt)), 9, np.float32))
    update_table(old, counts, marginals, n_threads=1)
    for got, expected in zip(old, new):
        assert got.tolist() == expected.tolist()
