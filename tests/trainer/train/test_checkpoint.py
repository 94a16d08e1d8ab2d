"""Checkpoints are whole or not used, and give back every bit."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bitextile.schema.errors import ConfigError
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import pretrain


def metrics(run: Path) -> list[dict]:
    lines = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: m[k] for k in ("step", "loss", "records", "gradient_norm")} for m in lines]


@pytest.fixture(scope="module")
def settings(datasets):
    entry = {"objective": "moco", "dataset": datasets["pairs"], "queue": 16, "projection": 8}
    more = {"checkpoint_every": 2, "keep_checkpoints": 9, "language_embeddings": True}
    return {"data": [entry], "steps": 6} | more


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_number(path: Path) -> None:
    text = path.read_text()
    assert '"draws": ' in text
    path.write_text(text.replace('"draws": ', '"draws": 1', 1))


DAMAGE = [
    ("model.safetensors", flip, "model.safetensors has changed"),
    ("optimiser.safetensors", shorten, "optimiser.safetensors has changed"),
    ("objectives.safetensors", Path.unlink, "objectives.safetensors is missing"),
    ("languages.safetensors", flip, "languages.safetensors has changed"),
    ("tokenizer.json", flip, "tokenizer.json has changed"),
    ("config.json", Path.unlink, "config.json is missing"),
    ("state.json", halve, "state.json"),
    ("state.json", flip_number, "state.json has changed"),
    ("state.json", Path.unlink, "state.json"),
    ("state.json", lambda path: path.write_text("[]"), "state.json"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.mark.parametrize(("name", "harm", "said"), DAMAGE)
def test_a_damaged_checkpoint_is_skipped(
    config, settings, whole, tmp_path, caplog, name, harm, said
):
    if not whole.exists():
        pretrain(config(**settings), str(whole))
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    newest = checkpoints(run)[-1]
    harm(newest / name)
    with caplog.at_level(logging.WARNING):
        resumed = pretrain(config(**settings), str(run), resume=True)
    (warning,) = (r.getMessage() for r in caplog.records)
    assert "step-00000006: the checkpoint is damaged (" in warning
    assert "the run resumes from step-00000004" in warning
    assert said in warning
    assert resumed.steps == 6
    assert metrics(run) == metrics(whole)
    for file in ("model.safetensors", "optimiser.safetensors", "objectives.safetensors"):
        one, other = (load_file(checkpoints(r)[-1] / file) for r in (run, whole))
        assert all(torch.equal(one[k], other[k]) for k in one | other)


def test_where_all_are_damaged_the_run_says_so(config, settings, tmp_path):
    run = tmp_path / "run"
    pretrain(config(**settings), str(run))
    for folder in checkpoints(run):
        flip(folder / "model.safetensors")
    with pytest.raises(TrainingError, match=r"no checkpoint can be used: .*start anew") as caught:
        pretrain(config(**settings), str(run), resume=True)
    assert str(caught.value).count("is damaged") == 3


def test_leftovers_of_a_killed_run_go_when_it_is_resumed(config, settings, tmp_path):
    run = tmp_path / "run"
    pretrain(config(**settings), str(run))
    leftover = run / "checkpoints" / ".step-00000008.4711.tmp"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    pretrain(config(**settings), str(run), resume=True)
    assert not leftover.exists()


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
    assert torch.allclose(taken, table[1:], atol=1e-9)


def test_more_positions_than_the_model_has_are_refused(config, tmp_path):
    pretrain(config(), str(tmp_path / "run"))
    settings = {"model": {"checkpoint": str(tmp_path / "run")}, "max_length": 4000}
    with pytest.raises(ConfigError, match="max_length is 4000; lower it"):
        pretrain(config(**settings, batch_tokens=4096), str(tmp_path / "next"))
