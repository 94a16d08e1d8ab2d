"""Packed rows hold every input once, whole and apart."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.errors import InputError
from bitextile.trainer.data.examples import Input
from bitextile.trainer.data.packed import (
    Layout,
    Packed,
    flatten,
    language_ids,
    map_tensors,
    pack_inputs,
)

PAD = 1
lengths_of_inputs = st.lists(st.integers(1, 30), min_size=1, max_size=25)


def sequence(number: int, length: int) -> Input:
    tokens = (5 + (number * 7 + np.arange(length)) % 45).astype(np.int32)
    sides = (np.arange(length) >= length // 2).astype(np.int8)
    return Input(tokens, np.ones(length, bool), sides, ("en", "ar"))


def unpacked(packed: Packed, grid: torch.Tensor) -> list[list[int]]:
    """The values of each input, found by its group alone."""
    groups, values = packed.groups.flatten(), grid.flatten()
    return [values[groups == g + 1].tolist() for g in range(int(groups.max()))]


def test_three_inputs_by_hand():
    flat = flatten([sequence(0, 4), sequence(1, 3), sequence(2, 2)])
    packed, places = pack_inputs(flat, flat.tokens, width=7, pad=PAD, layout=Layout.FIXED)
    # Longest first: the first and the second fill one row, the third begins another.
    assert packed.inputs.tolist() == [[5, 6, 7, 8, 12, 13, 14], [19, 20, 1, 1, 1, 1, 1]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2], [0, 1, 0, 0, 0, 0, 0]]
    assert packed.groups.tolist() == [[1, 1, 1, 1, 2, 2, 2], [3, 3, 0, 0, 0, 0, 0]]
    assert places.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert (packed.starts.tolist(), packed.n_tokens) == ([0, 4, 7], 9)
    assert packed.languages is None


@settings(max_examples=40, deadline=None)
@given(lengths_of_inputs, st.integers(30, 80), st.sampled_from(Layout))
def test_unpacking_gives_the_inputs(lengths, width, layout):
    inputs = [sequence(i, n) for i, n in enumerate(lengths)]
    flat = flatten(inputs)
    roles = np.arange(len(flat.tokens)) % 3
    packed, places = pack_inputs(
        flat,
        flat.tokens,
        width=width,
        pad=PAD,
        layout=layout,
        attention_roles=roles,
        visibility=((True,) * 3,) * 3,
    )
    assert unpacked(packed, packed.inputs) == [i.tokens.tolist() for i in inputs]
    assert unpacked(packed, packed.positions) == [list(range(n)) for n in lengths]
    assert packed.inputs.flatten()[torch.from_numpy(places)].tolist() == flat.tokens.tolist()
    assert packed.attention_roles.flatten()[torch.from_numpy(places)].tolist() == roles.tolist()
    padding = packed.groups == 0
    assert int((~padding).sum()) == packed.n_tokens == sum(lengths)
    assert (packed.inputs[padding] == PAD).all()
    assert not packed.positions[padding].any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=25), st.integers(1, 1000))
def test_boundaries_hold_each_input_and_cut_padding_up(lengths, width):
    flat = flatten([sequence(i, n) for i, n in enumerate(lengths)])
    packed, _ = pack_inputs(flat, flat.tokens, width=width, pad=PAD, layout=Layout.ONE_ROW)
    assert packed.boundaries is not None
    bounds = packed.boundaries.tolist()
    assert bounds[: len(lengths) + 1] == [0, *np.cumsum(lengths)]
    assert bounds[-1] == packed.inputs.numel()
    steps = np.diff(bounds)
    assert (steps > 0).all()
    assert steps.max() <= packed.longest < steps.max() + 256


@settings(max_examples=40, deadline=None)
@given(lengths_of_inputs, st.integers(30, 80), st.sampled_from(Layout))
def test_inputs_lie_in_one_piece_within_a_row(lengths, width, layout):
    flat = flatten([sequence(i, n) for i, n in enumerate(lengths)])
    packed, places = pack_inputs(flat, flat.tokens, width=width, pad=PAD, layout=layout)
    columns = packed.inputs.shape[1]
    if layout is Layout.ONE_ROW:
        assert len(packed.inputs) == 1
        assert columns % width == 0
        assert columns - width < packed.n_tokens <= columns
    else:
        assert columns == width if layout is Layout.FIXED else columns <= width
    for i, (start, n) in enumerate(zip(packed.starts.tolist(), lengths)):
        mine = places[flat.owner == i]
        assert mine.tolist() == list(range(start, start + n))
        assert start // columns == (start + n - 1) // columns
    # Without padding rows: each holds an input.
    assert (packed.groups > 0).any(dim=1).all()


def test_languages_follow_the_sides():
    inputs = [sequence(0, 4), Input(np.arange(3), np.ones(3, bool), np.zeros(3, np.int8), ("fr",))]
    flat = flatten(inputs)
    index = {"ar": 0, "en": 1, "fr": 2}
    assert language_ids(inputs, flat, index).tolist() == [1, 1, 0, 0, 2, 2, 2]
    assert language_ids(inputs, flat, None) is None
    packed, places = pack_inputs(
        flat, flat.tokens, width=8, pad=PAD, languages=language_ids(inputs, flat, index)
    )
    assert packed.languages.flatten()[torch.from_numpy(places)].tolist() == [1, 1, 0, 0, 2, 2, 2]


def test_an_input_longer_than_a_row_is_refused():
    flat = flatten([sequence(0, 9)])
    with pytest.raises(InputError, match="expected 1 to 8"):
        pack_inputs(flat, flat.tokens, width=8, pad=PAD)


def test_moving_reaches_every_tensor_and_nothing_else():
    flat = flatten([sequence(0, 4), sequence(1, 3)])
    packed, _ = pack_inputs(flat, flat.tokens, width=7, pad=PAD)
    meta = map_tensors(packed, lambda tensor: tensor.to("meta"))
    names = [n for n, v in vars(packed).items() if isinstance(v, torch.Tensor)]
    assert {n for n in names if getattr(meta, n).device.type == "meta"} == set(names)
    # All but `languages`, which is None, and the count of tokens.
    assert len(names) == 6
    assert (meta.n_tokens, meta.languages) == (7, None)
