"""What attends to what in packed rows: a dense mask for SDPA, a block mask for FlexAttention.

Both are of one rule (data/packed.py): a query attends to keys of its own input, as far as its role
allows and, in layers with a sliding window, within the window. Inputs lie in one piece, so that a
distance in the row is a distance in the input.
"""

from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask
from transformers import AttentionInterface
from transformers.integrations.flex_attention import flex_attention_forward

from bitextile.trainer.data.packed import Packed

varlen_attn: Any
try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # torch < 2.10
    varlen_attn = None

BLOCK = 128
"""Tokens of a block of FlexAttention's mask, its default; rows are a multiple of it wide."""

PACKED = "bitextile_packed"
"""The attention of transformers' models under FlexAttention: `packed_attention`."""


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: BlockMask | None,
    *,
    boundaries: torch.Tensor | None = None,
    longest: int = 0,
    **options: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attends within the inputs of packed rows, as transformers calls it.

    Args:
        module: the layer's attention.
        query: [R, heads, W, D].
        key: likewise.
        value: likewise.
        attention_mask: for FlexAttention; None with boundaries.
        boundaries: for the kernel of sequences one behind the other, as in `Packed`.
        longest: as in `Packed`.
        **options: of transformers, such as `scaling`.

    Returns:
        [R, W, heads, D], and None for the weights.
    """
    if boundaries is None:
        return flex_attention_forward(module, query, key, value, attention_mask, **options)
    # Views: the projections are [R, W, heads x D].
    flat = [x.transpose(1, 2).flatten(0, 1) for x in (query, key, value)]
    out = varlen_attn(*flat, boundaries, boundaries, longest, longest)
    return out.view(query.shape[0], query.shape[2], query.shape[1], query.shape[3]), None


AttentionInterface.register(PACKED, packed_attention)


def has_varlen(packed: Packed) -> bool:
    """Returns whether rows can be computed by the kernel of sequences one behind the other.

    FlexAttention computes blocks of 128 x 128 tokens, of which sentences fill a part: 14 % of a
    compiled step (H200, base geometry). That kernel computes each sentence alone; it knows no
    roles, and no float32.
    """
    return (
        varlen_attn is not None
        and packed.boundaries is not None
        and len(packed.visibility) == 1
        and packed.inputs.is_cuda
        and torch.is_autocast_enabled("cuda")
    )


def round_up(tokens: int) -> int:
    """Returns the least multiple of BLOCK that is at least `tokens`, and at least one block.

    >>> round_up(0), round_up(129)
    (128, 256)
    """
    return max(1, -(-tokens // BLOCK)) * BLOCK


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
    """Returns the same as a FlexAttention block mask, but that padding sees its own block only.

    Args:
        packed: the rows.
        window: largest distance attended to; None for any.
    """
    first, last = _bounds(packed.groups)
    roles, visibility = packed.attention_roles, packed.visibility
    one_role = len(visibility) == 1

    # Called under vmap on index tensors: look-ups and comparisons only, no branch on their values
    # (`one_role` and `window` are plain values). Each look-up costs the kernel a load per pair of
    # tokens, so that a table of one role is not asked.
    def visible(b: Any, h: Any, q: Any, k: Any) -> Any:
        seen = first[b, q] == first[b, k]
        if not one_role:
            seen = seen & visibility[roles[b, q], roles[b, k]]
        return seen if window is None else seen & ((q - k).abs() <= window)

    # `create_block_mask` would evaluate the rule for all W x W pairs. An input lies in one piece:
    # what a block of queries attends to begins with the input of its first token and ends with
    # that of its last.
    #
    #     blocks      |  0  |  1  |  2  |  3  |
    #     inputs      |aaabb|bbbbb|bbccc|ddddd|
    #     keys of 1            from 0 (b begins there) to 2 (b ends there)
    start, stop = first[:, ::BLOCK], last[:, BLOCK - 1 :: BLOCK]
    if window is not None:
        begin = torch.arange(0, first.shape[1], BLOCK, device=first.device)
        start = torch.maximum(start, begin - window)
        stop = torch.minimum(stop, begin + BLOCK - 1 + window)
    start, stop = start.clamp(min=0) // BLOCK, stop.clamp(max=first.shape[1] - 1) // BLOCK
    n_blocks = start.shape[1]
    steps = torch.arange(n_blocks, device=first.device)
    keys = (start[:, :, None] + steps).clamp(max=n_blocks - 1)
    return BlockMask.from_kv_blocks(
        (stop - start + 1)[:, None].int(),
        keys[:, None].int(),
        BLOCK_SIZE=BLOCK,
        mask_mod=visible,
    )


def _bounds(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns [R, W] the column of the first and of the last token of each token's input.

    Padding counts as an input per block of the mask, so that it costs next to nothing.
    """
    width = groups.shape[1]
    if width % BLOCK:
        raise ValueError(f"rows are {width} tokens wide, expected a multiple of {BLOCK}")
    column = torch.arange(width, device=groups.device)
    begins = torch.ones_like(groups, dtype=torch.bool)
    begins[:, 1:] = groups[:, 1:] != groups[:, :-1]
    begins |= (groups == 0) & (column % BLOCK == 0)
    ends = begins.roll(-1, dims=1)
    ends[:, -1] = True
    first = torch.where(begins, column, 0).cummax(dim=1).values
    last = torch.where(ends, column, width - 1).flip(1).cummin(dim=1).values.flip(1)
    return first, last
