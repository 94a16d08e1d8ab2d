"""Buckets of similar length hold every input once; results come in order, whatever the threads."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitextile.trainer.generate.parallel import BATCH_TOKENS, length_buckets, parallel_map

CPU = torch.device("cpu")


@given(st.lists(st.integers(1, 700), max_size=40))
def test_every_input_is_in_one_bucket_that_fits(lengths) -> None:
    buckets = list(length_buckets(lengths, CPU))
    assert sorted(i for bucket in buckets for i in bucket) == list(range(len(lengths)))
    for bucket in buckets:
        tokens = [lengths[i] for i in bucket]
        assert len(bucket) == 1 or sum(tokens) <= BATCH_TOKENS["cpu"]
        assert tokens == sorted(tokens, reverse=True)
    # The next input would not have fitted.
    for bucket, after in pairwise(buckets):
        assert sum(lengths[i] for i in bucket) + lengths[after[0]] > BATCH_TOKENS["cpu"]


def test_a_bucket_that_is_just_full_takes_no_more() -> None:
    half = BATCH_TOKENS["cpu"] // 2
    assert list(length_buckets([half, half], CPU)) == [[0, 1]]
    # One token too many: the longer goes first, alone.
    assert list(length_buckets([half, half + 1], CPU)) == [[1], [0]]


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_threads_are_given_back(threads) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        made = parallel_map(lambda n: (n * n, torch.is_inference_mode_enabled()), range(9), CPU)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert made == [(n * n, True) for n in range(9)]


def test_an_error_gives_the_threads_back_too() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            parallel_map(lambda n: 1 // n, [1, 0], CPU)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
