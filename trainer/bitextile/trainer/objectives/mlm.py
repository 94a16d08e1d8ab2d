"""MLM: masked language modelling of one sentence (MMLM when the languages are mixed).

    L = - sum_{k in M} log p(x_k | R_k)          M: 15 % of positions, 80/10/10

Source: Devlin et al. 2019 (BERT), section 3.1; multilingual as in Conneau and Lample 2019 (XLM),
section 3.3, and ERNIE-M (arXiv 2012.15674), section 2.

A pair gives one of its two sentences per epoch: the id decides which one first, and the next epoch
takes the other, so that two epochs read both exactly once. A text longer than `max_length` is
split at a word into several inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from bitextile.kernels.arrays import I64
from bitextile.schema.kinds import MONO, Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, collate
from bitextile.trainer.data.examples import Example, join
from bitextile.trainer.data.tokens import Tokenizer, split_subwords
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import MlmSettings
from bitextile.trainer.objectives.objective import records, texts_of

MAX_PARTS = 16
"""Inputs one text is split into at most, so that no row fills the memory; the rest is counted."""


@dataclass(frozen=True)
class Mlm:
    """Adapter: `[CLS] s [SEP]`.

    Attributes:
        max_length: tokens of an input with special tokens.
    """

    max_length: int
    name: str = "mlm"

    @classmethod
    def build(
        cls, settings: MlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "Mlm":
        """Returns the objective of an entry."""
        return cls(max_length)

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read."""
        if kind is MONO:
            return ("text_id", "lang", "text")
        return ("pair_id", "src_lang", "tgt_lang", "src", "tgt")

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one example per row, of several inputs where the text is long."""
        ids, keys = records(rows)
        # Python's integers: a uint64 key plus an epoch may overflow.
        texts = pick_side(rows, [int(k) + int(e) for k, e in zip(keys, epochs)])
        examples = []
        for i, side in enumerate(tokenizer.encode([text for _, text in texts])):
            language, text = texts[i]
            pieces = split_subwords(side, self.max_length - 2, text, parts=MAX_PARTS)
            inputs = tuple(join(tokenizer, piece, languages=(language,)) for piece in pieces)
            # Only the last piece can have lost anything: see `split_subwords`.
            examples.append(
                Example(ids[i], keys[i], int(epochs[i]), inputs, pieces[-1].n_truncated)
            )
        return examples

    def collate(self, examples: Sequence[Example], collation: Collation) -> MaskedBatch:
        """Returns packed rows."""
        return collate(examples, collation)

    def module(self, encoder: Encoder) -> None:
        """Returns None: the encoder and its head are all there is."""

    def losses(
        self, encoder: Encoder, objective_module: None, batch: MaskedBatch
    ) -> dict[str, LossSum]:
        """Returns the one part, `mlm`."""
        return {"mlm": predict(encoder, batch)}

    def weights(self, batch: MaskedBatch) -> dict[str, int]:
        """Returns the number of predicted positions."""
        return {"mlm": len(batch.targets)}


def predict(encoder: Encoder, batch: MaskedBatch) -> LossSum:
    """Returns - sum log p(x_k | R_k) over the predicted positions of packed rows."""
    vectors = encoder.vectors(batch.packed)[batch.predicted]
    # Predicted positions are gathered before the head, which is the costliest layer.
    return encoder.prediction_loss(vectors, batch.targets)


def pick_side(rows: pa.Table, turns: Sequence[int]) -> list[tuple[str, str]]:
    """Returns (language, text) of each row; of a pair the first side on even turns.

    Args:
        rows: with lang and text, or with those of two sides.
        turns: one number per row.
    """
    if "text" in rows.column_names:
        return list(zip(*texts_of(rows, "lang", "text")))
    src, tgt = (list(zip(*texts_of(rows, f"{side}_lang", side))) for side in ("src", "tgt"))
    return [(src, tgt)[turn % 2][i] for i, turn in enumerate(turns)]
