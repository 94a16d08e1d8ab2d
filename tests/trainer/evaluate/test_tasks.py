"""The list of tasks: names, options, and that listing them needs no torch."""

import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate import tasks
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.tasks import TASKS, get_task


def test_every_task_is_found_by_its_name_and_has_defaults():
    assert len({task.name for task in TASKS}) == len(TASKS)
    for task in TASKS:
        assert get_task(task.name) is task
        assert task.options() == task.options()
        assert task.data
    with pytest.raises(ConfigError, match="task is 'mlm', expected one of retrieval"):
        get_task("mlm")


def test_an_option_means_the_same_in_every_task():
    # One option of the command serves all tasks that have it, so its type and default must be one.
    seen: dict[str, tuple] = {}
    for task in TASKS:
        for field in fields(task.options):
            assert seen.setdefault(field.name, (field.type, field.default)) == (
                field.type,
                field.default,
            )


def test_listing_tasks_imports_no_torch():
    # In a process of its own: here torch has long been imported by other tests.
    code = (
        "import sys; import bitextile.trainer.evaluate.tasks; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@dataclass(frozen=True, kw_only=True)
class LengthOptions:
    """Options of a toy task."""

    longest: int = 80
    """Characters of a line that are counted, at most."""


@dataclass(frozen=True)
class Lengths:
    """Figures of a toy task."""

    characters: int


class LengthTask:
    """A task as someone would add it: one class, one line in the list."""

    name = "length"
    data = "text files"
    options = LengthOptions

    def read(self, paths, options):
        return {Path(path).name: Path(path).read_text("utf-8").split() for path in paths}

    def prepare(self, model, options):
        return len(model)

    def metrics(self, prepared, data, options):
        return Lengths(prepared + sum(min(len(word), options.longest) for word in data))

    def settings(self, prepared, options):
        return {"longest": options.longest}


def test_a_new_task_is_a_class_and_a_line(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(tasks, "TASKS", (*TASKS, LengthTask()))
    (tmp_path / "a.txt").write_text("كلب house", encoding="utf-8")
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path)
    report = evaluate("m", task="length", data=[str(tmp_path / "a.txt")], longest=4)
    assert report["results"] == {"a.txt": {"characters": 1 + 3 + 4}}
    assert report["longest"] == 4
    with pytest.raises(ConfigError, match="layer: no option of task length, which has longest"):
        evaluate("m", task="length", data=["a.txt"], layer=1)
