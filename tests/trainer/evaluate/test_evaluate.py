"""`evaluate` end to end on tiny models: vectors, perplexity, files, refusals."""

import json
from pathlib import Path

import pytest

from bitextile.schema.errors import ConfigError, InputError, OutputExistsError
from bitextile.trainer.evaluate.evaluate import evaluate


def test_datasets_that_end_alike_are_told_apart(model, datasets, tmp_path, make_dataset):
    other = make_dataset(tmp_path / "other" / "mono", "mono", rows=30)
    paths = [datasets["mono"], other, datasets["pairs"]]
    report = evaluate(model, task="perplexity", data=paths, split="all")
    assert list(report["results"]) == [datasets["mono"], other, "pairs"]


def test_the_report_is_written_once(model, datasets, tmp_path):
    out = tmp_path / "f.json"
    report = evaluate(model, task="retrieval", data=[datasets["pairs"]], out=str(out))
    assert json.loads(out.read_text()) == report
    with pytest.raises(OutputExistsError):
        evaluate(model, task="retrieval", data=[datasets["pairs"]], out=str(out))
    evaluate(model, task="retrieval", data=[datasets["pairs"]], out=str(out), overwrite=True)
    for part in (f"{model}/config.json", f"{datasets['pairs']}/manifest.json"):
        before = Path(part).read_bytes()
        with pytest.raises(ConfigError, match="is a part of the input"):
            evaluate(model, task="retrieval", data=[datasets["pairs"]], out=part, overwrite=True)
        assert Path(part).read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"task": "nli"},
            ConfigError,
            "task is 'nli', expected one of retrieval, alignm",
        ),
        ({"split": "dev"}, ConfigError, "split is 'dev'"),
        ({"max_rows": 0}, ConfigError, "max_rows is 0, expected at least 1"),
        ({"rows": 5}, ConfigError, "rows: no option of task retrieval, which has split, max_rows"),
        ({"task": "bli", "layer": 1}, ConfigError, "layer: no option of task bli, which has none"),
        ({"data": []}, ConfigError, "needs data"),
        ({"data": ["a", "b", "c"]}, ConfigError, "got 3 paths"),
        ({"data": ["a.txt", "b.txt"]}, InputError, r"a\.txt: no such file"),
        ({"key": "de-en"}, ConfigError, "has no language pair de-en; it has ar-en"),
        ({"model": "nowhere"}, ConfigError, "nowhere: no such"),
    ],
)
def test_mistakes_are_named(model, datasets, settings, error, message):
    arguments = {"model": model, "task": "retrieval", "data": [datasets["pairs"]]} | settings
    with pytest.raises(error, match=message):
        evaluate(arguments.pop("model"), **arguments)
