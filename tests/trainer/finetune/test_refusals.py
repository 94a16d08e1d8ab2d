"""What a fine-tuning or its evaluation cannot take is refused in one sentence, nothing written."""

import json
import shutil
from pathlib import Path

import pytest

from bitextile.schema.errors import (
    ConfigError,
    InputError,
    OutputExistsError,
    SchemaError,
)
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.finetune.loop import finetune


def test_a_line_of_names_is_no_row(tuning, write_task, task_rows, tmp_path):
    path = write_task([("premise", "hypothesis", "label"), *task_rows], "named.tsv")
    config = tuning(train=[{"file": path, "language": "en"}], epochs=1, batch_rows=20)
    finetune(config, str(tmp_path / "run"))
    assert "| named.tsv | 20 |" in (tmp_path / "run/README.md").read_text(encoding="utf-8")


def test_missing_files_and_wrong_kinds(refused, tmp_path, salt, datasets):
    missing = str(tmp_path / "none.tsv")
    assert missing in refused(InputError, train=[{"file": missing, "language": "en"}])
    assert "holds kind candidates, expected codeswitch" in refused(
        SchemaError, copies=salt["candidates"]
    )
    assert "holds kind codeswitch, expected candidates" in refused(
        SchemaError, candidates=salt["copies"]
    )
    assert "has no column premise" in refused(SchemaError, train=[{"dataset": salt["copies"][0]}])
    folder = {"file": datasets["mono"], "language": "en"}
    assert "is a dataset, expected a TSV" in refused(InputError, train=[folder])


def test_an_encoder_that_is_none(refused, encoder, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    assert nowhere in refused(ConfigError, model=nowhere)
    pickled = tmp_path / "pickled"
    shutil.copytree(encoder, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "pickle" in refused(ConfigError, model=str(pickled))
    other = tmp_path / "other"
    shutil.copytree(encoder, other)
    identity = json.loads((other / "bitextile.json").read_text()) | {"tokenizer": "sha256:0"}
    (other / "bitextile.json").write_text(json.dumps(identity))
    assert "its tokenizer is" in refused(ConfigError, model=str(other))
    assert "room for 64 positions" in refused(ConfigError, max_length=65)


def test_labels_that_training_has_not(refused, write_task, tuning, task_file, tmp_path):
    strange = write_task([("the dog", "a house", "maybe")] * 3, "strange.tsv")
    message = refused(InputError, valid=[strange])
    assert "label 'maybe', but the model knows contradiction, entailment, neutral" in message
    run = str(tmp_path / "run")
    finetune(tuning(epochs=1), run)
    with pytest.raises(InputError, match="label 'maybe'"):
        evaluate(run, task="classification", data=[strange])
    with pytest.raises(InputError, match="line 1: 2 cells"):
        evaluate(run, task="classification", data=[write_task([("a", "b")], "short.tsv")])


def test_a_folder_that_is_there(tuning, salt, task_file, write_task, task_rows, tmp_path):
    run = str(tmp_path / "run")
    finetune(tuning(epochs=1), run)
    with pytest.raises(OutputExistsError, match="give --resume"):
        finetune(tuning(epochs=1), run)
    with pytest.raises(ConfigError, match="was trained with lr"):
        finetune(tuning(epochs=2, lr=1e-4), run, resume=True)
    with pytest.raises(ConfigError, match="was trained with copies"):
        finetune(tuning(epochs=2, copies=salt["copies"]), run, resume=True)
    write_task(task_rows[1:], Path(task_file).name)  # the file has changed meanwhile
    with pytest.raises(ConfigError, match="was trained with train"):
        finetune(tuning(epochs=2), run, resume=True)
    assert finetune(tuning(epochs=1), run, overwrite=True).steps == 3
    with pytest.raises(OutputExistsError, match="not a bitextile run"):
        finetune(tuning(epochs=1), str(tmp_path), overwrite=True)
