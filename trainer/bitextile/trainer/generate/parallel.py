"""Inputs in batches of similar length, and batches on all cores."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
U = TypeVar("U")

BATCH_TOKENS = {"cpu": 512, "cuda": 32_768}
"""Tokens of a forward pass. On a CPU what lies between two layers then stays in the cache."""


def length_buckets(lengths: Sequence[int], device: torch.device) -> Iterator[list[int]]:
    """Yields indices of inputs, longest first, in buckets that fill a forward pass.

    Similar lengths come together, so that there is hardly any padding; a pure function of the
    lengths.

    >>> list(length_buckets([300, 10, 400, 20], torch.device("cpu")))
    [[2], [0, 3, 1]]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    # In tokens, not sentences: time and memory go by them.
    budget, bucket, tokens = BATCH_TOKENS[device.type], list[int](), 0
    for i in order:
        if bucket and tokens + lengths[i] > budget:
            yield bucket
            bucket, tokens = [], 0
        bucket.append(i)
        tokens += lengths[i]
    if bucket:
        yield bucket


def parallel_map(work: Callable[[T], U], items: Sequence[T], device: torch.device) -> list[U]:
    """Returns the results of `work` on each item, in their order, under inference mode.

    On a CPU each thread works on items of its own on one core, as many threads as torch is set to:
    so the bits do not depend on how many there are.
    """

    def run(item: T) -> U:
        with torch.inference_mode():
            return work(item)

    n_threads = torch.get_num_threads()
    if device.type != "cpu" or n_threads == 1:
        return [run(item) for item in items]
    try:
        with ThreadPoolExecutor(
            n_threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(run, items))
    finally:
        torch.set_num_threads(n_threads)
