"""Results in order on any number of threads, a few at a time, and ranges of equal work."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.align.threads import (
    balanced_chunks,
    thread_imap,
    thread_map,
    usable_threads,
)


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 4))
def test_results_come_in_the_order_of_the_chunks(chunks, n_threads):
    assert thread_map(lambda x: x * x, chunks, n_threads=n_threads) == [x * x for x in chunks]


def test_slow_chunks_come_first_if_they_are_first():
    def wait(seconds):
        time.sleep(seconds)
        return seconds

    assert list(thread_imap(wait, [0.05, 0.0, 0.0], n_threads=3)) == [0.05, 0.0, 0.0]


def test_only_a_few_results_wait_and_an_error_is_the_callers():
    started, lock = [], threading.Lock()

    def start(k):
        with lock:
            started.append(k)
        return k

    results = thread_imap(start, range(100), n_threads=2)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(started) <= 3
    with pytest.raises(ZeroDivisionError):
        thread_map(lambda x: 1 // x, [1, 0], n_threads=2)


def test_all_cores_unless_a_number_is_given():
    assert usable_threads(None) == len(os.sched_getaffinity(0))
    assert usable_threads(3) == 3


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 8))
def test_chunks_cover_the_items_once_and_none_has_more_than_its_share_and_an_item(work, n_chunks):
    chunks = balanced_chunks(np.array(work, np.int64), n_chunks)
    assert [k for first, last in chunks for k in range(first, last)] == list(range(len(work)))
    assert all(first < last for first, last in chunks)
    assert len(chunks) <= n_chunks
    limit = sum(work) / n_chunks + max(work, default=0)
    assert all(sum(work[first:last]) <= limit for first, last in chunks)
