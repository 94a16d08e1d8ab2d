"""What a fine-tuning or its evaluation cannot take is refused in one sentence, nothing written."""

import json
import shutil
from pathlib import Path

import pytest

from bitextile.schema.errors import (
    BitextileError,
    ConfigError,
    InputError,
    OutputExistsError,
    SchemaError,
)
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.finetune.loop import finetune


@pytest.fixture
def refused(tuning, tmp_path):
    """Runs a fine-tuning and returns what it was refused with."""

    def run(error: type[BitextileError], **settings: object) -> str:
        out = tmp_path / "refused"
        with pytest.raises(error) as caught:
            finetune(tuning(**settings), str(out))
        assert not out.exists()
        assert type(caught.value) is error
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 400
        return message

    return run


def test_unknown_keys_and_wrong_values_are_named(tuning, task_file):
    with pytest.raises(ConfigError, match="unknown key mixup"):
        tuning(mixup=True)
    with pytest.raises(ConfigError, match=r"unknown key train\.0\.weight"):
        tuning(train=[{"file": task_file, "language": "en", "weight": 2}])
    with pytest.raises(ConfigError, match=r"train\.0: give one of file or dataset"):
        tuning(train=[{}])
    with pytest.raises(ConfigError, match=r"train\.0: a file needs the language"):
        tuning(train=[{"file": task_file}])
    with pytest.raises(ConfigError, match="not a BCP-47 tag"):
        tuning(train=[{"file": task_file, "language": "english!"}])
    with pytest.raises(ConfigError, match="batch_rows is 8, no multiple of grad_accumulation 3"):
        tuning(grad_accumulation=3)
    with pytest.raises(ConfigError, match="train"):
        tuning(train=[])


def test_paths_start_at_the_file(tuning, tmp_path):
    config = tuning(
        model="enc", train=[{"file": "a.tsv", "language": "EN"}], valid=["b.tsv"], copies=["c"]
    )
    assert config.model == str(tmp_path / "enc")
    assert (config.train[0].file, config.train[0].language) == (str(tmp_path / "a.tsv"), "en")
    assert (config.valid, config.copies) == ((str(tmp_path / "b.tsv"),), (str(tmp_path / "c"),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("a\tb\n", "line 1: 2 cells"),
        ("a\tb\tyes\na\tb\tno\na\tb\tc\tno\n", "line 3: 4 cells, expected 3"),
        ("one\ttwo\tthree\na\tb\tyes\nc\td\tno\ne\tf\tno\n", "line 1: the label 'three'"),
        ("a\tb\tyes\nc\td\tyes\n", "every row has the label 'yes'"),
        ("\tb\tyes\nNS\td\tno\n", "no row with two sentences among 2"),
    ],
)
def test_files_of_another_form(refused, tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    path.write_text(content, encoding="utf-8")
    assert message in refused(InputError, train=[{"file": str(path), "language": "en"}])


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


def test_candidates_of_another_model(refused, encoder, salt, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(encoder, moved)
    config = json.loads((moved / "config.json").read_text()) | {"hidden_dropout_prob": 0.2}
    (moved / "config.json").write_text(json.dumps(config))
    message = refused(ConfigError, model=str(moved), candidates=salt["candidates"])
    assert f"its candidates were made by {encoder}, not by {moved}" in message


def test_candidates_and_copies_of_other_text(refused, salt, task_file):
    german = [{"file": task_file, "language": "de"}]
    for name, what in (("candidates", "candidates"), ("copies", "copies")):
        message = refused(InputError, train=german, **{name: salt[name]})
        assert f"holds {what} of none of the" in message


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


def test_what_is_no_classifier_is_not_scored(encoder, tuning, task_file, tmp_path):
    with pytest.raises(ConfigError, match="expected a sequence classifier"):
        evaluate(encoder, task="classification", data=[task_file])
    with pytest.raises(ConfigError, match=r"config\.json is missing"):
        evaluate(str(tmp_path / "none"), task="classification", data=[task_file])
    run = tmp_path / "run"
    finetune(tuning(epochs=1), str(run))
    (run / "model.safetensors").rename(run / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="pickles can run code"):
        evaluate(str(run), task="classification", data=[task_file])


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
