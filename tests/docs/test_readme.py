"""README holds: what it prints runs as printed, its paths exist, its picture is the product's."""

import re
import sys
from pathlib import Path

import pytest

from docs.pages import run_page, sample_files
from project import REPOSITORY

README = REPOSITORY / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_it_fits_on_200_lines() -> None:
    assert len(TEXT.splitlines()) <= 200


@pytest.mark.slow
def test_what_it_prints_runs_on_two_files_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample_files(tmp_path, "en", "de")
    commands = run_page(README, tmp_path)
    assert len(commands) == 10
    for path in ("out/report.html", "out/pharaoh", "run/report.html", "out/aligned/manifest.json"):
        assert (tmp_path / path).exists(), path
    # What «What comes out» lists.
    for path in re.findall(r"^(out/\S+)  ", TEXT, re.MULTILINE):
        assert (tmp_path / path).exists(), path


def test_links_lead_to_files_that_are_there() -> None:
    links = re.findall(r'\]\(([^)#]+)[^)]*\)|(?:src|href)="([^"]+)"', TEXT)
    local = {link for pair in links for link in pair if link and not link.startswith("http")}
    generated = {"docs/reference/recipe.md"}
    assert not [link for link in local - generated if not (REPOSITORY / link).exists()]


def test_programs_it_names_are_there() -> None:
    programs = re.findall(r"python ([\w/]+\.py)", TEXT)
    assert len(programs) >= 5
    assert not [path for path in programs if not (REPOSITORY / path).exists()]


def test_the_picture_is_what_the_aligner_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs/generate"))
    monkeypatch.delitem(sys.modules, "drawing", raising=False)
    import drawing

    made = drawing.draw(drawing.sample_pair())
    assert made == (REPOSITORY / "docs/alignment.svg").read_text(encoding="utf-8")
