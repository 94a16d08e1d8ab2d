"""Sentence and word vectors of an encoder at a layer, in packed rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from bitextile.kernels.align.encoder.config import default_layer
from bitextile.kernels.arrays import F64, Bool
from bitextile.kernels.progress import count, numbered
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.examples import join
from bitextile.trainer.data.packed import Packed, flatten, language_ids, map_tensors, pack_inputs
from bitextile.trainer.data.tokens import Encoding, Tokenizer, load_tokenizer, truncate
from bitextile.trainer.evaluate.gold import Spans
from bitextile.trainer.evaluate.task import WITH, WITHOUT
from bitextile.trainer.evaluate.trained import default_pooling, resets_positions
from bitextile.trainer.generate.checkpoint import known_languages
from bitextile.trainer.model.build import load_masked_lm, load_predictor
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.model.languages import load_languages
from bitextile.trainer.model.projection import load_projection
from bitextile.trainer.objectives.config import Pooling

BATCH_TOKENS = 8_192
"""Tokens of a batch: keeps a base model within some hundred MB."""
UNKNOWN = "und"
"""BCP-47 for a language that nobody has named."""


@dataclass(frozen=True)
class Embedder:
    """An encoder ready to give vectors.

    Attributes:
        encoder: in evaluation mode, on its device.
        tokenizer: its tokenizer.
        layer: 0 is the embeddings.
        max_length: tokens of an input.
        device: that of the encoder.
        pooling: how the vector of a sentence is made.
        prefix: text put before each sentence.
        projection: for pooling `projection`.
        languages: index of each language's embedding; None where these are not added.
        resets_positions: whether the run learned pairs whose second sentence begins at position 0.
    """

    encoder: Encoder
    tokenizer: Tokenizer
    layer: int
    max_length: int
    device: torch.device
    pooling: Pooling = "mean"
    prefix: str = ""
    projection: nn.Module | None = None
    languages: Mapping[str, int] | None = None
    resets_positions: bool = False

    def knows(self, languages: Iterable[str]) -> bool:
        """Returns whether each of some languages has an embedding, or none is added."""
        return self.languages is None or all(tag in self.languages for tag in languages)

    def settings(self) -> dict[str, Any]:
        """Returns what a report says of vectors: layer, prefix, and languages with an embedding."""
        languages = list(self.languages or ())
        named = {"language_embeddings": languages} if languages else {}
        return {"layer": self.layer, "prefix": self.prefix} | named


def load_embedder(
    model: str,
    *,
    layer: int | None = None,
    pooling: Pooling | None = None,
    prefix: str = "",
    predicts: bool = False,
) -> Embedder:
    """Loads a model folder for evaluation.

    Args:
        model: as `pretrain` or `save_pretrained` writes it, tokenizer included.
        layer: whose vectors; None takes two thirds up, the 8th of 12: there SimAlign (Jalili Sabet
            et al. 2020, figure 3) finds words of two languages closest, while the last layers turn
            back to the vocabulary they predict. Of poolings other than mean it is the last one.
        pooling: of sentences; None for what the run's objectives trained, mean where they trained
            no vector of a sentence or a layer is named.
        prefix: text put before each sentence.
        predicts: whether its head will be asked for words.

    Raises:
        ConfigError: no such model or layer, no projection of the last layer, or a head that is
            to predict and is not trained.
    """
    tokenizer = load_tokenizer(model)
    mlm = load_predictor(model, allow_initial=True) if predicts else load_masked_lm(model)
    encoder = _encoder_of(mlm, model, tokenizer)
    if pooling is None:
        pooling = default_pooling(model) if layer is None else "mean"
    usual = default_layer(encoder.layers) if pooling == "mean" else encoder.layers
    chosen = usual if layer is None else layer
    if not 0 <= chosen <= encoder.layers:
        raise ConfigError(f"layer is {layer}, but {model} has layers 0 to {encoder.layers}")
    if pooling == "projection" and chosen != encoder.layers:
        raise ConfigError(
            f"layer is {layer}, but the projection was trained on layer {encoder.layers}, the last "
            f"of {model}; leave the layer out, or give --pooling cls or mean"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    projection = load_projection(model).to(device) if pooling == "projection" else None
    languages = {tag: i for i, tag in enumerate(encoder.languages)} or None
    # RoBERTa-like models lose pad + 1 positions (model/encoder.py: first_position).
    room = min(encoder.mlm.config.max_position_embeddings - tokenizer.pad - 1, 512)
    encoder = encoder.to(device).eval()
    return Embedder(
        encoder,
        tokenizer,
        chosen,
        room,
        device,
        pooling=pooling,
        prefix=prefix,
        projection=projection,
        languages=languages,
        resets_positions=resets_positions(model),
    )


def _encoder_of(mlm: Any, model: str, tokenizer: Tokenizer) -> Encoder:
    known = known_languages(model)
    with torch.random.fork_rng(devices=[]):  # fresh language embeddings are replaced
        encoder = Encoder(mlm, known, is_piece=tokenizer.is_piece)
    if encoder.language is not None:
        load_languages(Path(model), known, encoder.language)
    return encoder


def with_and_without_languages(embedder: Embedder, measure: Callable[[Embedder], Any]) -> Any:
    """Measures a run with language embeddings both ways, any other once.

    A user of the model has it without them, and its training had them.

    Args:
        embedder: of the run.
        measure: gives the figures of an embedder, or None where it knows none of the languages.

    Returns:
        Figures; of a run with language embeddings those by WITHOUT and, unless None, by WITH.
    """
    plain = measure(replace(embedder, languages=None))
    if embedder.languages is None:
        return plain
    added = measure(embedder)
    return {WITHOUT: plain} | ({} if added is None else {WITH: added})


class SentenceVectors(NamedTuple):
    """Vectors of sentences, and what the model was given of each.

    Attributes:
        vectors: [n, H], or as wide as the projection.
        inputs: [n] the subwords, as bytes: equal for equal inputs.
        truncated: [n] True where a sentence was too long for the model.
    """

    vectors: F64
    inputs: list[bytes]
    truncated: Bool


class WordVectors(NamedTuple):
    """Vectors of words.

    Attributes:
        vectors: of each sentence [words, H]; zeros for a word that the model did not see, because
            its sentence was too long.
        truncated: [n] True where a sentence was too long for the model.
    """

    vectors: list[F64]
    truncated: Bool


def sentence_vectors(embedder: Embedder, texts: Sequence[str]) -> F64:
    """Returns [n, H] the vector of each sentence, as `embed_sentences` gives it."""
    return embed_sentences(embedder, texts).vectors


def embed_sentences(
    embedder: Embedder, texts: Sequence[str], *, language: str = UNKNOWN
) -> SentenceVectors:
    """Returns the vectors of sentences in one language, pooled as the embedder says.

    `mean` is that of a sentence's subwords, special tokens left out; zeros without any.
    """
    vectors, inputs = np.zeros((len(texts), embedder.encoder.width)), [b""] * len(texts)
    truncated = np.zeros(len(texts), bool)
    for place, hidden, side in _encoded(embedder, texts, [language] * len(texts)):
        inputs[place], truncated[place] = side.ids.tobytes(), side.n_truncated > 0
        if embedder.pooling != "mean":
            vectors[place] = hidden[0]
        elif len(side.ids):
            vectors[place] = hidden[1:].mean(axis=0)
    if embedder.projection is not None:
        with torch.no_grad():
            firsts = torch.from_numpy(vectors).float().to(embedder.device)
            vectors = embedder.projection(firsts).double().cpu().numpy()
    return SentenceVectors(vectors, inputs, truncated)


def word_vectors(embedder: Embedder, texts: Sequence[str], spans: Sequence[Spans]) -> list[F64]:
    """Returns for each sentence [words, H] the vectors of its words, as `embed_words` does."""
    return embed_words(embedder, texts, spans, [UNKNOWN] * len(texts)).vectors


def embed_words(
    embedder: Embedder, texts: Sequence[str], spans: Sequence[Spans], languages: Sequence[str]
) -> WordVectors:
    """Returns the vectors of words: the mean of the subwords of each.

    Args:
        embedder: its pooling does not matter here.
        texts: sentences.
        spans: of the words of each, code points.
        languages: of each.
    """
    vectors: list[F64] = [np.zeros((0, 0))] * len(texts)
    truncated = np.zeros(len(texts), bool)
    before = len(embedder.prefix)
    for place, hidden, side in _encoded(embedder, texts, languages):
        truncated[place] = side.n_truncated > 0
        words = np.zeros((len(spans[place]), embedder.encoder.width))
        starts, ends = side.offsets[:, 0] - before, side.offsets[:, 1] - before
        for w, (start, end) in enumerate(spans[place]):
            # Any overlap counts: a subword across two words is of both.
            inside = (starts < end) & (ends > start)
            if inside.any():
                words[w] = hidden[1:][inside].mean(axis=0)
        vectors[place] = words
    return WordVectors(vectors, truncated)


def _encoded(
    embedder: Embedder, texts: Sequence[str], languages: Sequence[str]
) -> Iterator[tuple[int, F64, Encoding]]:
    """Yields index, [1 + n, H] vectors of [CLS] and the subwords, the subwords; longest first."""
    tokenizer, room = embedder.tokenizer, embedder.max_length - 2
    texts = [embedder.prefix + text for text in texts]
    # Longest first, so that a batch has hardly any padding and memory is known from the first.
    sides = [truncate(s, room, t) for s, t in zip(tokenizer.encode(texts), texts, strict=True)]
    order = sorted(range(len(sides)), key=lambda i: -len(sides[i].ids))
    step = numbered("EmbedTexts")
    while order:
        width = len(sides[order[0]].ids) + 2
        places, order = _within_budget(order, sides)
        inputs = [join(tokenizer, sides[i], languages=(languages[i],)) for i in places]
        flat = flatten(inputs)
        packed, _ = pack_inputs(
            flat,
            flat.tokens,
            width=width,
            pad=tokenizer.pad,
            languages=language_ids(inputs, flat, embedder.languages),
        )
        hidden = _hidden(embedder, packed)
        count(step, len(places), total=len(texts))
        for place, start in zip(places, packed.starts.tolist()):
            yield place, hidden[start : start + 1 + len(sides[place].ids)], sides[place]


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
