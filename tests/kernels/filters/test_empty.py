"""The rule `empty`: one side or both, or a sentence."""

from bitextile.kernels.filters.empty import EMPTY
from bitextile.kernels.filters.rule import apply_rules
from corpus_rows import mono_rows, pair_rows


def test_the_value_is_the_number_of_empty_sides() -> None:
    rows = pair_rows([("", ""), ("a", ""), ("", "b"), ("犬", "狗")])
    out = apply_rules(rows, [EMPTY], config=None)
    assert out.rejects["value"].to_pylist() == [2.0, 1.0, 1.0]
    assert out.kept["src"].to_pylist() == ["犬"]


def test_an_empty_sentence_is_dropped() -> None:
    out = apply_rules(mono_rows(["", "犬"]), [EMPTY], config=None)
    assert (out.rejects["value"].to_pylist(), out.kept["line"].to_pylist()) == ([1.0], [2])
