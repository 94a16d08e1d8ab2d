"""The rule `long_word`: what stands between spaces, but for scripts that put none."""

import pytest

from bitextile.kernels.filters.long_word import LONG_WORD, LongWordOptions
from bitextile.kernels.filters.rule import apply_rules
from bitextile.schema.errors import ConfigError
from corpus_rows import mono_rows, pair_rows


def values(*sides: tuple[str, str], limit: int = 200) -> list[float]:
    config = LongWordOptions(max_word_chars=limit)
    return (
        apply_rules(pair_rows(list(sides)), [LONG_WORD], config=config).rejects["value"].to_pylist()
    )


@pytest.mark.parametrize("word", ["x", "-=", "ж", "كلب", "QUJD", "🐶", "हि"])
def test_a_word_of_either_side_may_be_too_long(word: str) -> None:
    long = (word * 201)[:201]
    assert values((f"a {long} b", "c"), ("c", long)) == [201.0, 201.0]
    assert values((f"a {long[:200]} b", "c"), (f"{long[:150]} {long[:150]}", "c")) == []


@pytest.mark.parametrize(
    "text", ["我们明天去学校", "ありがとうー", "ขอบคุณครับ", "ខ្ញុំទៅផ្សារ", "ကျွန်တော်", "ຂອບໃຈ", "བོད་ཡིག"]
)
def test_a_run_of_a_script_without_spaces_is_no_word(text: str) -> None:
    assert values((text * 99, "x")) == []
    assert values((text * 99 + "x" * 201, "x")) == [201.0]


def test_a_sentence_is_measured_alone() -> None:
    out = apply_rules(
        mono_rows(["abc d", "ab c"]), [LONG_WORD], config=LongWordOptions(max_word_chars=2)
    )
    assert out.rejects["line"].to_pylist() == [1]


def test_a_limit_that_drops_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_word_chars 0; expected at least 1"):
        LongWordOptions(max_word_chars=0)
