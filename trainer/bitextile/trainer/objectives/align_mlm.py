"""ALIGN-MLM: MLM, and the embeddings of dictionary pairs are drawn together.

    L = L_MLM - alpha * (1 / |D|) sum_{(i, j) in D} cos(E[i], E[j])          alpha = 10

E is the input embedding table, D a bilingual dictionary, taken whole at every step.

Source: ALIGN-MLM (arXiv 2211.08547), section 3. Our choices: a word of several subwords is the mean
of their embeddings; `sample` takes so many pairs per micro-batch in place of all.

    E = ((1, 0), (0, 1), (1, 0), (3, 4)),  D = {(0, 2), (1, 3)}
    cosines 1 and 0.8, so the second part is -10 * 0.9 = -9
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch.nn.functional import cosine_similarity, embedding_bag

from bitextile.kernels.arrays import I64
from bitextile.kernels.randomness import uniform
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, collate
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.seeds import run_seed
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import AlignMlmSettings
from bitextile.trainer.objectives.dictionary import SubwordEntries, subword_entries
from bitextile.trainer.objectives.mlm import Mlm, predict


@dataclass(frozen=True)
class Bags:
    """Words as bags of subwords.

    Attributes:
        ids: [subwords] int64 of all words, one behind the other.
        starts: [n] int64 where each word begins.
    """

    ids: torch.Tensor
    starts: torch.Tensor

    def means(self, table: torch.Tensor) -> torch.Tensor:
        """Returns [n, H]: the mean embedding of each word, in float32 at least."""
        # All words in one call, however many subwords each has; no [n, longest, H] is made.
        vectors = embedding_bag(self.ids, table, self.starts, mode="mean")
        return vectors if vectors.dtype == torch.float64 else vectors.float()


@dataclass(frozen=True)
class DictionaryBatch(MaskedBatch):
    """Packed rows and the dictionary pairs of a micro-batch.

    Attributes:
        src: words.
        tgt: their translations.
    """

    src: Bags
    tgt: Bags


def embedding_alignment(src: torch.Tensor, tgt: torch.Tensor, *, alpha: float) -> LossSum:
    """Returns -alpha times the sum of the cosines of pairs, and the number of pairs.

    Args:
        src: [n, H] embeddings.
        tgt: [n, H] of their translations.
        alpha: weight of the pull.

    >>> E = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 4.0]])
    >>> part = embedding_alignment(E[[0, 1]], E[[2, 3]], alpha=10)
    >>> round(float(part.mean()), 5)
    -9.0
    """
    cosines = cosine_similarity(src, tgt, dim=-1)
    return LossSum(-alpha * cosines.sum(), torch.tensor(len(src), device=src.device))


@dataclass(frozen=True)
class AlignMlm:
    """Adapter: the inputs of MLM, and a dictionary.

    Attributes:
        max_length: tokens of an input with special tokens.
        entries: the dictionary.
        alpha: weight of the pull; 10 in the paper.
        sample: pairs per micro-batch; 0 takes all.
        seed: of the sample.
    """

    max_length: int
    entries: SubwordEntries
    alpha: float = 10.0
    sample: int = 0
    seed: int = 0
    name: str = "align_mlm"

    @classmethod
    def build(
        cls, settings: AlignMlmSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "AlignMlm":
        """Reads the dictionary and returns the objective of an entry."""
        fraction = settings.lexicon_fraction
        common = run_seed(seed)
        entries = subword_entries(settings.lexicon, tokenizer, fraction=fraction, seed=common)
        return cls(max_length, entries, alpha=settings.alpha, sample=settings.sample, seed=seed)

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read, those of MLM."""
        return Mlm(self.max_length).columns(kind)

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns the examples of MLM."""
        return Mlm(self.max_length).examples(rows, epochs, tokenizer)

    def collate(self, examples: Sequence[Example], collation: Collation) -> DictionaryBatch:
        """Returns packed rows with the dictionary."""
        masked = collate(examples, collation)
        entries = self.entries
        if 0 < self.sample < len(entries.words):
            entries = entries.take(self._drawn(examples[0]))
        # Views of the dictionary, not copies: a batch that is moved to a device makes new tensors.
        src = Bags(torch.from_numpy(entries.src), torch.from_numpy(entries.src_starts))
        tgt = Bags(torch.from_numpy(entries.tgt), torch.from_numpy(entries.tgt_starts))
        return DictionaryBatch(masked.packed, masked.predicted, masked.targets, src, tgt)

    def _drawn(self, first: Example) -> I64:
        """Returns the rows with the smallest draws, keyed by the micro-batch's first record."""
        # Keyed by a record, as all draws are: the sample does not depend on the number of ranks.
        draws = uniform(
            np.asarray([first.key], np.uint64),
            seed=self.seed,
            operation="align_mlm/sample",
            variant=first.epoch,
            position=np.arange(len(self.entries.words)),
        )
        return np.sort(np.argsort(draws, kind="stable")[: self.sample])

    def module(self, encoder: Encoder) -> None:
        """Returns None: the encoder and its head are all there is."""

    def losses(
        self, encoder: Encoder, objective_module: None, batch: DictionaryBatch
    ) -> dict[str, LossSum]:
        """Returns the two parts, `mlm` and `align`."""
        # A step of several micro-batches has D several times in the sum and in the weight, so that
        # their quotient is the mean over D all the same.
        src, tgt = batch.src.means(encoder.table), batch.tgt.means(encoder.table)
        return {
            "mlm": predict(encoder, batch),
            "align": embedding_alignment(src, tgt, alpha=self.alpha),
        }

    def weights(self, batch: DictionaryBatch) -> dict[str, int]:
        """Returns the number of predicted positions and of dictionary pairs."""
        return {"mlm": len(batch.targets), "align": len(batch.src.starts)}
