"""What attends to what in packed rows: a dense mask for SDPA, a block mask for FlexAttention.

Both are of one rule (data/packed.py): a query attends to keys of its own input, as far as its role
allows and, in layers with a sliding window, within the window. Inputs lie in one piece, so that a
distance in the row is a distance in the input.
"""

from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from bitextile.trainer.data.packed import Packed


def dense_mask(packed: Packed, *, window: int | None = None) -> torch.Tensor:
    """Returns [R, 1, W, W] bool, True where the query (third axis) attends to the key (fourth).

    Args:
        packed: the rows. Padding attends to padding, so that no softmax is over nothing.
        window: largest distance attended to; None for any.
    """
    allowed = packed.groups[:, :, None] == packed.groups[:, None, :]
    # With one role the table is all True: the look-up would cost another [R, W, W].
    if len(packed.visibility) > 1:
        allowed = (
            allowed
            & packed.visibility[
                packed.attention_roles[:, :, None], packed.attention_roles[:, None, :]
            ]
        )
    if window is not None:
        position = torch.arange(allowed.shape[-1], device=allowed.device)
        allowed = allowed & ((position[:, None] - position[None, :]).abs() <= window)
    return allowed[:, None]


def block_mask(packed: Packed, *, window: int | None = None) -> BlockMask:
    """Returns the same as a FlexAttention block mask; arguments as in `dense_mask`."""
    groups, roles, visibility = packed.groups, packed.attention_roles, packed.visibility

    # Called under vmap on index tensors: look-ups and comparisons only, no branch on their values
    # (`window` is a plain number).
    def visible(b: Any, h: Any, q: Any, k: Any) -> Any:
        seen = (groups[b, q] == groups[b, k]) & visibility[roles[b, q], roles[b, k]]
        return seen if window is None else seen & ((q - k).abs() <= window)

    # No heads (None): all share the mask. Made anew for each batch, as inputs lie elsewhere.
    rows, width = groups.shape
    return create_block_mask(visible, rows, None, width, width, device=groups.device)
