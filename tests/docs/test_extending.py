"""What docs/extending.md adds works: applied to a copy of the repository, each check passes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from project import REPOSITORY

ROOTS = ("pipelines", "transforms", "trainer")
SECTIONS = dict(
    re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)",
        (REPOSITORY / "docs/extending.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)
NEW_FILE = re.compile(r"^`([\w/.]+)`\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
DIFF = re.compile(r"^```diff\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r"^```python check\n(.*?)^```", re.MULTILINE | re.DOTALL)


def apply(diff: str, tree: Path) -> None:
    """Applies a diff whose hunks have no line numbers: what a hunk replaces is there once."""
    for path, hunks in re.findall(r"^--- a/(\S+)\n\+\+\+ b/\S+\n(.*?)(?=^--- |\Z)", diff, 24):
        file = tree / path
        text = file.read_text(encoding="utf-8")
        for hunk in hunks.split("@@\n")[1:]:
            lines = hunk.splitlines()
            before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
            assert text.count(before) == 1, f"{path}: not once there:\n{before}"
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for root in ROOTS:
        shutil.copytree(
            REPOSITORY / root, tree / root, ignore=shutil.ignore_patterns("__pycache__")
        )
    for section in SECTIONS.values():
        for path, content in NEW_FILE.findall(section):
            assert not (tree / path).exists()
            (tree / path).write_text(content, encoding="utf-8")
        for diff in DIFF.findall(section):
            apply(diff, tree)
    return tree


def test_the_page_has_a_section_of_each_kind() -> None:
    kinds = ("filter", "file format", "aligner", "objective", "evaluation task", "command")
    assert [title.split(" ", 1)[1] for title in SECTIONS] == list(kinds)


@pytest.mark.parametrize("title", SECTIONS)
def test_what_a_section_adds_passes_its_check(title: str, extended: Path, tmp_path: Path) -> None:
    (check,) = CHECK.findall(SECTIONS[title])
    path = os.pathsep.join(str(extended / root) for root in ROOTS)
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_new_files_are_as_the_project_formats_them(extended: Path) -> None:
    files = [path for section in SECTIONS.values() for path, _ in NEW_FILE.findall(section)]
    command = [sys.executable, "-m", "ruff"]
    config = ["--config", str(REPOSITORY / "pyproject.toml"), *files]
    for arguments in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [*command, *arguments, *config],
            cwd=extended,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
