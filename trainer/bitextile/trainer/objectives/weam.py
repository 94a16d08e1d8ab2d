"""WEAM: predict a masked word from its own vector, and from the vectors of its translation.

    input  [CLS] s [SEP] t [SEP], one encoder pass giving R, both sides masked as in TLM
    R~ = (1 - a) R + A R          A: row-normalised links of subwords; a_k = 1 where k has any
    L = L_mp + L_cp
    L_mp = - sum_{k in M} log p(x_k | R_k)
    L_cp = - sum_{k in M} log p(x_k | R~_k)

Source: WEAM (arXiv 2106.01732), the word-exchange aligning model. Stated there: the exchange of
last-layer vectors of linked words, the two predictions over the same positions M, and that a
position without a link keeps its own vector. Our choices, each an option of the mixture entry:
the two losses have weight 1 and share the head (`exchange_layer` puts a linear layer before it,
which starts as the identity); the exchanged vector of a subword is the mean over all subwords of
all words linked to its word (`first_subword_only`, `one_to_one_only` narrow that).

    links 0-1    s  = "das Haus"   subwords  das | Ha us         R~(Ha) = R~(us) = R(house)
                 t  = "a house"              a | house           R~(house) = (R(Ha) + R(us)) / 2
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from bitextile.kernels.arrays import I32, I64, Bool
from bitextile.schema.kinds import EXCHANGE, Kind
from bitextile.trainer.data.collate import (
    Collation,
    MaskedBatch,
    Selection,
    pack_selection,
    predictions,
    select,
)
from bitextile.trainer.data.examples import Example, SubwordLinks, join
from bitextile.trainer.data.tokens import Encoding, Tokenizer
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.config import WeamSettings
from bitextile.trainer.objectives.objective import list_slices, records, texts_of, truncate_pair


@dataclass(frozen=True)
class WordExchange:
    """Which last-layer vectors a predicted position takes its exchanged vector from.

    Attributes:
        rows: [e] int64 index into the predicted positions.
        columns: [e] int64 flat index in the batch.
        weights: [e] float32; those of one row add up to 1.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True)
class LinkedBatch(MaskedBatch):
    """Packed pairs with their links.

    Attributes:
        links: of the predicted positions.
    """

    links: WordExchange

    @property
    def n_predictions(self) -> int:
        """Twice the positions: each is predicted from its own and from its exchanged vector."""
        return 2 * len(self.targets)


def exchange_vectors(
    vectors: torch.Tensor, predicted: torch.Tensor, links: WordExchange
) -> torch.Tensor:
    """Returns R~ at the predicted positions.

    Args:
        vectors: [N, H] last-layer vectors R of a batch, flat.
        predicted: [M, H] those of the predicted positions.
        links: rows index `predicted`, columns index `vectors`; the weights of a row add up to 1.

    Returns:
        [M, H]: the weighted sum of the linked vectors; its own where a position has no link.

    >>> R = torch.tensor([[1.0], [2.0], [4.0]])
    >>> links = WordExchange(torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([0.5, 0.5]))
    >>> exchange_vectors(R, R[:2], links).flatten().tolist()  # 0 is linked to 1 and 2; 1 to nothing
    [3.0, 2.0]
    """
    linked = torch.zeros(len(predicted), dtype=torch.bool, device=predicted.device)
    linked[links.rows] = True
    # R~ = (1 - a) R + A R with a in {0, 1}: a linked position gives up its own vector.
    kept = predicted.masked_fill(linked[:, None], 0.0)
    given = vectors[links.columns] * links.weights[:, None].to(vectors.dtype)
    return kept.index_add(0, links.rows, given)


def subword_links(
    src: Encoding,
    tgt: Encoding,
    spans: tuple[I32, I32],
    links: I32,
    *,
    first_subword_only: bool = False,
    one_to_one_only: bool = False,
) -> SubwordLinks:
    """Turns word links into the matrix A over the positions of `[CLS] s [SEP] t [SEP]`.

    Args:
        src: subwords of the first side, as cut.
        tgt: of the second.
        spans: [m, 2] and [n, 2] words of both, code points.
        links: [k, 2] pairs of word indices.
        first_subword_only: let only the first subword of a word receive and give.
        one_to_one_only: drop links of a word that has several.

    Returns:
        Both directions; a subword that touches several words takes the union of their links.
    """
    if one_to_one_only:
        links = _one_to_one(links)
    words = np.zeros((len(spans[0]), len(spans[1])), bool)
    words[links[:, 0], links[:, 1]] = True
    a = _touches(src, spans[0], first_subword_only)
    b = _touches(tgt, spans[1], first_subword_only)
    # Paths subword -> its words -> linked words -> their subwords. In float32: numpy multiplies
    # bool matrices without BLAS.
    joined = (a.astype(np.float32) @ words.astype(np.float32) @ b.T.astype(np.float32)) > 0
    s, t = np.nonzero(joined)
    s_weights = 1.0 / joined.sum(axis=1)[s]
    t_weights = 1.0 / joined.sum(axis=0)[t]
    # [CLS] before the first side, [CLS] s [SEP] before the second.
    s, t = s + 1, t + 2 + len(src.ids)
    return SubwordLinks(
        np.concatenate([s, t]).astype(np.int32),
        np.concatenate([t, s]).astype(np.int32),
        np.concatenate([s_weights, t_weights]).astype(np.float32),
    )


def _touches(side: Encoding, spans: I32, first_only: bool) -> Bool:
    """Returns [subwords, words] True where a subword and a word share a character."""
    starts, ends = side.offsets[:, :1], side.offsets[:, 1:]
    touches = (starts < spans[None, :, 1]) & (ends > spans[None, :, 0])
    # The count is 1 from the first subword that touches the word up to the next one that does, and
    # `touches` leaves the first of these.
    return touches & (np.cumsum(touches, axis=0) == 1) if first_only else touches


def _one_to_one(links: I32) -> I32:
    src_count = np.bincount(links[:, 0], minlength=1)
    tgt_count = np.bincount(links[:, 1], minlength=1)
    return links[(src_count[links[:, 0]] == 1) & (tgt_count[links[:, 1]] == 1)]


@dataclass(frozen=True)
class Weam:
    """Adapter: aligned pairs, the links turned to subwords.

    Attributes:
        max_length: tokens of an input with special tokens.
        exchange_layer: see the top of this file, like the next two.
        first_subword_only: only the first subword of each word takes part.
        one_to_one_only: only words with a single link take part.
    """

    max_length: int
    exchange_layer: bool = False
    first_subword_only: bool = False
    one_to_one_only: bool = False
    name: str = "weam"

    @classmethod
    def build(
        cls, settings: WeamSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "Weam":
        """Returns the objective of an entry."""
        return cls(
            max_length,
            exchange_layer=settings.exchange_layer,
            first_subword_only=settings.first_subword_only,
            one_to_one_only=settings.one_to_one_only,
        )

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read; of an `exchange` row the original pair, which has the links."""
        variant = ("variant",) if kind is EXCHANGE else ()
        sides = ("src_lang", "tgt_lang", "src", "tgt")
        return ("pair_id", *variant, *sides, "src_spans", "tgt_spans", "links")

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one concatenated pair with its links per row."""
        ids, keys = records(rows)
        src, tgt = texts_of(rows, "src", "tgt")
        languages = list(zip(*texts_of(rows, "src_lang", "tgt_lang")))
        src_spans = list_slices(rows.column("src_spans"), ("start", "end"))
        tgt_spans = list_slices(rows.column("tgt_spans"), ("start", "end"))
        links = list_slices(rows.column("links"), ("src", "tgt"))
        examples = []
        for i, (s, t) in enumerate(zip(tokenizer.encode(src), tokenizer.encode(tgt))):
            spans = (src_spans[i], tgt_spans[i])
            s, t = truncate_pair(s, t, (src[i], tgt[i]), self.max_length, spans)
            matrix = self._links(s, t, spans, links[i])
            pair = join(tokenizer, s, t, languages=languages[i])
            n_truncated = s.n_truncated + t.n_truncated
            examples.append(Example(ids[i], keys[i], int(epochs[i]), (pair,), n_truncated, matrix))
        return examples

    def _links(
        self, src: Encoding, tgt: Encoding, spans: tuple[I32, I32], links: I32
    ) -> SubwordLinks:
        options = (self.first_subword_only, self.one_to_one_only)
        return subword_links(
            src, tgt, spans, links, first_subword_only=options[0], one_to_one_only=options[1]
        )

    def collate(self, examples: Sequence[Example], collation: Collation) -> LinkedBatch:
        """Returns packed rows with the links of the predicted positions."""
        selection = select(examples, collation.masking)
        packed, flat_indices = pack_selection(selection, collation)
        links = _predicted_links(examples, selection, flat_indices)
        return LinkedBatch(packed, *predictions(selection, flat_indices), links)

    def module(self, encoder: Encoder) -> nn.Module | None:
        """Returns the exchange layer, set to the identity, or None."""
        if not self.exchange_layer:
            return None
        layer = nn.Linear(encoder.width, encoder.width)
        # The identity: a run with the layer begins as one without it.
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    def losses(
        self, encoder: Encoder, objective_module: nn.Module | None, batch: LinkedBatch
    ) -> dict[str, LossSum]:
        """Returns the two parts: `mp`, from own vectors, and `cp`, from exchanged ones."""
        vectors = encoder.vectors(batch.packed)
        kept = vectors[batch.predicted]
        swapped = exchange_vectors(vectors, kept, batch.links)
        if objective_module is not None:
            # On the exchanged vectors alone: `mp` stays what TLM minimises.
            swapped = objective_module(swapped)
        return {
            "mp": encoder.prediction_loss(kept, batch.targets),
            "cp": encoder.prediction_loss(swapped, batch.targets),
        }

    def weights(self, batch: LinkedBatch) -> dict[str, int]:
        """Returns the number of predicted positions, the same for both parts."""
        return dict.fromkeys(("mp", "cp"), len(batch.targets))


def _predicted_links(
    examples: Sequence[Example], selection: Selection, flat_indices: I64
) -> WordExchange:
    """Returns the links into the predicted positions, by flat index in the packed rows."""
    #     elements      0 1 2 3 | 4 5 6       firsts 0 4
    #     selected      . x . x | . x .       rows of the predicted: element 1 -> 0, 3 -> 1, 5 -> 2
    firsts = np.searchsorted(selection.example, np.arange(len(examples)))
    linked = [(first, e.links) for first, e in zip(firsts, examples) if e.links is not None]
    receives = np.concatenate([first + links.rows for first, links in linked]).astype(np.int64)
    gives = np.concatenate([first + links.columns for first, links in linked]).astype(np.int64)
    weights = np.concatenate([links.weights for _, links in linked]).astype(np.float32)
    hit = selection.selected[receives]
    row = np.cumsum(selection.selected) - 1  # of a selected element, among the predicted
    return WordExchange(
        torch.from_numpy(row[receives[hit]]),
        torch.from_numpy(flat_indices[gives[hit]]),
        torch.from_numpy(weights[hit]),
    )
