"""Runs: they learn, they resume exactly, they leave a folder that transformers loads."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForMaskedLM, AutoTokenizer

from bitextile.schema.errors import ConfigError, DatasetError, OutputExistsError, SchemaError
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.observe.metrics import Metrics
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import pretrain, save_initial


def metrics(run: Path) -> list[dict]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    volatile = ("tokens_per_s", "data_wait")
    return [{k: v for k, v in json.loads(x).items() if k not in volatile} for x in lines]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForMaskedLM.from_pretrained(run).named_parameters())


def same_weights(one: Path, two: Path) -> bool:
    a, b = weights(one), weights(two)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def mixture(datasets) -> list[dict]:
    return [
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "weam", "dataset": datasets["aligned"], "exchange_layer": True},
        {"objective": "tlm", "dataset": datasets["exchange"], "weight": 0.5},
    ]


@pytest.fixture
def mixed(config, mixture):
    settings = {"data": mixture, "steps": 8, "grad_accumulation": 2, "checkpoint_every": 3}
    return lambda **more: config(**(settings | {"keep_checkpoints": 9} | more))


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


def test_a_run_killed_between_checkpoints_resumes_exactly(mixed, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pretrain(mixed(), str(whole))
    shutil.copytree(whole, killed)  # as a SIGKILL in step 5 leaves it: a line half written
    for path in [*checkpoints(killed)[1:], killed / "tensorboard"]:
        shutil.rmtree(path)
    for path in ("model.safetensors", "bitextile.json"):
        (killed / path).unlink()
    lines = (killed / "metrics.jsonl").read_text().splitlines(keepends=True)
    (killed / "metrics.jsonl").write_text("".join(lines[:4]) + lines[4][:20])
    summary = pretrain(mixed(), str(killed), resume=True)
    assert summary.steps == 8
    assert metrics(killed) == metrics(whole)
    assert same_weights(whole, killed)
    assert summary.tokens == sum(m["tokens"] for m in metrics(whole))


def test_sigterm_writes_a_checkpoint_and_resume_goes_on(mixed, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    pretrain(mixed(), str(whole))
    write = Metrics.write

    def write_and_be_stopped(self, values):
        write(self, values)
        if values["step"] == 4:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", write_and_be_stopped)
        summary = pretrain(mixed(), str(stopped))
    assert (summary.steps, summary.interrupted) == (4, True)
    assert signal.getsignal(signal.SIGTERM) == before
    assert checkpoints(stopped)[-1].name == "step-00000004"
    assert not (stopped / "model.safetensors").exists()
    assert not pretrain(mixed(), str(stopped), resume=True).interrupted
    assert metrics(stopped) == metrics(whole)
    assert same_weights(whole, stopped)


def test_resume_without_a_checkpoint_starts_and_with_all_done_changes_nothing(config, tmp_path):
    run = tmp_path / "run"
    assert pretrain(config(), str(run), resume=True).steps == 4
    before = {p: p.stat().st_mtime_ns for p in run.glob("*.safetensors")}
    again = pretrain(config(), str(run), resume=True)
    assert (again.steps, again.loss) == (4, None)
    assert {p: p.stat().st_mtime_ns for p in run.glob("*.safetensors")} == before
    assert pretrain(config(steps=6), str(run), resume=True).steps == 6


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


def test_only_the_last_checkpoints_stay(config, tmp_path):
    pretrain(config(checkpoint_every=1, keep_checkpoints=2), str(tmp_path / "run"))
    assert [c.name for c in checkpoints(tmp_path / "run")] == ["step-00000003", "step-00000004"]


def test_training_goes_on_from_a_checkpoint_of_a_run(config, tmp_path):
    pretrain(config(), str(tmp_path / "first"))
    second = tmp_path / "second"
    pretrain(config(model={"checkpoint": str(tmp_path / "first")}, lr=1e-9), str(second))
    a, b = weights(tmp_path / "first"), weights(second)
    assert all(torch.allclose(a[k], b[k], atol=1e-6) for k in a)


def test_the_checkpoint_a_run_began_with_may_move_but_not_change(config, tmp_path):
    first, run = tmp_path / "first", str(tmp_path / "run")
    pretrain(config(), str(first))
    pretrain(config(model={"checkpoint": str(first)}), run)
    moved = first.rename(tmp_path / "moved")
    assert pretrain(config(model={"checkpoint": str(moved)}), run, resume=True).loss is None
    pretrain(config(steps=6), str(moved), resume=True)
    with pytest.raises(ConfigError, match="was trained with model ="):
        pretrain(config(model={"checkpoint": str(moved)}), run, resume=True)


def test_an_output_that_exists_is_refused(config, tmp_path):
    run = tmp_path / "run"
    pretrain(config(), str(run))
    with pytest.raises(OutputExistsError, match="--resume to go on, --overwrite to replace"):
        pretrain(config(), str(run))
    assert pretrain(config(steps=2), str(run), overwrite=True).steps == 2
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("years of work")
    for flags in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputExistsError, match="not a bitextile run"):
            pretrain(config(), str(foreign), **flags)
    assert (foreign / "chapter.txt").exists()
    with pytest.raises(ConfigError, match="exclude each other"):
        pretrain(config(), str(run), overwrite=True, resume=True)


def test_a_run_resumes_only_as_it_began(config, tmp_path, datasets, make_dataset):
    run = str(tmp_path / "run")
    pretrain(config(), run)
    with pytest.raises(ConfigError, match=r"trained with lr = 0\.0005, .* now says 0\.1"):
        pretrain(config(lr=0.1), run, resume=True)
    other = make_dataset(tmp_path / "other", "aligned", rows=30)
    with pytest.raises(ConfigError, match="was trained with data ="):
        pretrain(config(data=[{"objective": "weam", "dataset": other}]), run, resume=True)


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
