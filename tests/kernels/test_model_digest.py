"""Digests of model folders: over what decides the output, and nothing else."""

import pytest

from bitextile.kernels.model_digest import check_encoder, encoder_digest, model_digest
from bitextile.schema.errors import ConfigError


@pytest.fixture
def model(tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_digest_changes_with_any_file_that_decides(model) -> None:
    found = {model_digest(str(model))}
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (model / name).write_text("other")
        found.add(model_digest(str(model)))
    (model / "vocab.txt").write_text("a")
    found.add(encoder_digest(str(model)))
    assert len(found) == 5
    assert all(digest.startswith("sha256:") for digest in found)


def test_a_digest_knows_files_by_name_and_leaves_logs_out(model, tmp_path_factory) -> None:
    before = model_digest(str(model))
    (model / "README.md").write_text("trained today")
    (model / "training.log").write_text("loss 1.0")
    assert model_digest(str(model)) == before
    (model / "tokenizer.json").rename(model / "tokenizer_config.json")
    assert model_digest(str(model)) != before


@pytest.mark.parametrize(
    ("missing", "message"),
    [("config.json", "has no config.json"), ("model.safetensors", r"has no \*\.safetensors")],
)
def test_what_is_no_encoder_is_refused(model, missing: str, message: str) -> None:
    check_encoder(str(model))
    (model / missing).unlink()
    with pytest.raises(ConfigError, match=message):
        encoder_digest(str(model))


def test_a_name_that_is_no_folder_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        model_digest(str(tmp_path / "xlm-roberta-base"))
