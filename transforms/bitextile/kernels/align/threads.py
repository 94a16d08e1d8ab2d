"""The same function over fixed parts, on any number of threads, results in the order of the parts.

Parts never depend on the number of threads and every sum over parts is taken in their order: that
is why a model has the same bits on one core and on sixty-four. Threads, not numba's prange: its
default threading layer aborts the process when two threads (of a Beam worker) enter it at once.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from bitextile.kernels.arrays import I64

Part = TypeVar("Part")
Result = TypeVar("Result")


def usable_threads(n_threads: int | None) -> int:
    """Returns the number asked for, or the cores this process may use."""
    return max(1, n_threads or len(os.sched_getaffinity(0)))


def map_parts(
    function: Callable[[Part], Result], parts: Iterable[Part], *, n_threads: int
) -> list[Result]:
    """Returns function(part) for each part, in order; the function must release the GIL to gain."""
    return list(each_part(function, parts, n_threads=n_threads))


def each_part(
    function: Callable[[Part], Result], parts: Iterable[Part], *, n_threads: int
) -> Iterator[Result]:
    """Yields function(part) for each part, in order, while the next few are being worked on.

    At most n_threads results wait at a time, which bounds the memory.
    """
    if n_threads == 1:
        yield from map(function, parts)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        ahead: deque[Future[Result]] = deque()
        for part in parts:
            ahead.append(pool.submit(function, part))
            if len(ahead) > n_threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def even_parts(work: I64, n_parts: int) -> list[tuple[int, int]]:
    """Returns at most n_parts consecutive, non-empty ranges of about equal work.

    Args:
        work: [items] cost of each item, any unit, not negative.
        n_parts: how many ranges to aim at.

    >>> even_parts(np.array([5, 1, 1, 1, 1, 1]), 2)
    [(0, 1), (1, 6)]
    """
    ends = np.cumsum(work)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, total * np.arange(1, n_parts) / n_parts) + 1
    edges = np.unique(np.concatenate([[0], np.minimum(cuts, len(work)), [len(work)]]))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist()))
