"""TLM: masked language modelling of a translation pair, each side seeing the other.

    input  [CLS] s [SEP] t [SEP]
    L = - sum_{k in M} log p(x_k | R_k)          M: 15 % of the positions of both sides

Source: Conneau and Lample 2019 (XLM, arXiv 1901.07291), section 3.4. Positions are not reset, as
in PPA (arXiv 2010.12547); with `reset_positions` they are, as in XLM and in ALIGN-MLM's baseline:

    [CLS] s1 s2 [SEP] t1 t2 t3 [SEP]
      0    1  2   3    0  1  2   3

It is exactly WEAM's L_mp: the control run. PPA's random order of a pair is the option
`random_pair_order`.

From an `exchange` dataset it reads the sentences with their words exchanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from bitextile.kernels.arrays import I64, Bool
from bitextile.schema.kinds import EXCHANGE, Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, collate
from bitextile.trainer.data.examples import Example, Input, join
from bitextile.trainer.data.masking import draws
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import TlmSettings
from bitextile.trainer.objectives.mlm import predict
from bitextile.trainer.objectives.objective import records, texts_of, truncate_pair


@dataclass(frozen=True)
class Tlm:
    """Adapter: `[CLS] s [SEP] t [SEP]`.

    Attributes:
        max_length: tokens of an input with special tokens.
        random_pair_order: a coin per pair and epoch decides which sentence comes first; else the
            order is that of the dataset.
        seed: of the coin.
        reset_positions: positions start again in the second sentence.
    """

    max_length: int
    random_pair_order: bool = False
    seed: int = 0
    reset_positions: bool = False
    name: str = "tlm"

    @classmethod
    def build(
        cls, settings: TlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "Tlm":
        """Returns the objective of an entry."""
        return cls(
            max_length,
            random_pair_order=settings.random_pair_order,
            seed=seed,
            reset_positions=settings.reset_positions,
        )

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read."""
        if kind is EXCHANGE:
            languages = ("src_lang", "tgt_lang")
            return ("pair_id", "variant", *languages, "src_exchanged", "tgt_exchanged")
        return PAIR_COLUMNS

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one concatenated pair per row."""
        ids, keys = records(rows)
        tgt_first = None
        if self.random_pair_order:
            tgt_first = draws(keys, epochs, seed=self.seed, operation="tlm/coin") < 0.5
        pairs = joined_pairs(rows, tokenizer, self.max_length, tgt_first=tgt_first)
        return [
            Example(ids[i], keys[i], int(epochs[i]), (pair,), n_truncated)
            for i, (pair, n_truncated) in enumerate(pairs)
        ]

    def collate(self, examples: Sequence[Example], collation: Collation) -> MaskedBatch:
        """Returns packed rows."""
        return collate(examples, replace(collation, reset_positions=self.reset_positions))

    def module(self, encoder: Encoder) -> None:
        """Returns None: the encoder and its head are all there is."""

    def losses(
        self, encoder: Encoder, objective_module: None, batch: MaskedBatch
    ) -> dict[str, LossSum]:
        """Returns the one part, `tlm`."""
        return {"tlm": predict(encoder, batch)}

    def weights(self, batch: MaskedBatch) -> dict[str, int]:
        """Returns the number of predicted positions."""
        return {"tlm": len(batch.targets)}


PAIR_COLUMNS = ("pair_id", "src_lang", "tgt_lang", "src", "tgt")


def joined_pairs(
    rows: pa.Table, tokenizer: Tokenizer, max_length: int, *, tgt_first: Bool | None = None
) -> list[tuple[Input, int]]:
    """Returns each row as `[CLS] s [SEP] t [SEP]`, and how many subwords were cut off.

    Args:
        rows: with src and tgt, or src_exchanged and tgt_exchanged, and their languages.
        tokenizer: the tokenizer.
        max_length: tokens of an input.
        tgt_first: [n] True where the target sentence comes first; None where none does.
    """
    suffix = "_exchanged" if "src_exchanged" in rows.column_names else ""
    src, tgt = texts_of(rows, f"src{suffix}", f"tgt{suffix}")
    languages = list(zip(*texts_of(rows, "src_lang", "tgt_lang")))
    pairs = []
    for i, (s, t) in enumerate(zip(tokenizer.encode(src), tokenizer.encode(tgt))):
        # Cut in the order of the dataset and turned after that: the coin must not decide which
        # subwords are lost.
        s, t = truncate_pair(s, t, (src[i], tgt[i]), max_length)
        turn = -1 if tgt_first is not None and tgt_first[i] else 1
        pair = join(tokenizer, *(s, t)[::turn], languages=languages[i][::turn])
        pairs.append((pair, s.n_truncated + t.n_truncated))
    return pairs
