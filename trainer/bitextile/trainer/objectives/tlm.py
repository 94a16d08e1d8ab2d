"""TLM: masked language modelling of a translation pair, each side seeing the other.

    input  [CLS] s [SEP] t [SEP]
    L = - sum_{k in M} log p(x_k | R_k)          M: 15 % of the positions of both sides

Source: Conneau and Lample 2019 (XLM, arXiv 1901.07291), section 3.4. No language embeddings and
no reset of positions, as in PPA (arXiv 2010.12547). It is exactly WEAM's L_mp: the control run.

From an `exchange` dataset it reads the sentences with their words exchanged.
"""

from dataclasses import dataclass

import pyarrow as pa
from torch import nn

from bitextile.schema.kinds import ALIGNED, EXCHANGE, PAIRS, Kind
from bitextile.trainer.data.collate import Batch
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.order import I64
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.losses import LossSum, masked_lm
from bitextile.trainer.model import Encoder
from bitextile.trainer.objectives.objective import fitted_pair, records


@dataclass(frozen=True)
class Tlm:
    """Adapter: `[CLS] s [SEP] t [SEP]`, sides in the order of the dataset.

    Attributes:
        max_length: tokens of an input with special tokens.
    """

    max_length: int
    name: str = "tlm"
    kinds: tuple[Kind, ...] = (PAIRS, ALIGNED, EXCHANGE)

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read."""
        if kind is EXCHANGE:
            return ("pair_id", "variant", "src_exchanged", "tgt_exchanged")
        return ("pair_id", "src", "tgt")

    def examples(self, rows: pa.Table, epochs: I64, coder: Coder) -> list[Example]:
        """Returns one concatenated pair per row."""
        ids, keys = records(rows)
        suffix = "_exchanged" if "variant" in rows.column_names else ""
        src, tgt = (rows.column(f"{side}{suffix}").to_pylist() for side in ("src", "tgt"))
        examples = []
        for i, (s, t) in enumerate(zip(coder.sides(src), coder.sides(tgt))):
            s, t = fitted_pair(s, t, (src[i], tgt[i]), self.max_length)
            tokens, maskable = coder.join(s, t)
            n_cut = s.n_cut + t.n_cut
            examples.append(Example(ids[i], keys[i], int(epochs[i]), tokens, maskable, n_cut))
        return examples

    def module(self, width: int) -> nn.Module | None:
        """Returns None: the encoder and its head are all there is."""
        return None

    def losses(self, encoder: Encoder, own: nn.Module | None, batch: Batch) -> dict[str, LossSum]:
        """Returns the one part, `tlm`."""
        vectors = encoder.vectors(batch.inputs, batch.attention)[batch.predicted]
        return {"tlm": masked_lm(encoder.logits(vectors), batch.targets)}

    def weights(self, batch: Batch) -> dict[str, int]:
        """Returns the number of predicted positions."""
        return {"tlm": len(batch.targets)}
