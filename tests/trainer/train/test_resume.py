"""Exact resume: the same records and weights, and only of the run that began."""

import shutil

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import pretrain
from runs import metrics, same_weights


def test_a_run_killed_between_checkpoints_resumes_exactly(mixed, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pretrain(mixed(), str(whole))
    shutil.copytree(whole, killed)  # as a SIGKILL in step 5 leaves it: a line half written
    for path in [*checkpoints(killed)[1:], killed / "tensorboard"]:
        shutil.rmtree(path)
    for path in ("model.safetensors", "bitextile.json"):
        (killed / path).unlink()
    lines = (killed / "metrics.jsonl").read_text().splitlines(keepends=True)
    # Step 4 stands there, of step 5 a half: both are behind the checkpoint of step 3.
    (killed / "metrics.jsonl").write_text("".join(lines[:4]) + lines[4][:20])
    summary = pretrain(mixed(), str(killed), resume=True)
    assert summary.steps == 8
    assert metrics(killed) == metrics(whole)
    assert same_weights(whole, killed)
    assert summary.tokens == sum(m["tokens"] for m in metrics(whole))


def test_the_checkpoint_a_run_began_with_may_move_but_not_change(config, tmp_path):
    first, run = tmp_path / "first", str(tmp_path / "run")
    pretrain(config(), str(first))
    pretrain(config(model={"checkpoint": str(first)}), run)
    moved = first.rename(tmp_path / "moved")
    assert pretrain(config(model={"checkpoint": str(moved)}), run, resume=True).loss is None
    pretrain(config(steps=6), str(moved), resume=True)
    with pytest.raises(ConfigError, match="was trained with model ="):
        pretrain(config(model={"checkpoint": str(moved)}), run, resume=True)


def test_a_run_resumes_only_as_it_began(config, tmp_path, datasets, make_dataset):
    run = str(tmp_path / "run")
    pretrain(config(), run)
    with pytest.raises(ConfigError, match=r"trained with lr = 0\.0005, .* now says 0\.1"):
        pretrain(config(lr=0.1), run, resume=True)
    other = make_dataset(tmp_path / "other", "aligned", rows=30)
    with pytest.raises(ConfigError, match="was trained with data ="):
        pretrain(config(data=[{"objective": "weam", "dataset": other}]), run, resume=True)
