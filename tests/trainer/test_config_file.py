"""A configuration file is checked whole before anything is read; each mistake is named."""

import pytest
from pydantic import ValidationError

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import load_config

MINIMAL = """
tokenizer: tokenizer
data:
  - {objective: mlm, dataset: ../shards/mono}
steps: 10
"""


def load(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return load_config(PretrainConfig, str(path))


def test_paths_start_at_the_file(tmp_path):
    config = load(tmp_path, MINIMAL + "model: {checkpoint: before}\n")
    assert config.tokenizer == str(tmp_path / "tokenizer")
    assert config.data[0].dataset == str(tmp_path.parent / "shards/mono")
    assert config.model.checkpoint == str(tmp_path / "before")
    remote = load(tmp_path, MINIMAL.replace("../shards", "gs://bucket/shards"))
    assert remote.data[0].dataset == "gs://bucket/shards/mono"


def test_it_is_frozen(tmp_path):
    config = load(tmp_path, MINIMAL)
    with pytest.raises(ValidationError):
        config.steps = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "setps: 3", r"unknown key 'setps' \(did you mean 'steps'\?\)"),
        (
            MINIMAL.replace("objective: mlm", "objectiv: mlm"),
            r"unknown key 'data.0.objectiv' \(did you mean 'objective'\?\)",
        ),
        (MINIMAL.replace("objective: mlm, ", ""), "data.0.objective is missing, expected one of"),
        (
            MINIMAL.replace("objective: mlm", "objective: nsp"),
            "data.0.objective is 'nsp', expected one of mlm, tlm, .*dict_mlm$",
        ),
        (
            MINIMAL.replace("mono}", "mono, wheight: 2}"),
            r"unknown key 'data.0.wheight' \(did you mean 'weight'\?\);",
        ),
        (MINIMAL.replace("mono}", "mono, weight: 0}"), "data.0.weight: .*greater than 0.*got 0$"),
        (MINIMAL.replace("objective: mlm", "objective: align_mlm"), "data.0.lexicon is missing$"),
        (
            MINIMAL.replace("objective: mlm", "objective: dict_mlm").replace(
                "mono}", "a, sample: 2}"
            ),
            "data.0: sample is an option of align_mlm, not of dict_mlm",
        ),
        ("tokenizer: a\ndata: []\nsteps: 1", r"data: .*at least 1 item.*got \[\]"),
        (MINIMAL.replace("steps: 10", ""), "steps is missing"),
        (MINIMAL.replace("steps: 10", "steps: 0"), "steps: .*greater than 0.*got 0"),
        (MINIMAL + "model: {preset: huge}", "model.preset: .*'huge'"),
        (MINIMAL + "model: {preset: mini, checkpoint: a}", "model: .*got preset and checkpoint"),
        (MINIMAL + "model: {config: {hidden_size: 3}}", "config lacks model_type"),
        (MINIMAL + "batch_tokens: 100", "batch_tokens is 100, less than max_length 128"),
        (
            MINIMAL.replace("mono}", "mono, exchange_layer: true}"),
            "exchange_layer is an option of weam, not of mlm",
        ),
        ("- a list", "holds a list, expected keys"),
        ("a: [", "not readable as YAML: line 1, column"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert "run.yaml: " in str(caught.value)


@pytest.mark.parametrize("entry", ["objectiv: mlm", "objective: nsp", "objective: mlm, foo: 1"])
def test_an_entry_that_is_refused_is_not_called_missing(tmp_path, entry):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, MINIMAL.replace("objective: mlm", entry))
    assert "at least 1 item" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        ConfigError, match=r"none\.yaml: no such file; give the path of a configuration"
    ):
        load_config(PretrainConfig, str(tmp_path / "none.yaml"))
