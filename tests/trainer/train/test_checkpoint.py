"""Checkpoints are whole or not used, and give back every bit."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

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
    # One bit: a file of weights that has it loads all the same.
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
    with pytest.raises(TrainingError, match=r"no checkpoint can be used: .*start over") as caught:
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


def test_only_the_last_checkpoints_stay(config, tmp_path):
    pretrain(config(checkpoint_every=1, keep_checkpoints=2), str(tmp_path / "run"))
    assert [c.name for c in checkpoints(tmp_path / "run")] == ["step-00000003", "step-00000004"]


def test_a_damaged_checkpoint_is_named(config, tmp_path):
    run = tmp_path / "run"
    pretrain(config(), str(run))
    (checkpoints(run)[-1] / "optimiser.safetensors").write_bytes(b"gone")
    with pytest.raises(TrainingError, match="step-00000004: the checkpoint is damaged"):
        pretrain(config(steps=6), str(run), resume=True)


def test_a_checkpoint_that_cannot_be_written_leaves_nothing_behind(config, tmp_path, monkeypatch):
    from bitextile.trainer.train import checkpoint

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match=r"cannot be written .*No space left"):
        pretrain(config(), str(tmp_path / "run"))
    assert not list((tmp_path / "run" / "checkpoints").iterdir())
