"""IBM model 1 against dictionaries, cell by cell."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.hmm.ibm1 import train_ibm1
from bitextile.kernels.align.hmm.m_step import estimate_table

SENTENCE = st.lists(st.integers(0, 4), min_size=0, max_size=5)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)


@given(PAIRS, st.integers(1, 3), st.sampled_from([1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_ibm1_is_the_cell_by_cell_version(small, reference, pairs, iterations, n_threads):
    corpus, occurrences, counts = small.counted(pairs)
    table = small.by_chance(corpus, occurrences, counts)
    start = [dict(zip(small.entries(table), p.tolist())) for p in (table.p_tgt, table.p_src)]
    classes, config = small.no_classes(ibm1_iterations=iterations)
    threads = {"config": config, "n_threads": n_threads}
    marginals = train_ibm1(
        corpus, occurrences, counts, small.null, small.null, classes, small.no_words(), **threads
    )
    table = estimate_table(counts, marginals, min_probability=-1.0, n_threads=n_threads)
    null = [0.05] * 5
    p_tgt, p_src, _ = reference.model1(pairs, null, null, start, iterations)
    for k, key in enumerate(small.entries(table)):
        assert table.p_tgt[k] == pytest.approx(p_tgt[key], rel=1e-3, abs=1e-6)
        assert table.p_src[k] == pytest.approx(p_src[key], rel=1e-3, abs=1e-6)
