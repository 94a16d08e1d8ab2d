"""MLM: masked language modelling of one sentence (MMLM when the languages are mixed).

    L = - sum_{k in M} log p(x_k | R_k)          M: 15 % of positions, 80/10/10

Source: Devlin et al. 2019 (BERT), section 3.1; multilingual as in Conneau and Lample 2019 (XLM),
section 3.3, and ERNIE-M (arXiv 2012.15674), section 2.

A pair gives one of its two sentences per epoch: the id decides which one first, and the next epoch
takes the other, so that two epochs read both exactly once.
"""

from dataclasses import dataclass

import pyarrow as pa
from torch import nn

from bitextile.schema.kinds import ALIGNED, MONO, PAIRS, Kind
from bitextile.trainer.data.collate import Batch
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.order import I64
from bitextile.trainer.data.tokens import Coder, cut
from bitextile.trainer.losses import LossSum, masked_lm
from bitextile.trainer.model import Encoder
from bitextile.trainer.objectives.objective import records


@dataclass(frozen=True)
class Mlm:
    """Adapter: `[CLS] s [SEP]`.

    Attributes:
        max_length: tokens of an input with special tokens.
    """

    max_length: int
    name: str = "mlm"
    kinds: tuple[Kind, ...] = (MONO, PAIRS, ALIGNED)

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read."""
        return ("text_id", "text") if kind is MONO else ("pair_id", "src", "tgt")

    def examples(self, rows: pa.Table, epochs: I64, coder: Coder) -> list[Example]:
        """Returns one sentence per row."""
        ids, keys = records(rows)
        if "text" in rows.column_names:
            texts = rows.column("text").to_pylist()
        else:
            sides = (rows.column("src").to_pylist(), rows.column("tgt").to_pylist())
            texts = [sides[(int(k) + int(e)) % 2][i] for i, (k, e) in enumerate(zip(keys, epochs))]
        examples = []
        for i, side in enumerate(coder.sides(texts)):
            side = cut(side, self.max_length - 2, texts[i])
            tokens, maskable = coder.join(side)
            examples.append(
                Example(ids[i], keys[i], int(epochs[i]), tokens, maskable, n_cut=side.n_cut)
            )
        return examples

    def module(self, width: int) -> nn.Module | None:
        """Returns None: the encoder and its head are all there is."""
        return None

    def losses(self, encoder: Encoder, own: nn.Module | None, batch: Batch) -> dict[str, LossSum]:
        """Returns the one part, `mlm`."""
        vectors = encoder.vectors(batch.inputs, batch.attention)[batch.predicted]
        return {"mlm": masked_lm(encoder.logits(vectors), batch.targets)}

    def weights(self, batch: Batch) -> dict[str, int]:
        """Returns the number of predicted positions."""
        return {"mlm": len(batch.targets)}
