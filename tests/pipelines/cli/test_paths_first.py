"""A path that is not there is told before a library is loaded that takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitextile.pipelines.cli.main import COMMANDS
from project import REPOSITORY

# Not pandas, which pyarrow loads by itself to see whether a value is one of its objects.
HEAVY = ("torch", "transformers", "apache_beam", "sentencepiece", "numba")

RUN = {"tokenizer": "nowhere", "steps": 1, "data": [{"objective": "mlm", "dataset": "nowhere"}]}
TUNE = {"model": "nowhere", "train": [{"file": "nowhere", "language": "en"}]}

CALLS: dict[str, list[list[str]]] = {
    "ingest": [["nowhere.yaml"], ["files.yaml"]],
    "run": [["nowhere.yaml"], ["files.yaml"], ["run.yaml"], ["tune.yaml"]],
    "align": [["nowhere"], ["nowhere", "--aligner", "simalign", "--encoder", "nowhere"]],
    "align-text": [
        ["-i", "nowhere", "-o", "links"],
        ["-i", "files.yaml", "--model", "nowhere"],
        ["-i", "files.yaml", "--aligner", "simalign", "--encoder", "nowhere"],
    ],
    "lexicon": [["nowhere"]],
    "exchange": [["nowhere"]],
    "codeswitch": [
        ["nowhere", "--method", "alignment"],
        ["nowhere", "--method", "dictionary", "--lexicon", "en,de=nowhere"],
        ["nowhere", "--method", "task-field", "--language", "en", "--translation", "de=nowhere"],
        ["nowhere", "--method", "candidates"],
    ],
    "derive": [["nowhere"]],
    "backtranslate": [["nowhere", "--model", "nowhere", "--to", "de"]],
    "candidates": [
        ["nowhere", "--model", "nowhere", "--languages", "de,en"],
        ["nowhere", "--model", "nowhere", "--languages", "de,en", "--language", "en"],
        ["task.tsv", "--model", "nowhere", "--languages", "de,en", "--language", "en"],
    ],
    "tokenizer": [["nowhere"]],
    "report": [["nowhere"]],
    "status": [["nowhere"]],
    "verify": [["nowhere"]],
    "export": [["nowhere", "--format", "moses"]],
    "pretrain": [["nowhere.yaml"], ["run.yaml"], ["files.yaml"], ["tune.yaml"]],
    "finetune": [["nowhere.yaml"], ["tune.yaml"], ["files.yaml"], ["run.yaml"]],
    "evaluate": [
        ["nowhere", "--task", task, "--data", "nowhere"]
        for task in ("retrieval", "alignment", "perplexity", "bli", "classification")
    ]
    + [["nowhere", "--task", "classification", "--data", "task.tsv"]],
}
WITHOUT_OUT = ("align-text", "verify", "evaluate", "status")

CODE = """
import contextlib, io, json, sys
from bitextile.pipelines.cli.main import main
heavy, calls = json.loads(sys.argv[1])
for call in calls:
    before = set(sys.modules)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        try:
            main(call)
        except SystemExit as ended:
            code = ended.code
    loaded = [name for name in heavy if name in {*sys.modules} - before]
    print(json.dumps([call, code, told.getvalue(), loaded]))
"""


def calls() -> list[list[str]]:
    return [
        [name, *given, *([] if name in WITHOUT_OUT else ["--out", "out"])]
        for name, some in CALLS.items()
        for given in some
    ]


def test_every_command_that_reads_has_a_call() -> None:
    assert set(CALLS) == set(COMMANDS) - {"demo"}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> list[list]:
    """Returns what each call said and loaded, in one process after the other."""
    folder: Path = tmp_path_factory.mktemp("paths")
    pair = {"corpus": "c", "languages": ["en", "de"], "files": ["nowhere.en", "nowhere.de"]}
    for name, content in (("files", {"bitext": [pair]}), ("run", RUN), ("tune", TUNE)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (folder / "task.tsv").write_text("A dog runs.\tA cat sleeps.\tneutral\n" * 3)
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps([HEAVY, calls()])],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "out").exists()
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("index", range(len(calls())), ids=lambda i: " ".join(calls()[i]))
def test_a_path_that_is_not_there_is_told_at_once(told: list[list], index: int) -> None:
    call, code, sentence, loaded = told[index]
    assert call == calls()[index]
    assert code in (1, 2), sentence
    assert sentence.startswith("bitextile: ")
    assert sentence.count("\n") == 1
    assert "bug in bitextile" not in sentence
    assert "nowhere" in sentence or "use `bitextile " in sentence
    assert not loaded
