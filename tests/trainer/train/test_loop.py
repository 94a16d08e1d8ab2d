"""The loop: signals, outputs that exist, runs that are done."""

import signal

import pytest

from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.trainer.observe.metrics import Metrics
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import pretrain
from runs import metrics, same_weights


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
