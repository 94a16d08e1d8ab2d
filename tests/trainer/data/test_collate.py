"""Masking and packing change nothing but what is shown and where it lies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.data.collate import Collation, collate, collate_plain, select
from bitextile.trainer.data.examples import Example, Input
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.packed import Layout
from toy_examples import example, sequence

MASKING = Masking(rate=0.4, mask=4, ordinary=np.arange(5, 50, dtype=np.int32), seed=2)
COLLATION = Collation(masking=MASKING, pad=1, width=48)


def of_input(batch, index: int) -> tuple[list[int], list[int], list[int]]:
    """What the model sees of an input, which of its positions are predicted, and their targets."""
    groups = batch.packed.groups.flatten()
    start = int(batch.packed.starts[index])
    mine = groups[batch.predicted] == index + 1
    return (
        batch.packed.inputs.flatten()[groups == index + 1].tolist(),
        (batch.predicted[mine] - start).tolist(),
        batch.targets[mine].tolist(),
    )


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 20), st.integers(0, 2)), min_size=2, max_size=8),
    st.randoms(),
)
def test_an_input_is_the_same_alone_and_packed_in_any_order(drawn, random):
    examples = [example(i, n, epoch=epoch) for i, (n, epoch) in enumerate(drawn)]
    alone = {e.record: of_input(collate([e], COLLATION), 0) for e in examples}
    random.shuffle(examples)
    batch = collate(examples, COLLATION)
    for index, e in enumerate(examples):
        assert of_input(batch, index) == alone[e.record]
    assert batch.packed.n_tokens == sum(n for n, _ in drawn)
    assert len(batch.predicted) == sum(len(targets) for _, _, targets in alone.values())


def test_padding_is_neither_shown_nor_predicted():
    batch = collate([example(i, 5 + i) for i in range(9)], COLLATION)
    padding = batch.packed.groups == 0
    assert padding.any()
    assert (batch.packed.inputs[padding] == 1).all()
    assert not padding.flatten()[batch.predicted].any()


def test_targets_are_what_stood_there():
    e = example(3, 30)
    batch = collate([e], COLLATION)
    assert len(batch.targets) > 0
    assert batch.targets.tolist() == e.inputs[0].tokens[batch.predicted.numpy()].tolist()


def test_only_predicted_positions_are_changed():
    e = example(3, 40)
    batch = collate([e], COLLATION)
    shown = batch.packed.inputs.flatten()[:40].numpy()
    changed = np.flatnonzero(shown != e.inputs[0].tokens)
    assert 0 < len(changed) < len(batch.predicted)
    assert set(changed) <= set(batch.predicted.tolist())


def split_at(e: Example, *places: int) -> Example:
    """The same text, its input split in several, each with special tokens of its own."""
    whole = e.inputs[0]
    parts = np.split(np.arange(1, len(whole.tokens) - 1), places)
    inputs = []
    for part in parts:
        tokens = np.concatenate([whole.tokens[:1], whole.tokens[part], whole.tokens[-1:]])
        maskable = np.concatenate([[False], whole.maskable[part], [False]])
        inputs.append(Input(tokens, maskable, np.zeros(len(tokens), np.int8), ("en",)))
    return Example(e.record, e.key, e.epoch, tuple(inputs))


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 46), st.lists(st.integers(1, 8), max_size=4, unique=True))
def test_a_text_is_masked_alike_however_it_was_split(length, places):
    whole, other = example(7, length), example(8, 12)
    one = collate([other, whole], COLLATION)
    several = collate([other, split_at(whole, *sorted(places))], COLLATION)
    # Behind another example, whose length must not shift its draws.
    shown, _, targets = of_input(one, 1)
    pieces = [of_input(several, 1 + i) for i in range(len(places) + 1)]
    assert [t for piece, _, _ in pieces for t in piece[1:-1]] == shown[1:-1]
    assert [t for _, _, piece in pieces for t in piece] == targets


def test_parts_of_an_example_do_not_shift_the_next():
    one = collate([example(7, 20, 20), example(1, 12)], COLLATION)
    alone = collate([example(1, 12)], COLLATION)
    assert of_input(one, 2) == of_input(alone, 0)


def test_selection_tells_examples_apart():
    selection = select([example(1, 4, 3), example(2, 5)], MASKING)
    assert selection.example.tolist() == [0] * 7 + [1] * 5
    assert selection.flat.owner.tolist() == [0] * 4 + [1] * 3 + [2] * 5
    assert selection.flat.positions.tolist() == [*range(4), *range(3), *range(5)]


def test_plain_rows_hold_the_tokens_as_they_are():
    inputs = [sequence(i, 6 + i) for i in range(5)]
    packed = collate_plain(inputs, COLLATION)
    for i, one in enumerate(inputs):
        at = packed.groups.flatten() == i + 1
        assert packed.inputs.flatten()[at].tolist() == one.tokens.tolist()


def test_packed_rows_leave_little_padding():
    lengths = [5 + (i * 37) % 40 for i in range(120)]
    for layout in (Layout.NARROW, Layout.FIXED):
        batch = collate(
            [example(i, n) for i, n in enumerate(lengths)],
            Collation(masking=MASKING, pad=1, width=256, layout=layout),
        )
        padding = 1 - batch.packed.n_tokens / batch.packed.inputs.numel()
        assert batch.packed.inputs.shape[1] == 256 or layout is Layout.NARROW
        # A padded batch of these lengths would be nearly half padding (5 to 44 tokens in rows of
        # 44).
        assert padding == pytest.approx(0.05, abs=0.05)


def test_a_batch_moves_whole():
    batch = collate([example(1, 8)], COLLATION).to(torch.device("meta"))
    assert batch.predicted.device.type == batch.packed.inputs.device.type == "meta"
    assert batch.packs == (batch.packed,)
