"""The order is a permutation, entered anywhere, with no more than a window at hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.data.order import WINDOW_GROUPS, Order

group_rows = st.lists(st.integers(0, 40), min_size=1, max_size=14).filter(any)


def walk(order: Order, epoch: int) -> list[tuple[int, int]]:
    """Every (row group, row in it) of an epoch, position by position."""
    seen = []
    for index in range(order.rows):
        window = order.window(epoch, index)
        assert len(window.groups) <= WINDOW_GROUPS
        row = int(window.order[index - window.start])
        ends = np.cumsum([order.group_rows[g] for g in window.groups])
        place = int(np.searchsorted(ends, row, side="right"))
        first = int(ends[place - 1]) if place else 0
        seen.append((int(window.groups[place]), row - first))
    return seen


@settings(max_examples=25, deadline=None)
@given(group_rows, st.integers(0, 3))
def test_each_row_once_per_epoch(rows, epoch):
    order = Order(tuple(rows), seed=1, name="de-en")
    assert sorted(walk(order, epoch)) == [(g, r) for g, n in enumerate(rows) for r in range(n)]


def test_epochs_seeds_and_streams_differ():
    rows = (30, 30, 30, 30, 30)
    # Each differs from the first in one thing.
    walks = [
        walk(Order(rows, seed=1, name="a"), 0),
        walk(Order(rows, seed=1, name="a"), 1),
        walk(Order(rows, seed=2, name="a"), 0),
        walk(Order(rows, seed=1, name="b"), 0),
    ]
    assert len({tuple(w) for w in walks}) == 4
    assert walks[0] == walk(Order(rows, seed=1, name="a"), 0)
