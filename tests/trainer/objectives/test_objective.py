"""What objectives share: ids of records, columns as arrays, pairs cut to fit, drawn languages."""

import numpy as np
import pytest

from bitextile.trainer.data.tokens import Encoding
from bitextile.trainer.objectives.objective import (
    DatasetEntry,
    list_slices,
    records,
    texts_of,
    truncate_pair,
)


def test_list_slices_equals_to_pylist(rows):
    # A slice, whose children have an offset that flattening must heed.
    table = rows("aligned", 20).slice(3, 9).combine_chunks()
    sliced = list_slices(table["links"], ("src", "tgt"))
    assert [s.tolist() for s in sliced] == [
        [[link["src"], link["tgt"]] for link in row] for row in table["links"].to_pylist()
    ]


def test_records_name_variants(rows):
    ids, keys = records(rows("exchange", 5))
    assert all(i.endswith("/0") for i in ids)
    assert len(set(keys.tolist())) == 5


def test_records_name_the_language_of_pseudo_translations(rows):
    table = rows("pseudo", 5)
    ids, keys = records(table)
    assert ids == [f"{i}/ar" for i in table["text_id"].to_pylist()]
    place = table.schema.get_field_index("tgt_lang")
    french = table.set_column(place, table.schema.field(place), [["fr"] * 5])
    others, other_keys = records(french)
    assert others[0].endswith("/fr")
    assert not set(keys.tolist()) & set(other_keys.tolist())


def test_languages_are_drawn_by_temperature():
    class Sized:
        def __init__(self, rows):
            self.rows = rows

    def probabilities(alpha):
        sized = (Sized(100), Sized(10_000), Sized(0))
        return DatasetEntry(None, None, 1.0, sized, alpha).probabilities.tolist()

    assert probabilities(1.0) == pytest.approx([1 / 101, 100 / 101, 0])
    assert probabilities(0.5) == pytest.approx([1 / 11, 10 / 11, 0])
    assert probabilities(0.0) == pytest.approx([0.5, 0.5, 0])


def subwords(n: int) -> tuple[Encoding, str]:
    """Words of one letter each, with a space between."""
    offsets = np.asarray([[2 * i, 2 * i + 1] for i in range(n)], np.int32)
    return Encoding(np.arange(n, dtype=np.int32), offsets), " ".join("a" * n)


@pytest.mark.parametrize(
    ("n_src", "n_tgt", "max_length", "kept"),
    [(4, 5, 12, (4, 5)), (4, 6, 12, (4, 5)), (9, 2, 12, (7, 2)), (9, 9, 12, (4, 5))],
)
def test_a_pair_is_cut_so_that_three_special_tokens_fit(n_src, n_tgt, max_length, kept):
    (src, s), (tgt, t) = subwords(n_src), subwords(n_tgt)
    one, other = truncate_pair(src, tgt, (s, t), max_length)
    assert (len(one.ids), len(other.ids)) == kept
    assert one.n_truncated + other.n_truncated == n_src + n_tgt - sum(kept)


def test_columns_come_as_lists_in_the_order_asked_for(rows):
    table = rows("pairs", 3)
    assert texts_of(table, "tgt", "src") == [table["tgt"].to_pylist(), table["src"].to_pylist()]
