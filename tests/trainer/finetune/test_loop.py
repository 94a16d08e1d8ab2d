"""Fine-tunings: they learn, resume exactly, leave a folder that transformers loads."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
import torch
import yaml
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from bitextile.kernels.switch.task_field import (
    TaskFieldSwitchConfig,
    TaskFiles,
    read_task,
    switch_task_fields,
)
from bitextile.schema.kinds import KINDS
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard
from bitextile.trainer.data.loader import steps
from bitextile.trainer.distributed.process_group import SINGLE_PROCESS
from bitextile.trainer.evaluate import tasks
from bitextile.trainer.evaluate.classification import ClassificationTask
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.finetune.loop import FinetuneJob, finetune
from bitextile.trainer.observe.metrics import Metrics
from bitextile.trainer.train.checkpoint import checkpoints
from bitextile.trainer.train.pretrain import save_initial

DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
AUGMENTED = {"epochs": 3, "grad_accumulation": 2, "keep_checkpoints": 9}


def metrics(run: Path) -> list[dict]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    volatile = ("tokens_per_s", "data_wait")
    return [{k: v for k, v in json.loads(x).items() if k not in volatile} for x in lines]


def same_weights(one: Path, two: Path) -> bool:
    a, b = (
        dict(AutoModelForSequenceClassification.from_pretrained(p).named_parameters())
        for p in (one, two)
    )
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_it_learns_twenty_rows_by_heart(tuning, task_file, tmp_path):
    run = tmp_path / "run"
    summary = finetune(
        tuning(epochs=60, batch_rows=20, lr=3e-3, valid=[task_file], evaluate_every=30), str(run)
    )
    assert summary.steps == 60
    valid = [m["valid"] for m in metrics(run) if "valid" in m]
    assert valid[0]["train.tsv/loss"] > valid[1]["train.tsv/loss"]
    assert valid[-1]["train.tsv/accuracy"] == 1.0
    assert valid[-1]["train.tsv/loss"] < 0.3
    report = evaluate(str(run), task="classification", data=[task_file])
    result = report["results"]["train.tsv"]
    assert result["accuracy"]["value"] == 1.0
    assert (result["rows"], result["left_out"], result["truncated"]) == (20, 0, 0)
    assert report["labels"] == ["contradiction", "entailment", "neutral"]


@pytest.mark.parametrize("kind", [("copies",), ("candidates",), ("copies", "candidates")])
def test_it_learns_with_what_salt_adds(tuning, salt, task_file, tmp_path, kind):
    run = tmp_path / "run"
    more = {name: salt[name] for name in kind}
    finetune(tuning(epochs=40, batch_rows=20, lr=3e-3, checkpoint_every=40, **more), str(run))
    report = evaluate(str(run), task="classification", data=[task_file])
    assert report["results"]["train.tsv"]["accuracy"]["value"] > 0.9
    last = metrics(run)[-1]["losses"]
    assert set(last) == {"classify/plain"} | {
        f"classify/{'copy' if name == 'copies' else 'mixup'}" for name in kind
    }


def test_the_folder_is_a_classifier_with_card_and_digests(tuning, salt, task_rows, tmp_path):
    run = tmp_path / "run"
    finetune(tuning(epochs=1, **salt), str(run))
    model = AutoModelForSequenceClassification.from_pretrained(run)
    assert model.config.label2id == {"contradiction": 0, "entailment": 1, "neutral": 2}
    tokenizer = AutoTokenizer.from_pretrained(run)
    ids = tokenizer(*task_rows[0][:2], return_tensors="pt")["input_ids"]
    assert model(ids).logits.shape == (1, 3)
    identity = json.loads((run / "bitextile.json").read_text())
    assert identity["task"] == "classification"
    assert identity["datasets"][0]["digest"].startswith("sha256:")
    card = (run / "README.md").read_text(encoding="utf-8")
    assert identity["datasets"][0]["digest"] in card
    assert "fields with switched copies" in card
    assert "text-classification" in card
    assert not list(run.rglob("*.bin"))
    assert not list(run.rglob(".*.tmp"))


def test_an_encoder_saved_without_its_head_will_do(tuning, encoder, tokenizer, tmp_path):
    bare, run = tmp_path / "bare", tmp_path / "run"
    AutoModel.from_pretrained(encoder).save_pretrained(bare)
    tokenizer.pretrained.save_pretrained(bare)
    finetune(tuning(model=str(bare), epochs=1), str(run))
    finetune(tuning(epochs=1), str(tmp_path / "whole"))
    assert same_weights(run, tmp_path / "whole")


def test_an_epoch_has_every_row_once_in_any_number_of_micro_batches(tuning, tmp_path):
    for n_micro_batches in (1, 2):
        run = tmp_path / str(n_micro_batches)
        finetune(tuning(epochs=2, batch_rows=4, grad_accumulation=n_micro_batches), str(run))
        rows = [m["rows"] for m in metrics(run)]
        assert rows == [4] * 10
        assert [m["epoch"] for m in metrics(run)] == [0] * 5 + [1] * 5


def few(task_rows, n: int) -> list[tuple[str, str, str]]:
    """So many rows, whose first label is not the only one of its kind, as a header would be."""
    return [(p, h, ("yes", "no")[i % 2]) for i, (p, h, _) in enumerate(task_rows[:n])]


def records_read(config) -> list[str]:
    """What the streams of a whole run give, row by row."""
    state = FinetuneJob(config).open(None, SINGLE_PROCESS)
    batches = steps(state.streams, state.collation)
    found = [b for _ in range(state.config.steps) for b in next(batches)]
    batches.close()
    return [record for batch in found for record in batch.records]


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_rows", "micro_batches"),
    [(5, 2, 4, 1), (5, 2, 4, 2), (5, 2, 8, 4), (7, 3, 6, 3), (20, 0.35, 3, 1), (3, 1, 32, 8)],
)
def test_a_run_reads_its_rows_as_often_as_its_epochs_say(
    tuning, write_task, task_rows, tmp_path, rows, epochs, batch_rows, micro_batches
):
    source = {"file": write_task(few(task_rows, rows)), "language": "en"}
    config = tuning(
        train=[source], epochs=epochs, batch_rows=batch_rows, grad_accumulation=micro_batches
    )
    total = round(rows * epochs)
    read = Counter(records_read(config))
    assert sum(read.values()) == total
    assert max(read.values()) - (min(read.values()) if epochs >= 1 else 1) == 0
    finetune(config, str(tmp_path / "run"))
    in_steps = [m["rows"] for m in metrics(tmp_path / "run")]
    # Full steps, and the rest in the last one; with twelve rows read, two would count twice.
    full, rest = divmod(total, batch_rows)
    assert in_steps == [batch_rows] * full + ([rest] if rest else [])
    assert all(m["loss"] > 0 for m in metrics(tmp_path / "run"))


def test_micro_batches_without_a_row_change_nothing(
    tuning, write_task, task_rows, config, tmp_path
):
    plain = config().model.config | dict.fromkeys(DROPOUTS, 0.0) | {"initializer_range": 0.2}
    save_initial(config(model={"config": plain}), str(tmp_path / "plain"))
    source = {"file": write_task(few(task_rows, 5)), "language": "en"}
    settings = {"model": str(tmp_path / "plain"), "train": [source], "epochs": 2, "batch_rows": 8}
    found = []
    for n in (1, 4):
        # Of the second step's four micro-batches two have a row each, and two have none.
        run = tmp_path / str(n)
        finetune(tuning(**settings, grad_accumulation=n), str(run))
        found.append([(m["rows"], m["loss"], m["gradient_norm"]) for m in metrics(run)])
    assert found[1] == [pytest.approx(step, rel=1e-5) for step in found[0]]


def test_a_run_that_is_lengthened_reads_all_rows_of_its_epochs(
    tuning, write_task, task_rows, tmp_path
):
    source = {"file": write_task(few(task_rows, 5)), "language": "en"}
    run = tmp_path / "run"
    for epochs in (2, 3):
        # The first run ends on a step of two rows; four steps of four would miss a row after it.
        finetune(tuning(train=[source], epochs=epochs, batch_rows=4), str(run), resume=epochs > 2)
        assert sum(m["rows"] for m in metrics(run)) == 5 * epochs
    assert [m["rows"] for m in metrics(run)] == [4, 4, 2, 4, 1]


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tuning, salt, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    finetune(tuning(**AUGMENTED, **salt), str(whole))
    write = Metrics.write

    def write_and_be_stopped(self, values):
        write(self, values)
        if values["step"] == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", write_and_be_stopped)
        summary = finetune(tuning(**AUGMENTED, **salt), str(stopped))
    assert (summary.steps, summary.interrupted) == (4, True)
    assert [c.name for c in checkpoints(stopped)] == ["step-00000003", "step-00000004"]
    assert not (stopped / "bitextile.json").exists()
    assert not (stopped / "model.safetensors").exists()
    assert not finetune(tuning(**AUGMENTED, **salt), str(stopped), resume=True).interrupted
    assert metrics(stopped) == metrics(whole)
    assert same_weights(whole, stopped)


def test_a_killed_run_goes_on_from_the_last_epoch(tuning, tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finetune(tuning(epochs=3), str(whole))
    write = Metrics.write

    def write_or_die(self, values):
        # The checkpoint of the first epoch is at step 3: steps 4 and 5 are lost, and done again.
        if values["step"] == 5:
            raise KeyboardInterrupt  # what stands on disk is what a SIGKILL leaves
        write(self, values)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            finetune(tuning(epochs=3), str(killed))
    finetune(tuning(epochs=3), str(killed), resume=True)
    assert metrics(killed) == metrics(whole)
    assert same_weights(whole, killed)


def test_two_processes_learn_what_one_learns(tuning, salt, tmp_path):
    config = tuning(**AUGMENTED, **salt)
    one, two = tmp_path / "one", tmp_path / "two"
    finetune(config, str(one))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "bitextile.pipelines.cli.main", "finetune"]
    command += [str(tmp_path / "run.yaml"), "--out", str(two)]
    ranks = [
        subprocess.Popen(
            command,
            env=os.environ | place | {"RANK": r, "LOCAL_RANK": r, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
        )
        for r in "01"
    ]
    said = [rank.communicate(timeout=300)[1].decode() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    for a, b in zip(metrics(one), metrics(two), strict=True):
        assert (a["records"], a["rows"], a["epoch"]) == (b["records"], b["rows"], b["epoch"])
        assert b["losses"] == pytest.approx(a["losses"], rel=1e-6)
    assert AutoModelForSequenceClassification.from_pretrained(two).config.num_labels == 3


def write_fields(path: Path, rows: pa.RecordBatch) -> str:
    table = pa.Table.from_batches([rows]).sort_by("switch_id")
    shard = write_shard(str(path), shard_path("en", 0, 1), table, KINDS["codeswitch"])
    manifest = Manifest(
        kind="codeswitch",
        schema_version=1,
        columns={f.name: str(f.type) for f in table.schema},
        shards=(shard,),
        counts=Counts(read=len(table), kept=len(table)),
        keys={"en": {"rows": len(table), "languages": ["en"]}},
    )
    write_manifest(str(path), manifest)
    return str(path)


def test_switched_task_data_and_files_are_learned_from_together(
    tuning, write_task, task_rows, task_file, tmp_path
):
    translated = [(a[::-1], b[::-1], label) for a, b, label in task_rows]
    files = TaskFiles(
        task="nli", language="en", file=task_file, translations={"ar": write_task(translated)}
    )
    switched = switch_task_fields(
        read_task(files).kept, config=TaskFieldSwitchConfig(token_rate=0.5)
    ).kept
    folder = write_fields(tmp_path / "fields", switched)
    train = [{"file": task_file, "language": "en"}, {"dataset": folder}]
    run = tmp_path / "run"
    finetune(tuning(train=train, epochs=1, batch_rows=4), str(run))
    assert sum(m["rows"] for m in metrics(run)) == 20 + switched.num_rows
    assert metrics(run)[-1]["step"] == -(-(20 + switched.num_rows) // 4)
    card = (run / "README.md").read_text(encoding="utf-8")
    assert "| fields |" in card


def test_rows_without_a_sentence_are_left_out_and_counted(tuning, write_task, task_rows, tmp_path):
    holes = [*task_rows, ("NS", "the dog", "neutral"), ("the dog", " ", "neutral")]
    path = write_task(holes, "holes.tsv")
    run = tmp_path / "run"
    finetune(tuning(train=[{"file": path, "language": "en"}], epochs=1, batch_rows=20), str(run))
    assert metrics(run)[0]["rows"] == 20
    assert "| holes.tsv | 20 | 2 |" in (run / "README.md").read_text(encoding="utf-8")
    result = evaluate(str(run), task="classification", data=[path])["results"]["holes.tsv"]
    assert (result["rows"], result["left_out"]) == (20, 2)


def test_long_fields_are_cut_and_counted(tuning, task_file, tmp_path):
    run = tmp_path / "run"
    finetune(tuning(epochs=1, max_length=12), str(run))
    assert sum(m["truncated"] for m in metrics(run)) > 0
    result = evaluate(str(run), task="classification", data=[task_file])["results"]["train.tsv"]
    assert result["truncated"] > 0


class SwappedTask(ClassificationTask):
    """A task as someone would add it: hypotheses in front."""

    name = "swapped"
    fields = ("hypothesis", "premise")


def test_a_new_task_is_a_class_and_a_line(tuning, task_file, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "FINETUNE_TASKS", (*tasks.FINETUNE_TASKS, SwappedTask()))
    run = tmp_path / "run"
    finetune(tuning(task="swapped", epochs=1, valid=[task_file]), str(run))
    assert json.loads((run / "bitextile.json").read_text())["task"] == "swapped"
    assert set(metrics(run)[-1]["valid"]) == {"train.tsv/loss", "train.tsv/accuracy"}
    finetune(tuning(epochs=1), str(tmp_path / "plain"))
    assert metrics(run)[0]["loss"] != metrics(tmp_path / "plain")[0]["loss"]
