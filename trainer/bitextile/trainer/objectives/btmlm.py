"""BTMLM, pass 2: predict masked words of a sentence beside pseudo tokens in another language.

    input  [CLS] s [SEP] pseudo [SEP], full attention, only s is masked
    L = - sum_{k in M_s} log p(s_k | R_k)

Source: ERNIE-M (arXiv 2012.15674), section 3.2. The pseudo tokens come from pass 1 (a pipeline
with a CAMLM checkpoint) or from a translation model, as a `pseudo` dataset.

A row's `tgt_tokens` are taken as they are where the tokenizer knows every one; else, as from
another generator's vocabulary, `tgt` is tokenised.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, collate
from bitextile.trainer.data.examples import Example, Input, join
from bitextile.trainer.data.tokens import Encoding, Tokenizer
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import BtmlmSettings
from bitextile.trainer.objectives.mlm import predict
from bitextile.trainer.objectives.objective import records, texts_of, truncate_pair


@dataclass(frozen=True)
class Btmlm:
    """Adapter: `[CLS] s [SEP] pseudo [SEP]`.

    Attributes:
        max_length: tokens of an input with special tokens.
    """

    max_length: int
    name: str = "btmlm"

    @classmethod
    def build(
        cls, settings: BtmlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "Btmlm":
        """Returns the objective of an entry."""
        return cls(max_length)

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read."""
        return ("text_id", "src_lang", "tgt_lang", "src", "tgt", "tgt_tokens")

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one sentence with its pseudo tokens per row."""
        ids, keys = records(rows)
        src, tgt = texts_of(rows, "src", "tgt")
        languages = list(zip(*texts_of(rows, "src_lang", "tgt_lang")))
        pseudo = _pseudo_sides(rows, tgt, tokenizer)
        examples = []
        for i, (s, (t, spelled)) in enumerate(zip(tokenizer.encode(src), pseudo)):
            if spelled is None and len(s.ids) + len(t.ids) + 3 > self.max_length:
                t, spelled = tokenizer.locate(t.ids)
            s, t = truncate_pair(s, t, (src[i], spelled or ""), self.max_length)
            pair = _source_only(join(tokenizer, s, t, languages=languages[i]))
            n_truncated = s.n_truncated + t.n_truncated
            examples.append(Example(ids[i], keys[i], int(epochs[i]), (pair,), n_truncated))
        return examples

    def collate(self, examples: Sequence[Example], collation: Collation) -> MaskedBatch:
        """Returns packed rows."""
        return collate(examples, collation)

    def module(self, encoder: Encoder) -> None:
        """Returns None: the encoder and its head are all there is."""

    def losses(
        self, encoder: Encoder, objective_module: None, batch: MaskedBatch
    ) -> dict[str, LossSum]:
        """Returns the one part, `btmlm`."""
        return {"btmlm": predict(encoder, batch)}

    def weights(self, batch: MaskedBatch) -> dict[str, int]:
        """Returns the number of predicted positions."""
        return {"btmlm": len(batch.targets)}


def _source_only(pair: Input) -> Input:
    # The pseudo words are context: a model's own guesses are not to be learned as if they were text
    # (ERNIE-M: the loss is on the source's masks only).
    return Input(pair.tokens, pair.maskable & (pair.sides == 0), pair.sides, pair.languages)


def _pseudo_sides(
    rows: pa.Table, tgt: list[str], tokenizer: Tokenizer
) -> list[tuple[Encoding, str | None]]:
    """Returns the subwords of each translation and their text; None for generated ones."""
    sides: list[tuple[Encoding, str | None]] = list(zip(tokenizer.encode(tgt), tgt))
    vocabulary = tokenizer.vocabulary
    for i, tokens in enumerate(rows.column("tgt_tokens").to_pylist()):
        if tokens and all(token in vocabulary for token in tokens):
            ids = np.asarray([vocabulary[token] for token in tokens], np.int32)
            # Where they stand in a text is asked only where there are too many, as it takes long.
            sides[i] = Encoding(ids, np.zeros((len(ids), 2), np.int32)), None
    return sides
