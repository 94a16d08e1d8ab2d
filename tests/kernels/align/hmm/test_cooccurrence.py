"""Word pairs counted against dictionaries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SENTENCE = st.lists(st.integers(0, 4), min_size=0, max_size=5)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)


@given(PAIRS, st.sampled_from([0.0, 0.5, 1.0, 1.5]), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_pairs_that_are_kept_are_seen_more_than_by_chance_and_more_than_once_if_frequent(
    small, pairs, association, often
):
    corpus, occurrences, counts = small.counted(pairs, association, often)
    table = small.by_chance(corpus, occurrences, counts)
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
    assert set(small.entries(table)) - near == expected - near
    for (e, f), p, q in zip(small.entries(table), table.p_tgt, table.p_src):
        assert p == pytest.approx(together[e, f] / beside[e], rel=1e-5)
        facing = sum(len(src) * tgt.count(f) for src, tgt in pairs)
        assert q == pytest.approx(together[e, f] / facing, rel=1e-5)
