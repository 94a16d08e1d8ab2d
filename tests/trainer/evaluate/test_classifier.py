"""A classifier predicts alike in any batch; what is none is not loaded."""

from pathlib import Path

import numpy as np
import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate import classifier as module
from bitextile.trainer.evaluate.classifier import load_classifier, predict

PREMISES = ["the red dog", "old trees while birds sing", "a small house near blue skies"] * 4
HYPOTHESES = ["birds", "the dog sees a house", ""] * 4


def test_batches_change_nothing(classifier, monkeypatch):
    loaded = load_classifier(classifier)
    whole, n_cut = predict(loaded, [PREMISES, HYPOTHESES])
    assert n_cut == 0
    # A row or two per batch, and so hardly any padding.
    monkeypatch.setattr(module, "BATCH_TOKENS", 16)
    assert (predict(loaded, [PREMISES, HYPOTHESES])[0] == whole).all()
    order = np.random.default_rng(0).permutation(12)
    moved = [[texts[i] for i in order] for texts in (PREMISES, HYPOTHESES)]
    assert (predict(loaded, moved)[0] == whole[order]).all()


def test_what_is_no_classifier_is_refused(model, classifier, tmp_path):
    with pytest.raises(ConfigError, match="expected a sequence classifier"):
        load_classifier(model)
    with pytest.raises(ConfigError, match=r"config\.json is missing"):
        load_classifier(str(tmp_path / "none"))
    weights = Path(classifier) / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(ConfigError, match="pickles can run code"):
        load_classifier(classifier)
