"""Packing: several short sequences in one row, so that little of a rectangle is padding."""

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np

from bitextile.kernels.arrays import I64
from bitextile.schema.errors import InputError


@dataclass(frozen=True)
class Placement:
    """Where each sequence lies in rows of one width.

    Attributes:
        rows: [n] row of each sequence.
        starts: [n] its first column.
        n_rows: rows in all.
        width: columns of a row.
    """

    rows: I64
    starts: I64
    n_rows: int
    width: int


def pack(lengths: I64, *, width: int) -> Placement:
    """Places sequences in as few rows as best-fit decreasing finds.

    The longest comes first, each goes to the fullest row that still has room, ties in the order
    given: a pure function of the lengths. At most 11/9 of the least number of rows, and one
    (Johnson 1973); with sentences, which are short beside a row, nearly the least.

    Args:
        lengths: [n] tokens of each sequence, 1 to `width`.
        width: tokens of a row.

    Returns:
        The placement; rows are counted from 0 and none is empty.

    Raises:
        InputError: a sequence is empty or longer than a row.

    >>> pack(np.asarray([3, 7, 5, 2]), width=10)
    Placement(rows=array([0, 0, 1, 1]), starts=array([7, 0, 0, 5]), n_rows=2, width=10)
    """
    lengths = np.asarray(lengths, np.int64)
    if len(lengths) and not (lengths.min() > 0 and lengths.max() <= width):
        raise InputError(
            f"a sequence has {lengths.min()} or {lengths.max()} tokens, expected 1 to {width}; "
            "cut or split it before packing"
        )
    rows, starts = np.zeros_like(lengths), np.zeros_like(lengths)
    room: list[tuple[int, int]] = []  # (tokens left, row), ascending
    n_rows = 0
    for i in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[i])
        # The first row whose room is at least `length`: the fullest that fits; -1 comes before any
        # row.
        place = bisect_left(room, (length, -1))
        if place == len(room):
            left, row = width, n_rows
            n_rows += 1
        else:
            left, row = room.pop(place)
        rows[i], starts[i] = row, width - left
        insort(room, (left - length, row))
    return Placement(rows, starts, n_rows, width)


def pack_one(lengths: I64, *, multiple: int) -> Placement:
    """Places sequences one behind the other in a single row.

    Args:
        lengths: [n] tokens of each sequence, at least 1; at least one.
        multiple: the width is the least multiple of it that holds all.

    Raises:
        InputError: a sequence is empty.

    >>> pack_one(np.asarray([3, 7, 5]), multiple=8)
    Placement(rows=array([0, 0, 0]), starts=array([ 0,  3, 10]), n_rows=1, width=16)
    """
    lengths = np.asarray(lengths, np.int64)
    if lengths.min() < 1:
        raise InputError(f"a sequence has {lengths.min()} tokens, expected at least 1")
    ends = np.cumsum(lengths)
    width = -(-int(ends[-1]) // multiple) * multiple
    return Placement(np.zeros_like(lengths), ends - lengths, 1, width)


def pack_narrow(lengths: I64, *, width: int, step: int = 8) -> Placement:
    """Places sequences as `pack` does, then makes the rows as narrow as their number allows.

    Seventeen rows of which the last is nearly empty become seventeen full ones.

    Args:
        lengths: [n] tokens of each sequence, 1 to `width`; at least one.
        width: most tokens of a row.
        step: the width is a multiple of it, unless it is `width` itself.

    Raises:
        InputError: as `pack`.

    >>> pack_narrow(np.asarray([12, 9, 3, 8, 4]), width=40, step=4).width
    36
    """
    wide = pack(lengths, width=width)
    least = max(int(lengths.max()), -(-int(lengths.sum()) // wide.n_rows))
    # From the narrowest up and not by bisection: with best fit, wider rows may need more of them.
    for narrow in range(-(-least // step) * step, width, step):
        placed = pack(lengths, width=narrow)
        if placed.n_rows == wide.n_rows:
            return placed
    return wide
