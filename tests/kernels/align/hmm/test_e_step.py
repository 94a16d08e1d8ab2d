"""The E-step against sums over all paths, and EM as a whole."""

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import (
    count_cooccurrences,
    find_occurrences,
    target_exposure,
)
from bitextile.kernels.align.hmm.e_step import (
    add_to_counts,
    allocate_lattices,
    allocate_result,
    e_step,
    find_cells,
    infer,
    slice_corpus,
)
from bitextile.kernels.align.hmm.fit import _encode
from bitextile.kernels.align.hmm.forward_backward import padded
from bitextile.kernels.align.hmm.jumps import expand_jumps, initial_jumps
from bitextile.kernels.align.hmm.m_step import cooccurrence_marginals, estimate_table
from bitextile.kernels.align.hmm.word_classes import WordClasses

SENTENCE = st.lists(st.integers(0, 4), min_size=0, max_size=5)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)


@given(PAIRS)
@settings(max_examples=40, deadline=None)
def test_agreement_counts_are_products_of_the_two_reference_posteriors(small, reference, pairs):
    corpus, occurrences, counted_ = small.counted(pairs)
    table = small.by_chance(corpus, occurrences, counted_)
    known = small.parameters_of(table)
    cells = find_cells(corpus, np.arange(5, dtype=np.int32), table, 5)
    found = allocate_result(corpus, known, with_jumps=True)
    counts = np.zeros(len(table.tgt), np.float32)
    add_to_counts(cells, e_step(corpus, cells, known, found), counts)
    weights = initial_jumps(10).astype(np.float32).tolist()
    p_tgt = dict(zip(small.entries(table), table.p_tgt.tolist()))
    p_src = dict(zip(small.entries(table), table.p_src.tolist()))
    slow, log = dict.fromkeys(p_tgt, 0.0), [0.0, 0.0]
    for src, tgt in pairs:
        if not src or not tgt:
            continue
        null = float(known.p_null)
        one = reference.hmm(
            [[p_tgt[e, f] for e in src] for f in tgt],
            [float(small.null[0])] * len(tgt),
            weights,
            null,
        )
        two = reference.hmm(
            [[p_src[e, f] for f in tgt] for e in src],
            [float(small.null[0])] * len(src),
            weights,
            null,
        )
        log = [log[0] + one.log, log[1] + two.log]
        for i, e in enumerate(src):
            for j, f in enumerate(tgt):
                slow[e, f] += one.real[j, i] * two.real[i, j]
    np.testing.assert_allclose(counts, [slow[k] for k in small.entries(table)], atol=1e-4)
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


def test_em_of_one_direction_never_lowers_the_likelihood(small, corpus):
    """Without agreement (counts are one direction's posteriors) the HMM is plain EM."""
    data, src_words, tgt_words = _encode(*corpus)
    config = HmmModelConfig(min_association=0.0, max_singleton_frequency=999)
    occurrences = find_occurrences(data, len(src_words))
    n_tgt = len(tgt_words)
    counted_ = count_cooccurrences(data, occurrences, n_tgt, config=config, n_threads=1)
    alone = np.arange(n_tgt, dtype=np.int32)
    classes = WordClasses(np.arange(len(src_words) + 1), np.arange(len(src_words)), *[alone] * 4)
    marginals = cooccurrence_marginals(occurrences.exposure, target_exposure(data, n_tgt), classes)
    table = estimate_table(counted_, marginals, min_probability=-1.0, n_threads=1)
    null_src = np.full(len(src_words), 1 / len(src_words), np.float32)
    null_tgt = np.full(len(tgt_words), 1 / len(tgt_words), np.float32)
    known = small.parameters_of(table)._replace(
        null_src=null_src,
        null_tgt=null_tgt,
        to_tgt=expand_jumps(initial_jumps(10), 20),
        to_src=expand_jumps(initial_jumps(10), 20),
    )
    ids = np.arange(len(src_words), dtype=np.int32)
    cells = find_cells(data, ids, table, len(tgt_words))
    likelihood = []
    for _ in range(6):
        found = allocate_result(data, known, with_jumps=True)
        counts = np.zeros(len(table.tgt), np.float32)
        one_direction(data, cells, known, allocate_lattices(data), found, counts)
        of_rows = np.bincount(small.rows(table), counts, len(src_words))
        table.p_tgt[:] = counts / of_rows[small.rows(table)]
        likelihood.append(found.log_likelihood[0])
    assert (np.diff(likelihood) > -1e-2).all()
    assert likelihood[-1] > likelihood[0] + 100


def test_a_range_of_sentences_is_the_corpus_of_those_sentences(small):
    pairs = [([0, 1], [2]), ([], [3]), ([4], []), ([1, 2, 3], [0, 0])]
    part = slice_corpus(small.corpus_of(pairs), 1, 4)
    for got, expected in zip(part, small.corpus_of(pairs[1:4])):
        assert got.tolist() == expected.tolist()
