"""Packing loses nothing, overlaps nothing, and wastes little."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.packing import pack, pack_narrow
from bitextile.schema.errors import InputError

LENGTHS = st.lists(st.integers(1, 50), max_size=80)


@given(LENGTHS, st.integers(50, 200))
def test_every_token_has_a_place_of_its_own(lengths, width):
    placed = pack(np.asarray(lengths, np.int64), width=width)
    taken = np.zeros((placed.n_rows, width), int)
    for row, start, length in zip(placed.rows, placed.starts, lengths):
        taken[row, start : start + length] += 1
    assert taken.sum() == sum(lengths)
    assert taken.max(initial=0) <= 1
    assert taken.any(axis=1).all()


@given(LENGTHS, st.integers(50, 200))
def test_rows_are_filled_from_the_left_without_gaps(lengths, width):
    placed = pack(np.asarray(lengths, np.int64), width=width)
    for row in range(placed.n_rows):
        mine = np.flatnonzero(placed.rows == row)
        order = mine[np.argsort(placed.starts[mine])]
        ends = np.cumsum([lengths[i] for i in order])
        assert placed.starts[order].tolist() == [0, *ends[:-1]]


@given(LENGTHS)
def test_rows_stay_within_the_bound_of_best_fit_decreasing(lengths):
    # 11/9 of the optimum and one; the optimum is at least the total over the width.
    placed = pack(np.asarray(lengths, np.int64), width=50)
    halves = sum(n > 25 for n in lengths)
    least = max(-(-sum(lengths) // 50), halves)
    assert least <= placed.n_rows
    # No two rows could be joined: the fuller half of any packing that does this is at most double.
    assert placed.n_rows <= 2 * least + 1


def test_sentences_leave_little_padding():
    lengths = 5 + np.arange(400) * 37 % 60
    placed = pack(lengths, width=256)
    assert lengths.sum() / (placed.n_rows * 256) > 0.97


@pytest.mark.parametrize("lengths", [[3, 0], [3, 11], [-1]])
def test_what_does_not_fit_is_refused(lengths):
    with pytest.raises(InputError, match="expected 1 to 10; cut or split"):
        pack(np.asarray(lengths), width=10)


@given(LENGTHS.filter(bool), st.integers(50, 200))
def test_narrow_rows_are_as_many_and_hold_everything(lengths, width):
    lengths = np.asarray(lengths, np.int64)
    wide, narrow = pack(lengths, width=width), pack_narrow(lengths, width=width)
    assert narrow.n_rows == wide.n_rows
    assert lengths.max() <= narrow.width <= width
    assert (narrow.starts + lengths).max() <= narrow.width
    taken = np.zeros((narrow.n_rows, narrow.width), int)
    for row, start, length in zip(narrow.rows, narrow.starts, lengths):
        taken[row, start : start + length] += 1
    assert (taken.sum(), taken.max()) == (lengths.sum(), 1)


def test_a_last_row_that_is_nearly_empty_is_spread_over_the_others():
    lengths = 5 + np.arange(105) * 37 % 60
    placed, narrow = pack(lengths, width=256), pack_narrow(lengths, width=256)
    assert lengths.sum() / (placed.n_rows * 256) < 0.96
    assert lengths.sum() / (narrow.n_rows * narrow.width) > 0.99
