"""Quick start and tutorials hold: their commands and Python run, one page after another."""

from pathlib import Path

import pytest

from docs.pages import run_page, sample_files
from project import REPOSITORY

PAGES = REPOSITORY / "docs"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clean", "align", "pretrain", "salt", "cluster"])
def test_a_tutorial_runs_as_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample_files(tmp_path, "en", "de", rows=200)
    assert run_page(PAGES / f"tutorials/{name}.md", tmp_path)


@pytest.mark.slow
def test_the_quick_start_runs_and_what_it_wrote_opens_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample_files(tmp_path, "en", "de", rows=200)
    assert run_page(PAGES / "index.md", tmp_path)
    run_page(PAGES / "data-format.md", tmp_path)


def test_every_tutorial_is_tried() -> None:
    names = {path.stem for path in (PAGES / "tutorials").glob("*.md")}
    assert names == {"clean", "align", "pretrain", "salt", "cluster"}
