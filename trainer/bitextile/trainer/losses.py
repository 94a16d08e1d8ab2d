"""Losses as pure functions of tensors: each returns a sum and the weight to divide it by.

Nothing is averaged here. The loop divides once, by the weight over all micro-batches of a step,
so that a loss does not depend on how a batch was split.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

IGNORE = -100
"""The target of a position that is not predicted, as everywhere in torch."""


@dataclass(frozen=True)
class LossSum:
    """A sum of losses and its weight, the number of terms in it; parts add up under `+`.

    Attributes:
        total: scalar, float32 (float64 if the inputs were), with its graph; nats.
        weight: scalar, how many positions or pairs `total` sums over.
    """

    total: torch.Tensor
    weight: torch.Tensor

    def __add__(self, other: "LossSum") -> "LossSum":
        return LossSum(self.total + other.total, self.weight + other.weight)

    def mean(self) -> torch.Tensor:
        """Returns total / weight; 0 where the weight is 0, never NaN."""
        # A clamp, not a branch: reading `weight` would make the CPU wait for the GPU.
        return self.total / self.weight.clamp(min=1)


def masked_lm(logits: torch.Tensor, targets: torch.Tensor, *, ignore: int = IGNORE) -> LossSum:
    """Returns the negative log likelihood of the targets, summed over predicted positions.

    Args:
        logits: [..., vocabulary], any float; computed in float32 at least.
        targets: [...] ids, `ignore` where nothing is predicted.
        ignore: that value.

    Returns:
        sum over positions of `-log softmax(logits)[target]`, and the number of them. Without any,
        both are 0.

    Source: BERT (Devlin et al. 2019), section 3.1.

    >>> two = masked_lm(torch.zeros(3, 4), torch.tensor([1, IGNORE, 2]))
    >>> round(float(two.total), 4), int(two.weight)  # 2 log 4
    (2.7726, 2)
    """
    flat = logits.reshape(-1, logits.shape[-1])
    # bf16 has 8 bits of precision, too few for a sum over thousands of positions.
    flat = flat if flat.dtype == torch.float64 else flat.float()
    wanted = targets.reshape(-1)
    # cross_entropy takes each row's maximum off before it exponentiates, so logits of 1e4 are as
    # good as small ones.
    total = cross_entropy(flat, wanted, ignore_index=ignore, reduction="sum")
    return LossSum(total, (wanted != ignore).sum())
