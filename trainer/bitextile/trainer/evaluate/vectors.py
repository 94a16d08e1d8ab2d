"""Sentence and word vectors of an encoder at a layer, in packed rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bitextile.kernels.arrays import F64
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.examples import join
from bitextile.trainer.data.packed import Packed, flatten, map_tensors, pack_inputs
from bitextile.trainer.data.tokens import Encoding, Tokenizer, load_tokenizer, truncate
from bitextile.trainer.evaluate.gold import Spans
from bitextile.trainer.model.build import load_masked_lm
from bitextile.trainer.model.encoder import Encoder

BATCH_TOKENS = 8_192
"""Tokens of a batch: keeps a base model within some hundred MB."""


@dataclass(frozen=True)
class Embedder:
    """An encoder ready to give vectors.

    Attributes:
        encoder: in evaluation mode, on its device.
        tokenizer: its tokenizer.
        layer: 0 is the embeddings.
        max_length: tokens of an input.
        device: that of the encoder.
    """

    encoder: Encoder
    tokenizer: Tokenizer
    layer: int
    max_length: int
    device: torch.device


def load_embedder(model: str, *, layer: int | None = None) -> Embedder:
    """Loads a model folder for evaluation.

    Args:
        model: as `pretrain` or `save_pretrained` writes it, tokenizer included.
        layer: whose vectors; None takes two thirds up, the 8th of 12: there SimAlign (Jalili Sabet
            et al. 2020, figure 3) finds words of two languages closest, while the last layers turn
            back to the vocabulary they predict.

    Raises:
        ConfigError: no such model or layer.
    """
    tokenizer = load_tokenizer(model)
    encoder = Encoder(load_masked_lm(model), is_piece=tokenizer.is_piece)
    chosen = round(encoder.layers * 2 / 3) if layer is None else layer
    if not 0 <= chosen <= encoder.layers:
        raise ConfigError(f"layer is {layer}, but {model} has layers 0 to {encoder.layers}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # RoBERTa-like models lose pad + 1 positions (model/encoder.py: first_position).
    room = encoder.mlm.config.max_position_embeddings - tokenizer.pad - 1
    return Embedder(encoder.to(device).eval(), tokenizer, chosen, min(room, 512), device)


def sentence_vectors(embedder: Embedder, texts: Sequence[str]) -> F64:
    """Returns [n, H]: the mean vector of each sentence's subwords, special tokens left out."""
    vectors = np.zeros((len(texts), embedder.encoder.width))
    for place, hidden, _ in _encoded(embedder, texts):
        vectors[place] = hidden.mean(axis=0) if len(hidden) else 0.0
    return vectors


def word_vectors(embedder: Embedder, texts: Sequence[str], spans: Sequence[Spans]) -> list[F64]:
    """Returns for each sentence [words, H]: the mean vector of the subwords of each word.

    A word without a subword of its own, because the input was truncated, gets zeros.
    """
    vectors: list[F64] = [np.zeros((0, 0))] * len(texts)
    for place, hidden, side in _encoded(embedder, texts):
        words = np.zeros((len(spans[place]), embedder.encoder.width))
        starts, ends = side.offsets[:, 0], side.offsets[:, 1]
        for w, (start, end) in enumerate(spans[place]):
            # Any overlap counts: a subword across two words is of both.
            inside = (starts < end) & (ends > start)
            if inside.any():
                words[w] = hidden[inside].mean(axis=0)
        vectors[place] = words
    return vectors


def _encoded(embedder: Embedder, texts: Sequence[str]) -> Iterator[tuple[int, F64, Encoding]]:
    """Yields (index of the text, [n, H] vectors of its subwords, the subwords), longest first."""
    tokenizer, room = embedder.tokenizer, embedder.max_length - 2
    # Longest first, so that a batch has hardly any padding and memory is known from the first.
    sides = [
        truncate(s, room, t) for s, t in zip(tokenizer.encode(list(texts)), texts, strict=True)
    ]
    order = sorted(range(len(sides)), key=lambda i: -len(sides[i].ids))
    while order:
        width = len(sides[order[0]].ids) + 2
        places, order = _within_budget(order, sides)
        flat = flatten([join(tokenizer, sides[i], languages=("",)) for i in places])
        packed, _ = pack_inputs(flat, flat.tokens, width=width, pad=tokenizer.pad)
        hidden = _hidden(embedder, packed)
        for place, start in zip(places, packed.starts.tolist()):
            yield place, hidden[start + 1 : start + 1 + len(sides[place].ids)], sides[place]


def _within_budget(order: list[int], sides: Sequence[Encoding]) -> tuple[list[int], list[int]]:
    """Splits off the first texts that have at most BATCH_TOKENS together, one at least."""
    tokens = np.cumsum([len(sides[i].ids) + 2 for i in order])
    n = max(1, int(np.searchsorted(tokens, BATCH_TOKENS, side="right")))
    return order[:n], order[n:]


def _hidden(embedder: Embedder, packed: Packed) -> F64:
    with torch.no_grad():
        on_device = map_tensors(packed, lambda tensor: tensor.to(embedder.device))
        flat = embedder.encoder.vectors(on_device, layer=embedder.layer)
    return flat.double().cpu().numpy()
