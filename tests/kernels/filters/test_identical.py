"""The rule `identical`: pairs with identical source and target, but not names and numbers."""

import pytest

from bitextile.kernels.filters.identical import IDENTICAL, IdenticalOptions
from bitextile.kernels.filters.rule import apply_rules
from corpus_rows import pair_rows


@pytest.mark.parametrize(
    ("src", "tgt", "value"),
    [
        ("Tom !", "Tom !", None),
        ("7", "7", None),
        ("eins zwei drei", "eins zwei drei", None),
        ("eins zwei drei vier", "eins zwei drei vier", 4.0),
        ("eins zwei drei vier", "eins zwei drei vie", None),
    ],
)
def test_identical_sides_of_more_than_three_words_are_dropped(src, tgt, value) -> None:
    out = apply_rules(pair_rows([(src, tgt)]), [IDENTICAL], config=IdenticalOptions())
    assert out.rejects["value"].to_pylist() == ([] if value is None else [value])


def test_the_rule_can_be_left_out() -> None:
    rows = pair_rows([("eins zwei drei vier", "eins zwei drei vier")])
    config = IdenticalOptions(drop_identical=False)
    assert apply_rules(rows, [IDENTICAL], config=config).kept.num_rows == 1
