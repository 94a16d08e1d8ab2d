"""Gradients of all ranks: summed, measured, clipped."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from bitextile.trainer.ranks import Ranks


def add_up(parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
    """Replaces the gradients of this rank by their sum over ranks, those of sharded ones excepted.

    Those that some rank has not, but another one has, count as zero there; those that none has
    stay None, so that AdamW passes them over as it does in a single process.

    Args:
        parameters: the same on every rank; FSDP has summed the gradients of those it shards.
        ranks: the processes.
    """
    if ranks.size == 1:
        return
    ours = [p for p in parameters if not isinstance(p, DTensor)]
    has = torch.tensor([p.grad is not None for p in ours], dtype=torch.int32)
    ranks.add_up([has])
    used = [p for p, n in zip(ours, has.tolist()) if n]
    for parameter in used:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    ranks.add_up([p.grad for p in used if p.grad is not None])


def clip(parameters: Sequence[nn.Parameter], limit: float) -> float:
    """Scales gradients down to a norm of at most `limit` and returns what it was.

    Args:
        parameters: with gradients, sharded ones among them or not.
        limit: largest norm; 0 leaves all as it is.

    Returns:
        The Euclidean norm over all parameters, whole.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = math.hypot(*(_norm(g) for g in _alike(gradients)))
    if limit and norm > limit:
        # As torch.nn.utils.clip_grad_norm_ has it, epsilon included.
        for gradient in gradients:
            gradient.mul_(limit / (norm + 1e-6))
    return norm


def _alike(gradients: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Returns sharded and whole gradients apart: one norm cannot be taken over both."""
    return [
        [g for g in gradients if isinstance(g, DTensor) == sharded] for sharded in (True, False)
    ]


def _norm(gradients: list[torch.Tensor]) -> float:
    if not gradients:
        return 0.0
    norm = torch.nn.utils.get_total_norm(gradients)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
