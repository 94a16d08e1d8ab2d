"""Padding and grouping change nothing but the shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.data.collate import collate, group_by_length
from bitextile.trainer.data.examples import Example, SubwordLinks
from bitextile.trainer.data.masking import Masking

MASKING = Masking(rate=0.4, mask=4, ordinary=np.arange(5, 50, dtype=np.int32), seed=2)


def example(number: int, length: int, links: SubwordLinks | None = None) -> Example:
    tokens = (5 + (number * 7 + np.arange(length)) % 45).astype(np.int32)
    maskable = np.ones(length, bool)
    maskable[[0, -1]] = False
    return Example(f"r{number}", np.uint64(number * 977 + 5), 0, tokens, maskable, 0, links)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=30))
def test_groups_hold_every_example_once_within_their_room(lengths):
    examples = [example(i, n) for i, n in enumerate(lengths)]
    groups = group_by_length(examples, groups=4)
    assert sorted(e.record for g in groups for e in g) == sorted(e.record for e in examples)
    for group in groups:
        assert len(group) == 1 or len(group) * len(group[0].tokens) <= sum(lengths) / 4
        assert [len(e.tokens) for e in group] == sorted(
            (len(e.tokens) for e in group), reverse=True
        )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(2, 20), min_size=2, max_size=8))
def test_a_row_is_the_same_alone_and_padded(lengths):
    examples = [example(i, n) for i, n in enumerate(lengths)]
    batch = collate(examples, masking=MASKING, pad=1)
    width = batch.inputs.shape[1]
    for row, e in enumerate(examples):
        alone = collate([e], masking=MASKING, pad=1)
        n = len(e.tokens)
        assert batch.inputs[row, :n].tolist() == alone.inputs[0].tolist()
        assert (batch.inputs[row, n:] == 1).all()
        assert batch.attention[row].tolist() == [1] * n + [0] * (width - n)
        mine = batch.predicted // width == row
        assert (batch.predicted[mine] % width).tolist() == alone.predicted.tolist()
        assert batch.targets[mine].tolist() == alone.targets.tolist()
    assert batch.n_tokens == sum(lengths)


def test_targets_are_what_stood_there():
    e = example(3, 30)
    batch = collate([e], masking=MASKING, pad=1)
    assert len(batch.targets) > 0
    assert batch.targets.tolist() == e.tokens[batch.predicted.numpy()].tolist()


def test_links_are_kept_for_predicted_positions_and_shifted_to_their_row():
    links = SubwordLinks(
        np.arange(1, 9, dtype=np.int32), np.arange(8, 0, -1, dtype=np.int32), np.ones(8, np.float32)
    )
    examples = [example(1, 10, links), example(2, 10, links)]
    batch = collate(examples, masking=MASKING, pad=1)
    received = batch.predicted[batch.exchange.rows]
    assert received.tolist() == batch.predicted.tolist()
    for position, gives in zip(received.tolist(), batch.exchange.columns.tolist()):
        assert position // 10 == gives // 10
        assert position % 10 + gives % 10 == 9


def test_an_example_without_links_makes_no_exchange():
    assert collate([example(1, 5)], masking=MASKING, pad=1).exchange is None


def test_sorted_groups_leave_little_padding():
    lengths = [5 + (i * 37) % 60 for i in range(120)]
    groups = group_by_length([example(i, n) for i, n in enumerate(lengths)])
    padded = sum(len(g) * len(g[0].tokens) for g in groups)
    assert 1 - sum(lengths) / padded == pytest.approx(0.1, abs=0.1)
