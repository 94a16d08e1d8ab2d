"""Sentence and word vectors against the whole transformers model."""

import numpy as np
import pytest
import torch

from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.examples import join
from bitextile.trainer.evaluate.vectors import load_embedder, sentence_vectors, word_vectors


def test_the_layer_is_two_thirds_up_by_default(model):
    assert load_embedder(model).layer == 1
    assert load_embedder(model, layer=2).layer == 2
    with pytest.raises(ConfigError, match="layers 0 to 2"):
        load_embedder(model, layer=3)


def test_vectors_are_means_of_subwords_whatever_they_are_batched_with(model):
    embedder = load_embedder(model)
    text, others = "the red dog", ["a", "birds sing under blue skies " * 3]
    vectors = sentence_vectors(embedder, [others[0], text, others[1]])
    alone = sentence_vectors(embedder, [text])
    assert np.allclose(vectors[1], alone[0], atol=1e-6)
    side = embedder.tokenizer.encode([text])[0]
    ids = join(embedder.tokenizer, side, languages=("en",)).tokens
    with torch.no_grad():
        states = embedder.encoder.mlm.base_model(
            input_ids=torch.tensor(ids[None].astype(int)), output_hidden_states=True
        ).hidden_states[embedder.layer][0]
    assert np.allclose(alone[0], states[1:-1].mean(0).numpy(), atol=1e-6)
    spans = ((0, 3), (4, 7), (8, 11))
    words = word_vectors(embedder, [text], [spans])[0]
    for vector, (start, end) in zip(words, spans):
        inside = [k for k, (s, e) in enumerate(side.offsets.tolist()) if s < end and e > start]
        want = states[1:-1][inside].mean(0).numpy()
        assert np.allclose(vector, want, atol=1e-6)


def test_texts_longer_than_the_model_are_cut(model):
    vectors = sentence_vectors(load_embedder(model), ["the red dog sees " * 100, ""])
    assert np.isfinite(vectors).all()
    assert not vectors[1].any()
