"""The folder of a run: one run at a time, no input deleted, known as a run's wherever it is cut."""

import multiprocessing
import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from bitextile.schema.errors import BitextileError, ConfigError, OutputExistsError, OutputInUseError
from bitextile.schema.locks import LOCK, hold
from bitextile.trainer.observe.metrics import Metrics
from bitextile.trainer.run_paths import RUN_CONFIG
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.folder import RunFolder
from bitextile.trainer.train.pretrain import pretrain
from runs import metrics, same_weights


def opened(path: Path, config, **flags: bool) -> Path | None:
    with ExitStack() as stack:
        return RunFolder(path).open(stack, config, **{"overwrite": False, "resume": False} | flags)


@pytest.mark.parametrize("flag", ["resume", "overwrite", None])
def test_a_second_run_in_a_folder_is_refused_and_disturbs_nothing(
    config, tmp_path, monkeypatch, flag
):
    whole, run, refused = tmp_path / "whole", tmp_path / "run", []
    pretrain(config(), str(whole))
    write = Metrics.write

    def write_and_start_another(self, values):
        write(self, values)
        if values["step"] == 2:
            with pytest.raises(OutputInUseError, match="is being written by this very process"):
                pretrain(config(), str(tmp_path / "link"), **({flag: True} if flag else {}))
            refused.append(values["step"])

    (tmp_path / "link").symlink_to("run")
    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", write_and_start_another)
        pretrain(config(), str(run))
    assert refused == [2]
    assert metrics(run) == metrics(whole)
    assert same_weights(whole, run)
    assert not (run / LOCK).exists()


def test_a_run_whose_lock_was_taken_over_writes_no_checkpoint(config, tmp_path, monkeypatch):
    run, write = tmp_path / "run", Metrics.write

    def write_and_lose_the_lock(self, values):
        write(self, values)
        (run / LOCK).write_text("another run's")

    monkeypatch.setattr(Metrics, "write", write_and_lose_the_lock)
    with pytest.raises(BitextileError, match="has taken over its lock"):
        pretrain(config(), str(run))
    assert checkpoints(run) == []
    assert (run / LOCK).read_text() == "another run's"


def die_holding(lock: Path) -> None:
    with hold(lock, "run"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_that_only_a_killed_run_has_used_is_free(config, tmp_path):
    run = tmp_path / "run"
    process = multiprocessing.get_context("spawn").Process(target=die_holding, args=(run / LOCK,))
    process.start()
    process.join()
    assert [p.name for p in run.iterdir()] == [LOCK]
    for _ in range(2):  # the first refused perhaps, for another reason
        assert opened(run, config()) is None
    (run / "checkpoints").mkdir()
    with pytest.raises(OutputExistsError, match="give --resume to go on"):
        opened(run, config())


def test_a_refused_run_leaves_no_folder(config, tmp_path):
    out = tmp_path / "new" / "deep" / "run"
    with pytest.raises(ConfigError):
        opened(out, config(), overwrite=True, resume=True)
    assert opened(out, config()) is None
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["tokenizer", "data/pairs", "model"])
def test_an_input_in_the_folder_is_not_deleted_for_a_new_run(
    config, word_tokenizer, datasets, tmp_path, place
):
    run = tmp_path / "run"
    pretrain(config(), str(run))
    inside = run / place
    source = {"tokenizer": word_tokenizer.path, "data/pairs": datasets["pairs"], "model": run}
    copied = source[place]
    shutil.copytree(copied, inside, ignore=shutil.ignore_patterns("checkpoints", "model"))
    # Named through a link, as disks are mounted.
    (tmp_path / "elsewhere").symlink_to("run")
    named = str(tmp_path / "elsewhere" / place)
    changes = {
        "tokenizer": {"tokenizer": named},
        "data/pairs": {"data": [{"objective": "mlm", "dataset": named}]},
        "model": {"model": {"checkpoint": named}},
    }[place]
    with pytest.raises(ConfigError, match=r"run holds the input .*, which is never replaced"):
        pretrain(config(**changes), str(run), overwrite=True)
    assert (run / "model.safetensors").exists()
    assert inside.exists()


def test_an_emptied_folder_is_a_runs_until_the_last(config, tmp_path, monkeypatch):
    run = tmp_path / "run"
    pretrain(config(), str(run))
    unlink, gone = Path.unlink, []

    def note(path: Path, **options: bool) -> None:
        gone.append(path.name)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", note)
        RunFolder(run).clear(config(), None)
    assert [name for name in gone if not name.startswith(LOCK)][-1] == RUN_CONFIG
    assert [p.name for p in run.iterdir()] == [RUN_CONFIG]


def test_a_link_as_folder_is_followed(config, tmp_path):
    (tmp_path / "link").symlink_to("disk/run")
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        pretrain(config(), str(tmp_path / "link"), **flags)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "disk" / "run" / "model.safetensors").exists()
    assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["run"]
