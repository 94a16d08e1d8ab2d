"""From a task file to a classifier by the command line: candidates, copies, fine-tuning, scores."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from bitextile.schema.dataset import open_dataset, verify_dataset

ANY = ("--min-probability", "0", "--min-cosine", "-1", "--min-count", "1")


@pytest.fixture(scope="module")
def task(world, tmp_path_factory) -> Path:
    """Sentence pairs out of the sample; "yes" where the two are one and the same."""
    rows = open_dataset(world.mono).table(key="en").column("text").to_pylist()[:12]
    lines = [
        f"{a}\t{a if i % 2 else b}\t{'yes' if i % 2 else 'no'}"
        for i, (a, b) in enumerate(pairwise(rows))
    ]
    path = tmp_path_factory.mktemp("task") / "task-en.tsv"
    path.write_text("\n".join([*lines, "NS\tNothing.\tno"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(world, task, call) -> str:
    out = str(task.parent / "candidates")
    given = ("--model", world.model, "--languages", "de,fr", "--vocabulary-data", world.pairs, *ANY)
    code = call("candidates", task, "--language", "en", *given, "--out", out, "--workers", "1")
    assert code == 0
    return out


def test_a_task_file_gives_candidates_of_each_sentence(found, task) -> None:
    dataset = verify_dataset(found)
    lines = [line.split("\t") for line in task.read_text("utf-8").splitlines()]
    fields = {field for line in lines for field in line[:2]} - {"NS"}
    rows = dataset.table().to_pylist()
    assert {row["text"] for row in rows} == fields
    assert any(candidates for row in rows for candidates in row["candidates"])
    counts = dataset.manifest.counts
    assert counts.read == 2 * len(lines)
    assert counts.rejected["no_sentence/1"] == 1
    assert counts.rejected["duplicate/1"] == 2 * len(lines) - 1 - len(fields)
    assert dataset.manifest.inputs[0]["path"] == str(task)


def test_from_the_task_file_to_scores(found, task, world, call, tmp_path, capsys) -> None:
    copies, run = tmp_path / "copies", tmp_path / "run"
    given = ("--method", "candidates", "--token-rate", "0.9", "--out", copies)
    assert call("codeswitch", found, *given) == 0
    content = {
        "model": world.model,
        "train": [{"file": str(task), "language": "en"}],
        "copies": [str(copies)],
        "candidates": [found],
        "epochs": 2,
        "batch_rows": 4,
        "max_length": 96,
        "device": "cpu",
    }
    (tmp_path / "finetune.yaml").write_text(yaml.safe_dump(content))
    assert call("finetune", tmp_path / "finetune.yaml", "--out", run) == 0
    assert "6 steps" in capsys.readouterr().err
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert set(steps[-1]["losses"]) == {f"classify/{v}" for v in ("plain", "copy", "mixup")}
    out = tmp_path / "scores.json"
    data = ("--task", "classification", "--data", task, "--out", out)
    assert call("evaluate", run, *data) == 0
    result = json.loads(out.read_text())["results"]["task-en.tsv"]
    assert (result["rows"], result["left_out"]) == (11, 1)
    low, value, high = (result["accuracy"][k] for k in ("low", "value", "high"))
    assert 0 <= low <= value <= high <= 1
    assert call("finetune", tmp_path / "finetune.yaml", "--out", run) == 2
    assert "give --resume" in capsys.readouterr().err


def test_what_is_wrong_is_said_in_a_sentence(task, world, call, capsys, tmp_path) -> None:
    def refused(*arguments: object, code: int = 2) -> str:
        given = ("--model", world.model, "--vocabulary-data", world.pairs, "--out", tmp_path / "no")
        assert call("candidates", *arguments, *given) == code
        assert not (tmp_path / "no").exists()
        (said,) = capsys.readouterr().err.splitlines()
        return said

    german = ("--languages", "de")
    assert "holds sentences in de" in refused(task, "--language", "de", *german)
    assert "not a BCP-47 tag" in refused(task, "--language", "?", *german)
    split = ("--language", "en", "--split", "test")
    assert "--split: a task file has none" in refused(task, *split, *german)
    nothing = tmp_path / "nothing.tsv"
    nothing.write_text("one cell\n")
    assert "1 cells" in refused(nothing, "--language", "en", *german, code=1)


def test_finetune_needs_no_beam(tmp_path) -> None:
    code = (
        "import sys\n"
        "sys.modules['apache_beam'] = None\n"
        "from bitextile.pipelines.cli.main import main\n"
        f"main(['finetune', '{tmp_path}/none.yaml', '--out', '{tmp_path}/run'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such file; give the path of a configuration of `finetune`" in done.stderr
    assert "Traceback" not in done.stderr
