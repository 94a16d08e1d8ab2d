"""docs/library.md: the import paths it names exist, its snippets and the notebooks run."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.runner.options import RunOptions
from docs.notebooks import run_notebook
from project import REPOSITORY

TEXT = (REPOSITORY / "docs/library.md").read_text(encoding="utf-8")
NAMES = [
    (module, name)
    for module, names in re.findall(r"^\| `(bitextile[\w.]+)` \| (.+) \|$", TEXT, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
]


def test_the_page_names_imports() -> None:
    assert len(NAMES) > 30


@pytest.mark.parametrize(("module", "name"), NAMES, ids=".".join)
def test_every_import_path_exists(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None


RECIPE = """
bitext:
  - {corpus: mine, languages: [en, de], files: [corpus.tsv]}
"""


def test_the_snippets_run_in_one_script(tmp_path: Path) -> None:
    for name in ("pandas", "polars", "duckdb", "datasets"):
        pytest.importorskip(name)
    words = ["house", "book", "dog"], ["Haus", "Buch", "Hund"]
    rows = [f"the {en} {n}\tdas {de} {n}\n" for n in range(20) for en, de in zip(*words)]
    (tmp_path / "corpus.tsv").write_text("".join(rows) + "broken\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    options = RunOptions(workers=1)
    ingest(str(tmp_path / "recipe.yaml"), str(tmp_path / "out"), options=options)
    pairs, aligned = (str(tmp_path / "out" / name) for name in ("pairs", "aligned"))
    align(pairs, aligned, config=HmmConfig(), options=options)
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    checks = (
        "counts = everything.num_rows, german.num_rows, len(frame), len(links)\n"
        "assert counts == (60, 60, 60, 60), counts\n"
        "assert list(rejects['rule']) == ['missing_columns/1'], list(rejects['rule'])\n"
        "assert scores.height == 1\n"
        "assert set(training['split']) == {'train'}, training\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + checks],
        env=os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["first-steps", "corpus"])
def test_a_notebook_runs_and_says_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    notebook = run_notebook(REPOSITORY / f"docs/notebooks/{name}.ipynb")
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
    shown = [out.get("data", {}).get("text/html") for out in outputs]
    html = ["".join(text) for text in shown if text]
    assert len(html) >= 3
    assert name == "corpus" or sum("<svg" in text for text in html) >= 4


def test_a_script_with_beam_prints_no_notes(tmp_path: Path) -> None:
    pytest.importorskip("apitools", reason="pyproject.toml has it in the extra beam: install again")
    script = "import apache_beam, bitextile.transforms.read, bitextile.transforms.write"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout == ""
