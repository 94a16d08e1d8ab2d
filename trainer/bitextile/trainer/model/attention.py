"""Who sees whom in packed rows: a dense mask for SDPA, a block mask for FlexAttention.

Both say the same (`Packed` on top of data/packed.py): a query sees a key of its own input, as far
as its role allows and, in layers with a sliding window, within the window. Inputs lie in one piece,
so that a distance in the row is a distance in the input.
"""

from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from bitextile.trainer.data.packed import Packed


def dense_mask(packed: Packed, *, window: int | None = None) -> torch.Tensor:
    """Returns [R, 1, W, W] bool, True where the query (third axis) sees the key (fourth).

    Args:
        packed: the rows. Padding sees padding, so that no softmax is over nothing.
        window: largest distance seen; None for any.
    """
    sees = packed.groups[:, :, None] == packed.groups[:, None, :]
    if len(packed.sees) > 1:
        sees = sees & packed.sees[packed.roles[:, :, None], packed.roles[:, None, :]]
    if window is not None:
        place = torch.arange(sees.shape[-1], device=sees.device)
        sees = sees & ((place[:, None] - place[None, :]).abs() <= window)
    return sees[:, None]


def block_mask(packed: Packed, *, window: int | None = None) -> BlockMask:
    """Returns the same as a FlexAttention block mask; arguments as in `dense_mask`."""
    groups, roles, sees = packed.groups, packed.roles, packed.sees

    def visible(b: Any, h: Any, q: Any, k: Any) -> Any:
        seen = (groups[b, q] == groups[b, k]) & sees[roles[b, q], roles[b, k]]
        return seen if window is None else seen & ((q - k).abs() <= window)

    rows, width = groups.shape
    return create_block_mask(visible, rows, None, width, width, device=groups.device)
