"""The rule `long_line`: characters of the longer side, in any script."""

import pytest

from bitextile.kernels.filters.long_line import LONG_LINE, LongLineOptions
from bitextile.kernels.filters.rule import apply_rules
from bitextile.schema.errors import ConfigError
from corpus_rows import mono_rows, pair_rows


@pytest.mark.parametrize(
    "text", ["a b c d e", "我们明天去学校呀。", "ការងាររបស់", "🐶🐶🐶🐶🐶🐶🐶🐶🐶"]
)
def test_either_side_may_be_too_long(text: str) -> None:
    for sides in ((text, "x"), ("x", text)):
        for limit, values in ((len(text), []), (len(text) - 1, [float(len(text))])):
            config = LongLineOptions(max_chars=limit)
            out = apply_rules(pair_rows([sides]), [LONG_LINE], config=config)
            assert out.rejects["value"].to_pylist() == values


def test_a_sentence_is_measured_alone() -> None:
    out = apply_rules(mono_rows(["ab", "a"]), [LONG_LINE], config=LongLineOptions(max_chars=1))
    assert out.rejects["line"].to_pylist() == [1]


def test_a_limit_that_drops_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_chars 0; expected at least 1"):
        LongLineOptions(max_chars=0)
