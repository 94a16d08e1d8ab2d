"""A function mapped over fixed chunks of work by any number of threads, results in order.

Chunks never depend on the number of threads and every sum over chunks is taken in their order: that
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

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def usable_threads(n_threads: int | None) -> int:
    """Returns the number asked for, or the cores this process may use."""
    # Not os.cpu_count(), which counts cores that a cpuset or taskset keeps from this process.
    return max(1, n_threads or len(os.sched_getaffinity(0)))


def thread_map(
    function: Callable[[Chunk], Result], chunks: Iterable[Chunk], *, n_threads: int
) -> list[Result]:
    """Returns function(chunk) of each chunk, in order.

    Args:
        function: releases the GIL, or nothing is gained.
        chunks: what it is called with.
        n_threads: threads to use.

    >>> thread_map(len, ["ab", "水"], n_threads=2)
    [2, 1]
    """
    return list(thread_imap(function, chunks, n_threads=n_threads))


def thread_imap(
    function: Callable[[Chunk], Result], chunks: Iterable[Chunk], *, n_threads: int
) -> Iterator[Result]:
    """Yields function(chunk) of each chunk, in order, while the next few are being worked on.

    At most n_threads results wait at a time, which bounds the memory.
    """
    # Without a pool: results are made when they are asked for, and a traceback shows the caller.
    if n_threads == 1:
        yield from map(function, chunks)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        pending: deque[Future[Result]] = deque()
        for chunk in chunks:
            pending.append(pool.submit(function, chunk))
            # One more than there are threads, so that none waits while the caller takes a result.
            if len(pending) > n_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def balanced_chunks(work: I64, n_chunks: int) -> list[tuple[int, int]]:
    """Returns at most n_chunks consecutive, non-empty ranges of about equal work.

    Args:
        work: [items] cost of each item, any unit, not negative.
        n_chunks: how many ranges to aim at.

    >>> balanced_chunks(np.array([5, 1, 1, 1, 1, 1]), 2)
    [(0, 1), (1, 6)]
    """
    ends = np.cumsum(work)
    total = int(ends[-1]) if len(ends) else 0
    # An item goes where its work ends, so that one huge item is a range of its own.
    cuts = np.searchsorted(ends, total * np.arange(1, n_chunks) / n_chunks) + 1
    edges = np.unique(np.concatenate([[0], np.minimum(cuts, len(work)), [len(work)]]))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist()))
