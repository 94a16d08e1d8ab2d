"""The order of a stream: a permutation of its rows per epoch that can be entered anywhere.

Two levels. The row groups of all shards are shuffled; each run of `WINDOW_GROUPS` of them is a
window, and the rows of a window are shuffled among themselves:

    row groups   0 1 2 3 4 5 6      (seed, epoch) ->   4 1 | 6 0 | 2 5 | 3      windows of 2
    position     0 ... 32,767 lies in the first window, 32,768 ... in the second

Which row stands at a position is computed, not remembered, so resuming costs the same anywhere,
and no more than a window is ever decoded. Shards are sorted by hashed id, hence windows are
random samples already.
"""

from dataclasses import dataclass

import numpy as np

from bitextile.kernels.arrays import I64
from bitextile.kernels.randomness import bits

WINDOW_GROUPS = 2
"""Row groups shuffled together: some 32,000 pairs, 10 to 20 MB as Arrow columns; a run over thirty
languages holds two windows of each."""


@dataclass(frozen=True)
class Window:
    """A run of shuffled row groups and the shuffled order of their rows.

    Attributes:
        start: position of its first row in the epoch.
        groups: [g] row groups, in the order they are to be concatenated.
        order: [n] the row, counted over `groups`, that stands at position `start + i`.
    """

    start: int
    groups: I64
    order: I64


@dataclass(frozen=True)
class Order:
    """The order of one stream.

    Attributes:
        group_rows: rows of each row group, in the order of the shards.
        seed: of the run.
        name: of the stream, so that two streams are shuffled apart.
    """

    group_rows: tuple[int, ...]
    seed: int
    name: str

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return sum(self.group_rows)

    def window(self, epoch: int, index: int) -> Window:
        """Returns the window in which position `index` of `epoch` lies.

        Args:
            epoch: 0-based.
            index: 0 <= index < rows.
        """
        # Row groups of all shards, so that a window mixes rows from far apart.
        groups = _shuffled(len(self.group_rows), self.seed, f"order/groups/{self.name}", epoch)
        sizes = np.asarray(self.group_rows, np.int64)[groups]
        ends = np.cumsum(sizes)
        # Index of the group that ends each window: 1 3 5 6 of 7 groups in windows of 2.
        last = np.minimum(
            np.arange(WINDOW_GROUPS - 1, len(ends) + WINDOW_GROUPS - 1), len(ends) - 1
        )
        window_ends = ends[last[::WINDOW_GROUPS]]
        # "right": the position behind a window's last row is the next window's first.
        which = int(np.searchsorted(window_ends, index, side="right"))
        start = int(window_ends[which - 1]) if which else 0
        # The number of the window is part of the key: windows of one size would all be shuffled
        # alike.
        order = _shuffled(
            int(window_ends[which]) - start, self.seed, f"order/rows/{self.name}/{which}", epoch
        )
        first = which * WINDOW_GROUPS
        return Window(start, groups[first : first + WINDOW_GROUPS], order)


def _shuffled(n: int, seed: int, operation: str, epoch: int) -> I64:
    # A stable sort of 64-bit keys: the same permutation on every machine.
    keys = bits(np.arange(n, dtype=np.uint64), seed=seed, operation=operation, variant=epoch)
    return np.argsort(keys, kind="stable")
