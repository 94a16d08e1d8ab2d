"""From examples to tensors: masked and packed. A pure function of its input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bitextile.kernels.arrays import I32, I64, Bool
from bitextile.trainer.data.examples import Example, Input
from bitextile.trainer.data.masking import Masking, mask_tokens
from bitextile.trainer.data.packed import (
    FULL,
    Flat,
    Layout,
    Packed,
    Visibility,
    flatten,
    language_ids,
    map_tensors,
    pack_inputs,
    side_positions,
)
from bitextile.trainer.data.seeds import entry_seed


@dataclass(frozen=True, kw_only=True)
class Collation:
    """What turning examples into tensors depends on besides them.

    Attributes:
        masking: how positions are selected and shown.
        pad: id of the padding token.
        width: most tokens of a packed row; with `ONE_ROW` what its width is a multiple of.
        layout: of the rows.
        languages: index of each language's embedding; None without such embeddings.
        reset_positions: positions start again in the second sentence of an input.
    """

    masking: Masking
    pad: int
    width: int
    layout: Layout = Layout.NARROW
    languages: Mapping[str, int] | None = None
    reset_positions: bool = False

    def of_entry(self, entry: int) -> "Collation":
        """Returns the collation of an entry of the mixture, which masks apart from the others."""
        seed = entry_seed(self.masking.seed, entry)
        return replace(self, masking=replace(self.masking, seed=seed))


@dataclass(frozen=True)
class MaskedBatch:
    """Packed rows with positions to predict; the batch of most objectives.

    Attributes:
        packed: the rows.
        predicted: [M] int64 flat indices to predict, by example and position.
        targets: [M] int64 the ids that stood there.
    """

    packed: Packed
    predicted: torch.Tensor
    targets: torch.Tensor

    @property
    def packs(self) -> tuple[Packed, ...]:
        """Every set of rows that the encoder runs over."""
        return (self.packed,)

    @property
    def frozen_packs(self) -> tuple[Packed, ...]:
        """None: every pass has its backward pass."""
        return ()

    @property
    def n_predictions(self) -> int:
        """How many vectors the head makes logits of."""
        return len(self.targets)

    def to(self, device: torch.device) -> "MaskedBatch":
        """Returns the batch on a device."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))


@dataclass(frozen=True)
class Selection:
    """The masked inputs of a group of examples, before they are packed.

    Attributes:
        inputs: of all examples, one behind the other.
        flat: their tokens.
        example: [n] index of the example of each token.
        shown: [n] ids with masks and random tokens set in.
        selected: [n] True where to predict.
    """

    inputs: tuple[Input, ...]
    flat: Flat
    example: I64
    shown: I32
    selected: Bool


def select(examples: Sequence[Example], masking: Masking) -> Selection:
    """Masks the inputs of examples, at least one.

    The position that a draw is keyed by counts over all inputs of an example as if they were one,
    so that a text is masked the same however it was split.
    """
    inputs = tuple(i for e in examples for i in e.inputs)
    flat = flatten(inputs)
    example_of_input = np.repeat(np.arange(len(examples)), [len(e.inputs) for e in examples])
    example = example_of_input[flat.owner]
    # A text of three words that was split in two inputs, one example:
    #
    #     tokens            [CLS] a  b  [SEP]  [CLS] c  [SEP]
    #     from its first      0   1  2    3      4   5    6
    #     added               0   0  0    0      2   2    2
    #     position            0   1  2    3      2   3    4       c at 3, as if it were one input
    first = np.searchsorted(example, np.arange(len(examples)))[example]
    # A split adds the special tokens around another input: two, as only single texts are split.
    added = 2 * (flat.owner - flat.owner[first])
    shown, selected = mask_tokens(
        flat.tokens,
        flat.maskable,
        keys=np.asarray([e.key for e in examples], np.uint64)[example],
        epochs=np.asarray([e.epoch for e in examples], np.int32)[example],
        positions=(np.arange(len(example)) - first - added).astype(np.int32),
        masking=masking,
    )
    return Selection(inputs, flat, example, shown, selected)


def pack_selection(
    selection: Selection,
    collation: Collation,
    *,
    shown: I32 | None = None,
    attention_roles: np.ndarray | None = None,
    visibility: Visibility = FULL,
) -> tuple[Packed, I64]:
    """Packs a selection as `pack_inputs` does, with `shown` in place of its own if given."""
    return pack_inputs(
        selection.flat,
        selection.shown if shown is None else shown,
        width=collation.width,
        pad=collation.pad,
        layout=collation.layout,
        attention_roles=attention_roles,
        visibility=visibility,
        languages=language_ids(selection.inputs, selection.flat, collation.languages),
        position_ids=side_positions(selection.flat) if collation.reset_positions else None,
    )


def collate(examples: Sequence[Example], collation: Collation) -> MaskedBatch:
    """Masks and packs examples, at least one, for full attention."""
    selection = select(examples, collation.masking)
    packed, flat_indices = pack_selection(selection, collation)
    return MaskedBatch(packed, *predictions(selection, flat_indices))


def predictions(selection: Selection, flat_indices: I64) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the flat indices to predict and what stood there."""
    # By example and position, whatever the packing: losses and tests go by this order.
    at = selection.selected
    targets = selection.flat.tokens[at].astype(np.int64)
    return torch.from_numpy(flat_indices[at]), torch.from_numpy(targets)


def collate_plain(inputs: Sequence[Input], collation: Collation) -> Packed:
    """Packs inputs, at least one, as they are, nothing masked."""
    flat = flatten(inputs)
    packed, _ = pack_inputs(
        flat,
        flat.tokens,
        width=collation.width,
        pad=collation.pad,
        layout=collation.layout,
        languages=language_ids(inputs, flat, collation.languages),
    )
    return packed
