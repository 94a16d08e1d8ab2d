"""Copies and candidates must be of the same text, and candidates of the same model."""

import json
import shutil

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import (
    ConfigError,
    InputError,
)
from bitextile.trainer.evaluate.task import Augmentation
from bitextile.trainer.finetune.augment import augmentation_facts, read_copies


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


def test_copies_are_found_by_field_in_the_order_of_datasets_and_variants(tuning, salt, tokenizer):
    (path,) = salt["copies"]
    dataset = open_dataset(path)
    parent = dataset.table()["parent_id"][0].as_py()
    rows = [r for r in dataset.table().to_pylist() if r["parent_id"] == parent]
    found = read_copies([dataset, dataset], {parent})
    ordered = tuple(r["text"] for r in sorted(rows, key=lambda r: (r["variant"], r["text"])))
    assert found == {parent: ordered * 2}
    assert augmentation_facts(Augmentation(copies=found)) == {"fields with switched copies": 1}
    assert augmentation_facts(Augmentation()) == {}
