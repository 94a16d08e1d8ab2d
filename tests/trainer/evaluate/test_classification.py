"""Accuracy of a classifier against one row at a time through transformers."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bitextile.schema.errors import InputError
from bitextile.trainer.evaluate.classification import ClassificationTask
from bitextile.trainer.evaluate.evaluate import evaluate


def test_accuracy_is_that_of_one_row_at_a_time(classifier, task_file):
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    (data,) = ClassificationTask().read([task_file], ClassificationTask.options()).values()
    rows = data.rows.to_pylist()
    short = [row for row in rows if len(row["premise"]) < 200]  # the long one is cut at a word
    right = 0
    for row in short:
        ids = tokenizer(row["premise"], row["hypothesis"], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            found = model(input_ids=ids).logits.argmax().item()
        right += model.config.id2label[found] == row["label"]
    report = evaluate(classifier, task="classification", data=[task_file])
    result = report["results"]["test.tsv"]
    assert (result["rows"], result["left_out"], result["truncated"]) == (3, 1, 1)
    # What the cut row gives is unknown: it may be right or wrong.
    assert right / 3 <= result["accuracy"]["value"] <= (right + 1) / 3
    assert report["labels"] == ["contradiction", "entailment", "neutral"]


def test_targets_are_places_among_the_labels(task_file):
    task = ClassificationTask()
    (data,) = task.read([task_file], task.options()).values()
    labels = task.labels([data])
    assert labels == ("contradiction", "entailment", "neutral")
    assert task.targets(data, labels)["class"].to_pylist() == [2, 1, 0]
    with pytest.raises(
        InputError, match=r"label 'entailment', but the model knows .*begins 'birds"
    ):
        task.targets(data, ("contradiction", "neutral"))


def test_a_label_that_the_model_has_not_is_named(classifier, tmp_path):
    path = tmp_path / "strange.tsv"
    path.write_text("the dog\ta house\tmaybe\n" * 3, encoding="utf-8")
    with pytest.raises(InputError, match="label 'maybe', but the model knows contradiction"):
        evaluate(classifier, task="classification", data=[str(path)])
