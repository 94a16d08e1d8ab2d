"""From examples to tensors: masked, grouped by length, padded. A pure function of its input."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.masking import Masking, mask_tokens

GROUPS = 4
"""A micro-batch, sorted by length, is computed in about so many padded groups: with lengths as
in Tatoeba and multi30k that leaves some 10 % padding instead of 60 %."""


@dataclass(frozen=True)
class WordExchange:
    """Which last-layer vectors a predicted position takes its exchanged vector from.

    Attributes:
        rows: [e] int64 index into the predicted positions.
        columns: [e] int64 flat position in the batch, b * L + l.
        weights: [e] float32; those of one row add up to 1.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """One padded group, ready for the model.

    Attributes:
        inputs: [B, L] int64 ids, masked, padding last.
        attention: [B, L] int64, 1 on tokens, 0 on padding.
        predicted: [M] int64 flat positions b * L + l to predict.
        targets: [M] int64 the ids that stood there.
        exchange: for weam.
        records: ids of the B rows, for messages.
        n_tokens: useful tokens, special ones included.
    """

    inputs: torch.Tensor
    attention: torch.Tensor
    predicted: torch.Tensor
    targets: torch.Tensor
    exchange: WordExchange | None
    records: tuple[str, ...]
    n_tokens: int

    def to(self, device: torch.device) -> "Batch":
        """Returns the batch on a device."""

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(device, non_blocking=True)

        exchange = self.exchange
        if exchange is not None:
            exchange = WordExchange(
                move(exchange.rows), move(exchange.columns), move(exchange.weights)
            )
        return replace(
            self,
            inputs=move(self.inputs),
            attention=move(self.attention),
            predicted=move(self.predicted),
            targets=move(self.targets),
            exchange=exchange,
        )


def group_by_length(examples: Sequence[Example], *, groups: int = GROUPS) -> list[list[Example]]:
    """Deals examples, longest first, into groups of about equal padded size.

    Args:
        examples: a micro-batch.
        groups: how many, about.

    Returns:
        Non-empty groups; each, padded to its longest, holds at most 1/`groups` of the useful
        tokens, or one example.
    """
    room = sum(len(e.tokens) for e in examples) / groups
    dealt: list[list[Example]] = []
    for example in sorted(examples, key=lambda e: (-len(e.tokens), e.record)):
        if dealt and (len(dealt[-1]) + 1) * len(dealt[-1][0].tokens) <= room:
            dealt[-1].append(example)
        else:
            dealt.append([example])
    return dealt


def collate(examples: Sequence[Example], *, masking: Masking, pad: int) -> Batch:
    """Masks and pads a group of examples.

    Args:
        examples: [B], at least one.
        masking: how positions are selected.
        pad: id of the padding token.
    """
    lengths = np.asarray([len(e.tokens) for e in examples])
    width = int(lengths.max())
    row = np.repeat(np.arange(len(examples)), lengths)
    position = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
    tokens = np.concatenate([e.tokens for e in examples])
    shown, selected = mask_tokens(
        tokens,
        np.concatenate([e.maskable for e in examples]),
        keys=np.asarray([e.key for e in examples], np.uint64)[row],
        epochs=np.asarray([e.epoch for e in examples], np.int32)[row],
        positions=position,
        masking=masking,
    )
    inputs = np.full((len(examples), width), pad, np.int64)
    inputs[row, position] = shown
    predicted = row[selected] * width + position[selected]
    return Batch(
        inputs=torch.from_numpy(inputs),
        attention=torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64)),
        predicted=torch.from_numpy(predicted),
        targets=torch.from_numpy(tokens[selected].astype(np.int64)),
        exchange=_exchange(examples, predicted, width),
        records=tuple(e.record for e in examples),
        n_tokens=int(lengths.sum()),
    )


def _exchange(
    examples: Sequence[Example], predicted: np.ndarray, width: int
) -> WordExchange | None:
    if any(e.links is None for e in examples):
        return None
    linked = [(b * width, e.links) for b, e in enumerate(examples) if e.links is not None]
    receives = np.concatenate([base + links.rows for base, links in linked]).astype(np.int64)
    gives = np.concatenate([base + links.columns for base, links in linked]).astype(np.int64)
    weights = np.concatenate([links.weights for _, links in linked]).astype(np.float32)
    # `predicted` ascends, so each receiving position is found in it by bisection, or is not there.
    rows = np.searchsorted(predicted, receives)
    hit = np.zeros(len(rows), bool)
    inside = rows < len(predicted)
    hit[inside] = predicted[rows[inside]] == receives[inside]
    return WordExchange(
        torch.from_numpy(rows[hit]), torch.from_numpy(gives[hit]), torch.from_numpy(weights[hit])
    )
