"""Language embeddings are written beside the model and taken over by the next run."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.checkpoint import known_languages
from bitextile.trainer.model.languages import (
    LANGUAGES,
    load_languages,
    read_languages,
    save_languages,
)
from bitextile.trainer.train.pretrain import pretrain


@pytest.fixture(scope="module")
def settings(datasets):
    entry = {"objective": "moco", "dataset": datasets["pairs"], "queue": 16, "projection": 8}
    more = {"checkpoint_every": 2, "keep_checkpoints": 9, "language_embeddings": True}
    return {"data": [entry], "steps": 6} | more


def test_language_embeddings_go_round_and_on_to_the_next_run(config, settings, datasets, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    pretrain(config(**settings), str(first))
    table = load_file(first / "languages.safetensors")["language"]
    assert table.shape == (2, 32)
    assert json.loads((first / "bitextile.json").read_text())["language_embeddings"] == ["ar", "en"]
    assert "language embeddings: ar, en" in (first / "README.md").read_text(encoding="utf-8")
    # Of the next run's languages, `en` is known; nothing moves at a rate of 1e-12.
    entry = {"objective": "mlm", "dataset": datasets["mono"]}
    more = {"data": [entry], "lr": 1e-12, "language_embeddings": True}
    pretrain(config(model={"checkpoint": str(first)}, **more), str(second))
    taken = load_file(second / "languages.safetensors")["language"]
    # Sorted tags: row 0 is ar, row 1 en.
    assert torch.allclose(taken, table[1:], atol=1e-9)


@pytest.mark.parametrize("written", ["fra", "fr_XX", "fra_Latn", "fr"])
def test_languages_of_a_folder_are_known_by_their_tags(tmp_path, written):
    """Whatever form the folder's tags have; `de` is new and stays fresh."""
    table = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    save_languages(tmp_path, ["eng_Latn", written], table)
    assert known_languages(str(tmp_path)) == ("en", "fr")
    fresh = torch.nn.Embedding(3, 4)
    before = fresh.weight.detach().clone()
    load_languages(tmp_path, ["de", "en", "fr"], fresh)
    assert torch.equal(fresh.weight[1:], table)
    assert torch.equal(fresh.weight[0], before[0])


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"pickle"])
def test_a_damaged_file_of_embeddings_is_one_sentence(tmp_path, content):
    (tmp_path / LANGUAGES).write_bytes(content)
    with pytest.raises(ConfigError, match="no language embeddings"):
        read_languages(tmp_path / LANGUAGES)


@pytest.mark.parametrize("tags", ['["de"]', '{"de": 1, "fr": 2, "en": 3}', "7", "["])
def test_embeddings_and_languages_that_do_not_fit_are_refused(tmp_path, tags):
    save_file({"language": torch.ones(2, 4)}, tmp_path / LANGUAGES, {"languages": tags})
    with pytest.raises(ConfigError):
        read_languages(tmp_path / LANGUAGES)


def test_embeddings_of_another_width_are_refused(tmp_path):
    save_languages(tmp_path, ["de"], torch.ones(1, 4))
    with pytest.raises(ConfigError, match=r"expected \[8\]"):
        load_languages(tmp_path, ["de"], torch.nn.Embedding(1, 8))
