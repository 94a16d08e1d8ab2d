"""Packed rows: several inputs in one row of a batch, none of which sees another.

    inputs      <s> das Haus </s>  <s> a house </s>  <s> ja </s>  <pad>      one row, width 12
    groups       1   1   1    1     2  2   2    2     3  3   3     0         0 is padding
    positions    0   1   2    3     0  1   2    3     0  1   2     0         restart per input
    roles        0   0   0    0     0  0   0    0     0  0   0     0         see below

Query q attends to key k where both are of one group and `visibility[role of q, role of k]`. Full
attention has one role; objectives that hide positions from each other (CAMLM) give each position an
attention role, and a table of which role attends to which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import torch

from bitextile.kernels.arrays import I8, I32, I64, Bool
from bitextile.kernels.packing import Placement, pack, pack_narrow, pack_one
from bitextile.trainer.data.examples import Input

FULL = ((True,),)
"""Visibility of full attention: one role, which attends to itself."""

Visibility = Sequence[Sequence[bool]]


class Layout(Enum):
    """How inputs are laid out in rows."""

    NARROW = "narrow"
    """Few rows, as narrow as their number allows: least padding for a dense mask."""
    FIXED = "fixed"
    """Few rows of exactly the given width, for compiled models."""
    ONE_ROW = "one row"
    """All in one row, a multiple of the given width: for FlexAttention, which skips what no input
    shares. Micro-batches of one token budget have one shape, so that a kernel is compiled once."""


@dataclass(frozen=True)
class Packed:
    """Rows of packed inputs, ready for the encoder.

    Attributes:
        inputs: [R, W] int64 ids, masked.
        positions: [R, W] int64, from 0 in each input; 0 on padding.
        groups: [R, W] int32, 1 + index of the input; 0 on padding.
        attention_roles: [R, W] int64 index into `visibility`.
        visibility: [roles, roles] bool, True where a query's role attends to a key's.
        languages: [R, W] int64 index of the language embedding, or None.
        starts: [n] int64 flat index r * W + w of the first token of each input.
        n_tokens: useful tokens, special ones included.
        boundaries: [n + 1] int32, ascending: where inputs begin in the one row of `ONE_ROW`, its
            padding cut into several, and its width; None with other layouts.
        longest: at least the most tokens between two boundaries; 0 without them.
    """

    inputs: torch.Tensor
    positions: torch.Tensor
    groups: torch.Tensor
    attention_roles: torch.Tensor
    visibility: torch.Tensor
    languages: torch.Tensor | None
    starts: torch.Tensor
    n_tokens: int
    boundaries: torch.Tensor | None = None
    longest: int = 0


@dataclass(frozen=True)
class Flat:
    """Inputs one behind the other.

    Attributes:
        tokens: [n] ids.
        maskable: [n] True where a position may be selected.
        sides: [n] 0 or 1, which sentence of its input.
        owner: [n] index of the input.
        positions: [n] within the input.
        lengths: [inputs].
    """

    tokens: I32
    maskable: Bool
    sides: I8
    owner: I64
    positions: I32
    lengths: I64


def flatten(inputs: Sequence[Input]) -> Flat:
    """Returns inputs, at least one, one behind the other."""
    lengths = np.asarray([len(i.tokens) for i in inputs], np.int64)
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(inputs)), lengths)
    positions = (np.arange(ends[-1]) - (ends - lengths)[owner]).astype(np.int32)
    return Flat(
        np.concatenate([i.tokens for i in inputs]),
        np.concatenate([i.maskable for i in inputs]),
        np.concatenate([i.sides for i in inputs]),
        owner,
        positions,
        lengths,
    )


def pack_inputs(
    flat: Flat,
    shown: I32,
    *,
    width: int,
    pad: int,
    layout: Layout = Layout.NARROW,
    attention_roles: np.ndarray | None = None,
    visibility: Visibility = FULL,
    languages: np.ndarray | None = None,
    position_ids: np.ndarray | None = None,
) -> tuple[Packed, I64]:
    """Packs inputs into rows.

    Args:
        flat: the inputs.
        shown: [n] what the model sees of `flat.tokens`.
        width: most tokens of a row, at least the longest input; with `ONE_ROW` what the width of
            the row is a multiple of.
        pad: id of the padding token.
        layout: of the rows.
        attention_roles: [n] index into `visibility`; None for 0 everywhere.
        visibility: [roles, roles], by query and key.
        languages: [n] index of the language embedding; None without such embeddings.
        position_ids: [n] positions that the model is told; None for those in the input.

    Returns:
        The rows, and [n] the flat index r * W + w of each element of `flat`.
    """
    placed = _place(flat.lengths, width, layout)
    starts = placed.rows * placed.width + placed.starts
    flat_indices = starts[flat.owner] + flat.positions

    def grid(values: np.ndarray | int, fill: int, dtype: type) -> torch.Tensor:
        rows: np.ndarray = np.full(placed.n_rows * placed.width, fill, dtype)
        rows[flat_indices] = values
        return torch.from_numpy(rows.reshape(placed.n_rows, placed.width))

    packed = Packed(
        inputs=grid(shown, pad, np.int64),
        positions=grid(flat.positions if position_ids is None else position_ids, 0, np.int64),
        groups=grid(flat.owner + 1, 0, np.int32),
        attention_roles=grid(0 if attention_roles is None else attention_roles, 0, np.int64),
        visibility=torch.tensor(visibility, dtype=torch.bool),
        languages=None if languages is None else grid(languages, 0, np.int64),
        starts=torch.from_numpy(starts),
        n_tokens=int(flat.lengths.sum()),
    )
    if layout is Layout.ONE_ROW:
        boundaries, longest = _boundaries(flat.lengths, placed.width)
        packed = replace(packed, boundaries=torch.from_numpy(boundaries), longest=longest)
    return packed, flat_indices


def side_positions(flat: Flat) -> I32:
    """Returns [n] the position of each element within its sentence: 0 where a new one begins."""
    starts = np.cumsum(flat.lengths) - flat.lengths
    first = np.bincount(flat.owner, flat.sides == 0, len(flat.lengths)).astype(np.int64)
    # Of an element of side 1: what its own side 0 has, [CLS] and separator included.
    inside = np.arange(len(flat.owner)) - starts[flat.owner]
    return (inside - np.where(flat.sides == 1, first[flat.owner], 0)).astype(np.int32)


_SEGMENT = 128
"""Tokens of a piece of padding, and what `longest` is a multiple of: compiled code asks for few
values of it."""


def _boundaries(lengths: I64, width: int) -> tuple[I32, int]:
    """Returns where inputs and pieces of padding begin in one row, and what none is longer than."""
    ends = np.cumsum(lengths)
    padding = np.arange(ends[-1] + _SEGMENT, width, _SEGMENT)
    last = [width] if width > ends[-1] else []
    longest = -(-int(lengths.max()) // _SEGMENT) * _SEGMENT
    return np.concatenate([[0], ends, padding, last]).astype(np.int32), longest


def _place(lengths: I64, width: int, layout: Layout) -> Placement:
    if layout is Layout.ONE_ROW:
        return pack_one(lengths, multiple=width)
    return (pack if layout is Layout.FIXED else pack_narrow)(lengths, width=width)


def language_ids(
    inputs: Sequence[Input], flat: Flat, index: Mapping[str, int] | None
) -> np.ndarray | None:
    """Returns [n] the index of each element's language; None without an index."""
    if index is None:
        return None
    # A single sentence has one language, and side 1 of it does not occur.
    by_side = np.asarray([[index[i.languages[0]], index[i.languages[-1]]] for i in inputs])
    return by_side[flat.owner, flat.sides]


def map_tensors(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Returns a dataclass with `function` applied to all its tensors, also in inner dataclasses."""
    if isinstance(value, torch.Tensor):
        return function(value)
    # Through dataclasses only: no batch keeps tensors in a list or a tuple.
    if hasattr(value, "__dataclass_fields__"):
        parts = {
            name: map_tensors(getattr(value, name), function) for name in value.__dataclass_fields__
        }
        return type(value)(**parts)
    return value
