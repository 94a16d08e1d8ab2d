"""Runs: they learn, they resume exactly, they leave a folder that transformers loads."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForMaskedLM, AutoTokenizer

from bitextile.schema.errors import ConfigError, DatasetError, OutputExistsError, SchemaError
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.train.pretrain import pretrain, save_initial
from runs import metrics, weights


def test_a_run_is_a_model_folder_with_card_and_digests(config, datasets, tmp_path):
    run = tmp_path / "run"
    summary = pretrain(config(evaluate_every=2), str(run))
    assert (summary.steps, summary.interrupted) == (4, False)
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(run), AutoTokenizer.from_pretrained(run)
    ids = tokenizer("the red dog", return_tensors="pt")
    assert model(**{k: ids[k] for k in ("input_ids", "attention_mask")}).logits.isfinite().all()
    digest = json.loads((Path(datasets["aligned"]) / "manifest.json").read_text())["digest"]
    identity = json.loads((run / "bitextile.json").read_text())
    assert identity["datasets"][0]["digest"] == digest
    assert identity["step"] == 4
    card = (run / "README.md").read_text(encoding="utf-8")
    assert digest in card
    assert "Languages: ar, en." in card
    assert "objective: weam" in card
    assert not list(run.rglob("*.bin"))
    assert not list(run.rglob("*.pt"))
    valid = [m for m in metrics(run) if "valid" in m]
    assert [m["step"] for m in valid] == [2, 4]
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [e.step for e in board.Scalars("losses/weam/cp")] == [1, 2, 3, 4]


def test_training_lowers_the_loss(config, tmp_path):
    run = tmp_path / "run"
    # Vectors start small, so the first loss is about 2 log 150 = 10.0: nothing known.
    pretrain(config(steps=60, lr=5e-3, batch_tokens=512, evaluate_every=30), str(run))
    steps = [m["loss"] for m in metrics(run) if "loss" in m]
    assert steps[0] == pytest.approx(10.0, abs=0.3)
    assert sum(steps[-5:]) / 5 < 0.8 * steps[0]
    valid = [m["valid"]["weam"] for m in metrics(run) if "valid" in m]
    assert valid[1] < valid[0] < 10.0


def test_the_width_of_packed_rows_does_not_change_the_loss(config, tmp_path):
    # One input per row or many: the same sums, so the same losses up to rounding.
    geometry = config().model.config | {"hidden_dropout_prob": 0.0}
    model = {"config": geometry | {"attention_probs_dropout_prob": 0.0}}
    pretrain(config(model=model, row_tokens=64), str(tmp_path / "narrow"))
    pretrain(config(model=model, row_tokens=512), str(tmp_path / "wide"))
    for a, b in zip(metrics(tmp_path / "narrow"), metrics(tmp_path / "wide")):
        assert a["records"] == b["records"]
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=1e-4)


def test_training_goes_on_from_a_checkpoint_of_a_run(config, tmp_path):
    pretrain(config(), str(tmp_path / "first"))
    second = tmp_path / "second"
    pretrain(config(model={"checkpoint": str(tmp_path / "first")}, lr=1e-9), str(second))
    a, b = weights(tmp_path / "first"), weights(second)
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)


def test_refusals_leave_nothing_behind(config, datasets, tmp_path):
    run = tmp_path / "run"
    wrong = [{"objective": "weam", "dataset": datasets["pairs"]}]
    with pytest.raises(
        SchemaError, match=r"data.0: weam learns from aligned or exchange, but .*/pairs"
    ):
        pretrain(config(data=wrong), str(run))
    with pytest.raises(ConfigError, match="device is cuda"):
        pretrain(config(device="cuda"), str(run))
    with pytest.raises(DatasetError, match=r"no manifest\.json"):
        pretrain(config(data=[{"objective": "mlm", "dataset": str(tmp_path)}]), str(run))
    assert not run.exists()


def test_another_tokenizer_than_the_checkpoints_is_refused(config, tmp_path, tokenizer_folder):
    pretrain(config(), str(tmp_path / "run"))
    other = tmp_path / "tokenizer"
    shutil.copytree(tokenizer_folder, other)
    definition = json.loads((other / "tokenizer.json").read_text())
    definition["model"]["merges"].pop()
    (other / "tokenizer.json").write_text(json.dumps(definition))
    settings = {"tokenizer": str(other), "model": {"checkpoint": str(tmp_path / "run")}}
    with pytest.raises(ConfigError, match="give the tokenizer in that folder"):
        pretrain(config(**settings), str(tmp_path / "next"))


def test_a_loss_that_is_not_finite_stops_with_record_ids(config, tmp_path):
    with pytest.raises(
        TrainingError, match=r"step 2: .* not finite; its records are [0-9a-f]{32}, "
    ):
        pretrain(config(lr=1e30, max_grad_norm=0, warmup_steps=0), str(tmp_path / "run"))


def test_bf16_trains_on_a_cpu_too(config, tmp_path):
    assert pretrain(config(precision="bf16", steps=2), str(tmp_path / "run")).loss < 11.0
    assert all(w.dtype == torch.float32 for w in weights(tmp_path / "run").values())


def test_the_initial_model_is_what_a_run_starts_from(config, tmp_path):
    save_initial(config(), str(tmp_path / "initial"))
    pretrain(config(steps=1, lr=1e-3, warmup_steps=10**5), str(tmp_path / "run"))
    a, b = weights(tmp_path / "initial"), weights(tmp_path / "run")
    # Adam's first update is about the learning rate, here 1e-8, where the rise has begun.
    assert all(torch.allclose(a[k], b[k], rtol=0, atol=1e-7) for k in a)
    with pytest.raises(OutputExistsError):
        save_initial(config(), str(tmp_path / "initial"))
    save_initial(config(), str(tmp_path / "initial"), overwrite=True)
