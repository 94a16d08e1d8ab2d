"""CAMLM: predict the masked words of each sentence from the other sentence alone.

    input  [CLS] s [SEP] t [SEP], every selected position shown as [MASK]
    L =  mean_{k in M_s} - log p(s_k | t without M_t)
       + mean_{k in M_t} - log p(t_k | s without M_s)

                       key:  s, unselected   s, selected   t, unselected   t, selected
    query s, unselected            x
    query s, selected                              x              x
    query t, unselected                                           x
    query t, selected              x                                             x

A selected position sees the other selected ones of its own sentence: they carry position and
language, no content. So the only way to a word's own context would be through the other sentence,
and that is closed by letting unselected positions see their own sentence only.

Source: ERNIE-M (arXiv 2012.15674), section 3.1: the masks of selected positions. Our choices: what
unselected positions see; separators count as unselected tokens of the sentence they end, the
leading special token of the first; all selected tokens are shown as [MASK], since with 80/10/10 a
kept token would be seen by its own side's masks; and a coin decides which sentence comes first.
BTMLM's pass 1 generates behind a sentence, in either language, and a model that always had English
first generates English behind German worse than a bag of frequent words
(docs/experiments/backtranslation.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.arrays import I64
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import (
    Collation,
    MaskedBatch,
    pack_selection,
    predictions,
    select,
)
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.masking import draws
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import CamlmSettings
from bitextile.trainer.objectives.objective import records
from bitextile.trainer.objectives.tlm import Tlm, joined_pairs

VISIBILITY = (
    (True, False, False, False),
    (False, True, True, False),
    (False, False, True, False),
    (True, False, False, True),
)
"""The table above; a role is 2 x sentence + selected."""


@dataclass(frozen=True)
class ConditionalBatch(MaskedBatch):
    """Packed pairs, and which sentence each predicted position is of.

    Attributes:
        sides: [M] int64, 0 where the first sentence is predicted.
    """

    sides: torch.Tensor


@dataclass(frozen=True)
class Camlm:
    """Adapter: the pairs of TLM under the masks above.

    Attributes:
        max_length: tokens of an input with special tokens.
        mask_rate: share of positions to predict; None for the run's.
        random_pair_order: a coin per pair and epoch decides which sentence comes first; else the
            order is that of the dataset.
        seed: of the coin.
    """

    max_length: int
    mask_rate: float | None = None
    random_pair_order: bool = True
    seed: int = 0
    name: str = "camlm"

    @classmethod
    def build(
        cls, settings: CamlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "Camlm":
        """Returns the objective of an entry."""
        return cls(
            max_length,
            mask_rate=settings.mask_rate,
            random_pair_order=settings.random_pair_order,
            seed=seed,
        )

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read, those of TLM."""
        return Tlm(self.max_length).columns(kind)

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one concatenated pair per row."""
        ids, keys = records(rows)
        # Without the coin the order of the dataset, which may be one language always first.
        tgt_first = np.zeros(len(keys), bool)
        if self.random_pair_order:
            tgt_first = draws(keys, epochs, seed=self.seed, operation="camlm/coin") < 0.5
        pairs = joined_pairs(rows, tokenizer, self.max_length, tgt_first=tgt_first)
        return [
            Example(ids[i], keys[i], int(epochs[i]), (pair,), n_truncated)
            for i, (pair, n_truncated) in enumerate(pairs)
        ]

    def collate(self, examples: Sequence[Example], collation: Collation) -> ConditionalBatch:
        """Returns packed rows with the roles of the table."""
        rate = self.mask_rate or collation.masking.rate
        # Always [MASK]: a kept token would show itself to the other masks of its sentence.
        masking = replace(collation.masking, rate=rate, masked=1.0, random=0.0)
        selection = select(examples, masking)
        sides = selection.flat.sides.astype(np.int64)
        packed, flat_indices = pack_selection(
            selection,
            collation,
            attention_roles=2 * sides + selection.selected,
            visibility=VISIBILITY,
        )
        of_predicted = torch.from_numpy(sides[selection.selected])
        return ConditionalBatch(packed, *predictions(selection, flat_indices), of_predicted)

    def module(self, encoder: Encoder) -> None:
        """Returns None: the encoder and its head are all there is."""

    def losses(
        self, encoder: Encoder, objective_module: None, batch: ConditionalBatch
    ) -> dict[str, LossSum]:
        """Returns the two parts: `src` from the target alone, `tgt` from the source alone."""
        vectors = encoder.vectors(batch.packed)[batch.predicted]
        # Two parts, each divided by its own number of predictions: the loss is the sum of two
        # means.
        first = batch.sides == 0
        return {
            "src": encoder.prediction_loss(vectors[first], batch.targets[first]),
            "tgt": encoder.prediction_loss(vectors[~first], batch.targets[~first]),
        }

    def weights(self, batch: ConditionalBatch) -> dict[str, int]:
        """Returns the number of predicted positions of each sentence."""
        n_tgt = int(batch.sides.sum())
        return {"src": len(batch.sides) - n_tgt, "tgt": n_tgt}
