"""Nearest neighbours of word embeddings against a slow obvious version."""

import numpy as np
import pytest
import torch

from bitextile.schema.errors import InputError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import load_tokenizer
from bitextile.trainer.evaluate.bli import BliResult, BliTask
from bitextile.trainer.evaluate.task import NoOptions
from bitextile.trainer.evaluate.vectors import Embedder
from bitextile.trainer.model.build import build_encoder

GEOMETRY = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
PAIRS = [("dog", "كلب"), ("house", "بيت"), ("house", "سماء"), ("skies", "سماء"), ("red", "أحمر")]


@pytest.fixture(scope="module")
def embedder(tokenizer_folder):
    tokenizer = load_tokenizer(tokenizer_folder)
    encoder = build_encoder(ModelConfig(config=GEOMETRY), tokenizer, max_length=32, seed=1)
    with torch.no_grad():  # spread out, as trained embeddings are
        encoder.table.copy_(torch.randn(encoder.table.shape, generator=torch.manual_seed(4)))
    return Embedder(encoder.eval(), tokenizer, 1, 32, torch.device("cpu"))


def induce(embedder, path: str) -> dict[str, BliResult]:
    task, options = BliTask(), NoOptions()
    (lexicon,) = task.read([path], options).values()
    return task.metrics(embedder, lexicon, options)


def vector(embedder, word: str) -> np.ndarray:
    ids = embedder.tokenizer.encode([word])[0].ids.tolist()
    return embedder.encoder.table.detach().numpy()[ids].mean(axis=0)


def naive(embedder, queries, candidates, right) -> float:
    hits = 0
    for q in queries:
        a = vector(embedder, q)
        cosines = {
            c: a @ (b := vector(embedder, c)) / np.linalg.norm(a) / np.linalg.norm(b)
            for c in candidates
        }
        hits += right(q, max(cosines, key=cosines.__getitem__))
    return hits / len(queries)


def test_shares_equal_the_naive_loop(embedder, tmp_path, write_lexicon):
    found = induce(embedder, write_lexicon(tmp_path / "lexicon", PAIRS))["ar-en"]
    src, tgt = sorted({s for s, _ in PAIRS}), sorted({t for _, t in PAIRS})
    forward = naive(embedder, src, tgt, lambda q, c: (q, c) in PAIRS)
    back = naive(embedder, tgt, src, lambda q, c: (c, q) in PAIRS)
    assert found.src_to_tgt.value == pytest.approx(forward)
    assert found.tgt_to_src.value == pytest.approx(back)
    assert found.words == (4, 4)


def test_words_with_the_same_embedding_are_found(embedder, tmp_path, write_lexicon):
    twins = [("dog", "dog"), ("house", "house"), ("red", "red")]
    found = induce(embedder, write_lexicon(tmp_path / "lexicon", twins))["ar-en"]
    assert (found.src_to_tgt.value, found.tgt_to_src.value) == (1.0, 1.0)


def test_an_empty_lexicon_is_refused(embedder, tmp_path, write_lexicon):
    with pytest.raises(InputError, match="no pair to score"):
        induce(embedder, write_lexicon(tmp_path / "lexicon", []))
