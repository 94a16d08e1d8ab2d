"""`status` reads what others write: outputs that are whole, being written, or left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.pipelines.run import _Run
from bitextile.pipelines.runner import progress
from bitextile.pipelines.runner.atomic import staged
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.runner.progress import State, write_progress
from bitextile.pipelines.runner.status import status
from bitextile.schema.errors import InputError
from bitextile.schema.locks import LOCK, hold

KILLED = """
import os, sys
from bitextile.schema.locks import hold
with hold(sys.argv[1], "x"):
    os._exit(9)
"""


def kill_a_run_that_holds(lock: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(lock)], check=False)
    assert lock.exists()


def lines(folder: Path) -> dict[str, tuple[str, str]]:
    found = status(str(folder))
    names = [os.path.relpath(s.path, folder) for s in found]
    return {name: (s.word, s.text) for name, s in zip(names, found, strict=True)}


@pytest.fixture
def pairs(tmp_path, capsys) -> Path:
    (tmp_path / "c.en").write_text("good morning\nthank you\nthank you\n", encoding="utf-8")
    (tmp_path / "c.ar").write_text("صباح الخير\nشكرا لك\nشكرا لك\n", encoding="utf-8")
    corpus = {"corpus": "c", "languages": ["en", "ar"], "files": ["c.en", "c.ar"]}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"bitext": [corpus]}))
    with pytest.raises(SystemExit) as ended:
        main(["ingest", str(tmp_path / "r.yaml"), "-o", str(tmp_path / "out")])
    assert not ended.value.code
    capsys.readouterr()
    return tmp_path / "out"


def test_what_is_done_is_told_with_its_rows(pairs, capsys) -> None:
    word, text = lines(pairs)["pairs"]
    assert word == "done"
    assert text.startswith("pairs, 2 rows, 1 rejected, 20")
    with pytest.raises(SystemExit) as ended:
        main(["status", str(pairs)])
    assert not ended.value.code
    assert capsys.readouterr().out == f"done     {pairs}/pairs  {text}\n"


def test_what_is_being_written_is_told_with_stage_rows_and_time_left(pairs) -> None:
    out = pairs / "aligned"
    with staged([str(out)], overwrite=False):
        state = State("align", 3, 9, "AlignWords", 500, 2_000, 100.0, 15.0)
        write_progress(pairs / ".aligned.progress", state)
        word, text = lines(pairs)["aligned"]
        alone = status(str(out))
        (pairs / ".aligned.progress").unlink()
    assert word == "running"
    assert text.startswith(
        "align  stage 3 of 9  AlignWords  500 of 2,000 rows  100 rows/s  0:00:15 left"
    )
    assert f"(process {os.getpid()} on " in text
    assert [s.text for s in alone] == [text]
    assert list(lines(pairs)) == ["pairs"]


def test_a_run_that_was_killed_has_stopped(pairs) -> None:
    kill_a_run_that_holds(pairs / ".aligned.lock")
    assert lines(pairs)["aligned"][0] == "stopped"


def test_the_progress_of_a_killed_run_goes_with_the_next_one(pairs) -> None:
    write_progress(pairs / ".aligned.progress", State("align"))
    with staged([str(pairs / "aligned")], overwrite=False):
        assert not (pairs / ".aligned.progress").exists()


@pytest.fixture
def training(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "run.yaml").write_text("steps: 1000\n")
    steps = [{"step": n, "losses": {"mlm": 9.5 - n, "weam": 4.0}} for n in (1, 2)]
    text = "".join(json.dumps(s | {"tokens_per_s": 1200.0}) + "\n" for s in steps)
    (folder / "metrics.jsonl").write_text(text + '{"step": 2, "valid": {}}\n{"step": 3, "lo')
    return folder


def test_a_training_is_told_by_its_last_whole_step(training) -> None:
    text = "training, step 2 of 1,000  mlm 7.500  weam 4.000  1,200 tokens/s"
    assert lines(training) == {".": ("stopped", f"{text}; --resume goes on")}
    with hold(training / LOCK, "x"):
        word, told = lines(training)["."]
    assert word == "running"
    assert told.startswith(text)
    (training / "bitextile.json").write_text("{}")
    assert lines(training) == {".": ("done", text)}


def test_a_training_that_was_killed_has_stopped(training) -> None:
    kill_a_run_that_holds(training / LOCK)
    assert lines(training)["."][0] == "stopped"


def test_the_chain_says_which_step_it_is_in(tmp_path) -> None:
    given = {
        "bitext": [{"corpus": "c", "languages": ["en", "de"], "files": ["a", "b"]}],
        "pretrain": {"steps": 1, "objectives": {"mlm": 1}},
    }
    told: list = []
    run = _Run(Recipe.model_validate(given), tmp_path, str(tmp_path), RunOptions(), told.append)
    with hold(tmp_path / LOCK, "out"), run.told():
        run.begin("lexicon")
        word, text = lines(tmp_path)["."]
    assert told == ["lexicon"]
    assert word == "running"
    assert text.startswith("run, step 3 of 7: lexicon, since 20")
    with pytest.raises(InputError, match="no output of bitextile"):
        status(str(tmp_path))


@pytest.mark.parametrize("folder", ["nowhere", "gs://bucket/out"])
def test_a_folder_without_outputs_is_refused(tmp_path, folder, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="give the"):
        status(folder)


def test_a_command_of_several_processes_is_told_while_it_runs(pairs, monkeypatch) -> None:
    monkeypatch.setattr(progress, "POLL_S", 0.01)
    seen, aligned = [], str(pairs / "aligned")
    write = progress.write_progress

    def note(file: Path, state: State) -> None:
        write(file, state)
        # The lock, and thus the command, is this process's.
        seen.extend(s for s in status(aligned) if s.word == "running")

    monkeypatch.setattr(progress, "write_progress", note)
    align(str(pairs / "pairs"), aligned, config=HmmConfig(), options=RunOptions(workers=2))
    text = "\n".join(s.text for s in seen)
    assert "AlignWords  2 of 2 rows" in text or "WriteShards  2 of 2 rows" in text
    assert "FitAligner ar-en" in text
    assert " stage " in text
    assert [s.word for s in status(aligned)] == ["done"]
    assert sorted(p.name for p in pairs.iterdir()) == ["aligned", "pairs"]
