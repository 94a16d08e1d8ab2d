"""Options of the encoder aligner."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bitextile.kernels.align.encoder import config as module
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.schema.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"matching": "best"}, "matching is 'best', expected one of inter, itermax, mwmf, softmax"),
        ({"token_type": "byte"}, "token_type is 'byte', expected one of bpe, word"),
        ({"layer": -1}, "layer is -1"),
        ({"distortion": 1.5}, "distortion is 1.5"),
        ({"threshold": 0.0, "matching": "softmax"}, "threshold is 0.0"),
        ({"threshold": 1.0, "matching": "softmax"}, "threshold is 1.0"),
        ({"threshold": 0.5}, "threshold is for softmax"),
        ({"matching": "softmax", "distortion": 0.5}, "distortion is for similarities"),
    ],
)
def test_a_wrong_configuration_is_refused(field: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimalignConfig(encoder="e", **field)


def test_what_pipelines_ask_of_it() -> None:
    config = SimalignConfig(encoder="m/bert", matching="softmax", threshold=0.1, layer=0)
    assert config.fit_sample is None
    assert config.resolve_paths(Path("/r")).encoders == ("/r/m/bert",)
    assert config.lexicon_sources() == {}
    assert config.matcher.threshold == 0.1
    assert config.reproducible
    assert not config.takes_lexicon


@pytest.mark.parametrize(
    ("missing", "matching", "message"),
    [
        ("torch", "inter", "needs torch, which is not installed"),
        ("transformers", "softmax", r"needs transformers, .*bitextile\[align-neural\]"),
        ("scipy", "mwmf", "needs scipy"),
    ],
)
def test_a_library_that_is_missing_is_named(monkeypatch, missing, matching, message) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=message):
        SimalignConfig(encoder="e", matching=matching).check_installed()


def test_scipy_is_for_mwmf_alone(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "scipy" else object())
    SimalignConfig(encoder="e", matching="inter").check_installed()


@pytest.mark.parametrize(
    ("content", "layer"),
    [
        ({"num_hidden_layers": 12}, 8),
        ({"num_hidden_layers": 24}, 16),
        ({"num_hidden_layers": 4}, 3),
        ({"n_layers": 6}, 4),  # DistilBERT and XLM
        ({}, None),
    ],
)
def test_the_layer_is_two_thirds_up_by_default(content, layer, tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = SimalignConfig(encoder=str(tmp_path), prefix="query: ")
    assert config.with_encoder_defaults() == replace(config, layer=layer)
    named = replace(config, layer=1)
    assert named.with_encoder_defaults() == named
    assert HmmConfig().with_encoder_defaults() == HmmConfig()
