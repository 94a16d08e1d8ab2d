"""The rule `too_long`: the longer side counts, and the limit itself is allowed."""

import pytest

from bitextile.kernels.filters.rule import apply_rules
from bitextile.kernels.filters.too_long import TOO_LONG, TooLongOptions
from corpus_rows import mono_rows, pair_rows


@pytest.mark.parametrize(("src", "tgt"), [("a b c", "d"), ("d", "a b c")])
def test_either_side_may_be_too_long(src: str, tgt: str) -> None:
    for limit, values in ((3, []), (2, [3.0])):
        config = TooLongOptions(max_words=limit)
        out = apply_rules(pair_rows([(src, tgt)]), [TOO_LONG], config=config)
        assert out.rejects["value"].to_pylist() == values


def test_a_sentence_is_measured_alone() -> None:
    out = apply_rules(mono_rows(["a b", "a"]), [TOO_LONG], config=TooLongOptions(max_words=1))
    assert out.rejects["line"].to_pylist() == [1]
