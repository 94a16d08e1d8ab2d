"""Language embeddings are written beside the model and taken over by the next run."""

import json

import pytest
import torch
from safetensors.torch import load_file

from bitextile.trainer.generate.checkpoint import known_languages
from bitextile.trainer.model.languages import load_languages, save_languages
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
