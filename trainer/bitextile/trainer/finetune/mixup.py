"""Mixup at the input embeddings (SALT): a word is pulled towards what a model would put there.

    e~_k = lambda E[x_k] + (1 - lambda) sum_c w_c E[c]      k: subwords of a word with candidates
    w_c = p(c) / sum_c p(c)       lambda = max(u, 1 - u), u ~ Beta(1, 1), one per row and epoch

Source: SALT (arXiv 2309.10891), whose code was never published. Our choices: the formula; folding
lambda to at least 1/2, so that the word itself stays in front; and, as candidates come as text, the
embedding of a candidate of several subwords is their mean, as it is of entries of a dictionary
(objectives/align_mlm.py). Each subword of a word of several is mixed with the same sum, as nothing
says which subword of a candidate belongs to which of the word, and so the sequence keeps its length
and positions. A subword that reaches over the word's end stays as it is, for it is its neighbour's
too; so does the bare mark of a word's beginning. A candidate that the tokenizer does not know, or
that is the word itself, is left out; the others share its weight.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from bitextile.kernels.arrays import F32, I32, U64, Bool
from bitextile.schema.dataset import Dataset
from bitextile.trainer.data.masking import draws
from bitextile.trainer.data.tokens import Encoding, Tokenizer


@dataclass(frozen=True)
class Choices:
    """The words of one sentence that have candidates.

    Attributes:
        spans: [w, 2] code points, end exclusive.
        ids: for each word, the tokens of its candidates.
        weights: for each word, theirs; they add up to 1.
    """

    spans: I32
    ids: tuple[I32, ...]
    weights: tuple[F32, ...]


@dataclass(frozen=True)
class Mixing:
    """What is mixed in one input.

    Attributes:
        places: [m] positions in the input.
        rows: [e] index into `places`.
        ids: [e] tokens to mix in.
        weights: [e]; those of one row add up to 1.
    """

    places: I32
    rows: I32
    ids: I32
    weights: F32


@dataclass(frozen=True)
class Mixup:
    """What is mixed in a batch, as tensors.

    Attributes:
        places: [m] int64 flat places in the packed rows, each once.
        shares: [m] lambda of each place.
        rows: [e] int64 index into `places`.
        ids: [e] int64 tokens.
        weights: [e]; those of one row add up to 1.
    """

    places: torch.Tensor
    shares: torch.Tensor
    rows: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor

    def __call__(self, embedded: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Returns embeddings [R, W, H] with those at `places` mixed with rows of `table`.

        >>> table = torch.tensor([[0.0], [8.0], [4.0]])
        >>> place, share = torch.tensor([1]), torch.tensor([0.75])
        >>> rows, ids, weights = torch.tensor([[0, 0], [1, 2], [1, 1]])
        >>> mixup = Mixup(place, share, rows, ids, weights / 2)
        >>> mixup(torch.ones(1, 3, 1), table).flatten().tolist()  # 0.75 * 1 + 0.25 * 6
        [1.0, 2.25, 1.0]
        """
        flat = embedded.flatten(0, 1)
        given = table[self.ids] * self.weights[:, None].to(table.dtype)
        other = table.new_zeros(len(self.places), table.shape[1]).index_add(0, self.rows, given)
        share = self.shares[:, None].to(flat.dtype)
        # index_copy, not assignment: the gradient must reach what stays and what is mixed in.
        mixed = share * flat[self.places] + (1 - share) * other.to(flat.dtype)
        return flat.index_copy(0, self.places, mixed).view_as(embedded)


def shares_of(keys: U64, epochs: np.ndarray, *, seed: int) -> np.ndarray:
    """Returns lambda of each row, in [0.5, 1], keyed by its record and epoch."""
    drawn = draws(keys, epochs, seed=seed, operation="finetune/mixup")
    return np.maximum(drawn, 1.0 - drawn)


@dataclass(frozen=True)
class Tokens:
    """A tokenizer that knows which of its tokens spell anything."""

    tokenizer: Tokenizer

    @cached_property
    def is_spelled(self) -> Bool:
        """[size] False at tokens such as the bare mark of a word's beginning."""
        ids = [[i] for i in range(self.tokenizer.size)]
        texts = self.tokenizer.pretrained.backend_tokenizer.decode_batch(
            ids, skip_special_tokens=False
        )
        return np.asarray([bool(text.strip()) for text in texts])

    def candidate_ids(self, texts: Sequence[str]) -> dict[str, I32]:
        """Returns the tokens of each text; none for a text with a token that is not ordinary."""
        found = {}
        for text, side in zip(texts, self.tokenizer.encode(list(texts))):
            ids = side.ids[self.is_spelled[side.ids]]
            found[text] = ids if self.tokenizer.is_ordinary[ids].all() else ids[:0]
        return found


def read_choices(dataset: Dataset, wanted: Collection[str], tokens: Tokens) -> dict[str, Choices]:
    """Returns the candidates of sentences by `text_id`, where a word has any that can be used.

    Args:
        dataset: of kind candidates.
        wanted: ids of the sentences.
        tokens: of the model.
    """
    found = {}
    ids = pa.array(sorted(wanted), pa.string())
    for batch in dataset.batches():
        rows = batch.filter(pc.is_in(batch.column("text_id"), ids)).to_pylist()
        texts = {c["text"] for row in rows for word in row["candidates"] for c in word}
        known_ids = tokens.candidate_ids(sorted(texts))
        for row in rows:
            if (choices := _choices(row, known_ids)) is not None:
                found[row["text_id"]] = choices
    return found


def _choices(row: dict, known_ids: Mapping[str, I32]) -> Choices | None:
    spans, ids, weights = [], [], []
    for span, candidates in zip(row["spans"], row["candidates"]):
        word = row["text"][span["start"] : span["end"]]
        usable = [
            (known_ids[c["text"]], c["score"])
            for c in candidates
            if c["score"] > 0 and c["text"] != word and len(known_ids[c["text"]])
        ]
        if usable:
            total = sum(score for _, score in usable)
            spans.append((span["start"], span["end"]))
            ids.append(np.concatenate([i for i, _ in usable]))
            # A candidate's weight is spread over its subwords, which makes their mean.
            shares = [np.full(len(i), score / total / len(i), np.float32) for i, score in usable]
            weights.append(np.concatenate(shares))
    if not spans:
        return None
    return Choices(np.asarray(spans, np.int32), tuple(ids), tuple(weights))


def mixing_of(
    sides: Sequence[tuple[Encoding, str]], choices: Sequence[Choices | None], tokens: Tokens
) -> Mixing | None:
    """Returns what is mixed in `[CLS] s [SEP] t [SEP]`; None where nothing is.

    Args:
        sides: subwords, as truncated, and text of each field.
        choices: of each field, if it has any.
        tokens: of the model.
    """
    places, ids, weights = [], [], []
    first = 1
    for (side, text), own in zip(sides, choices):
        if own is not None:
            for place, word in _places(side, text, own.spans, tokens.is_spelled):
                places.append(first + place)
                ids.append(own.ids[word])
                weights.append(own.weights[word])
        # + 1: the separator behind each side, as `first` began behind [CLS].
        first += len(side.ids) + 1
    if not places:
        return None
    rows = np.repeat(np.arange(len(places), dtype=np.int32), [len(i) for i in ids])
    return Mixing(np.asarray(places, np.int32), rows, np.concatenate(ids), np.concatenate(weights))


def _places(side: Encoding, text: str, spans: I32, is_spelled: Bool) -> list[tuple[int, int]]:
    """Returns (index of the subword, index of the word) where the one lies within the other."""
    found = []
    for place, (start, end) in enumerate(side.offsets.tolist()):
        while start < end and text[start].isspace():
            start += 1  # the space before a word is part of its token in SentencePiece
        word = int(np.searchsorted(spans[:, 0], start, side="right")) - 1
        if word >= 0 and start < end <= spans[word, 1] and is_spelled[side.ids[place]]:
            found.append((place, word))
    return found
