"""What is published: versions in step, typed packages, a wheel that runs where nothing else is."""

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from project import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]
ROOTS = ("pipelines", "transforms", "trainer")


def test_versions_are_in_step() -> None:
    text = {
        name: (REPOSITORY / name).read_text(encoding="utf-8")
        for name in ("CHANGELOG.md", "CITATION.cff", "README.md")
    }
    newest = re.search(r"^## (.+)$", text["CHANGELOG.md"], re.MULTILINE)
    assert newest is not None
    assert VERSION in newest[1]
    assert yaml.safe_load(text["CITATION.cff"])["version"] == VERSION
    assert set(re.findall(r"bitextile-([\d.]+)-py3", text["README.md"])) == {VERSION}
    assert re.findall(r"version = \{(.+)\}", text["README.md"]) == [VERSION]


def test_each_supported_python_has_its_classifier() -> None:
    minors = re.findall(r"Python :: 3\.(\d+)", " ".join(PROJECT["classifiers"]))
    assert minors == ["11", "12", "13"]
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_each_package_is_typed() -> None:
    packages = [path for root in ROOTS for path in (REPOSITORY / root / "bitextile").iterdir()]
    packages = [path for path in packages if (path / "__init__.py").exists()]
    assert len(packages) >= 6
    assert not [path for path in packages if not (path / "py.typed").exists()]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make dist` fills."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), "."]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


def test_twine_accepts_wheel_and_sdist(dist: Path) -> None:
    files = sorted(map(str, dist.iterdir()))
    assert len(files) == 2
    subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files],
        check=True,
        capture_output=True,
    )


def test_wheel_and_sdist_hold_what_they_should(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "pipelines/sample/sentences.tsv",
        "pipelines/report/page.css",
        "schema/py.typed",
    ):
        assert f"bitextile/{needed}" in names
    assert {name.split("/")[0] for name in names} == {"bitextile", f"bitextile-{VERSION}.dist-info"}
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "SECURITY.md",
        "CITATION.cff",
        "mkdocs.yml",
        "docs/index.md",
        "tests/project.py",
    } <= inside


CHAIN = r"""
import re, sys
from importlib import resources
from pathlib import Path
from bitextile.pipelines.cli.main import main

folder = resources.files("bitextile.pipelines.sample")
for file in folder.iterdir():
    if file.is_file():
        Path(file.name).write_bytes(file.read_bytes())
recipe = Path("recipe.yaml").read_text(encoding="utf-8")
Path("short.yaml").write_text(re.sub(r"steps: \d+", "steps: 2", recipe), encoding="utf-8")
main(["run", "short.yaml", "--out", "out"])
"""
"""The demo with two steps of training in each stage, from the files that the wheel brings."""


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env/bin/python")
    constraints = str(REPOSITORY / "constraints.txt")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    # torch by itself first, as the Makefile does: a wheel without GPU libraries where there is one.
    for wanted in ("torch", f"{wheel}[all]"):
        subprocess.run([python, *install, wanted], check=True, capture_output=True, cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "chain.py").write_text(CHAIN, encoding="utf-8")
    program = str(tmp_path / "env/bin/bitextile")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert VERSION in said.stdout + said.stderr
    # -I: neither this repository on PYTHONPATH nor the folder of the script.
    done = subprocess.run(
        [python, "-I", "chain.py"], cwd=empty, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (empty / "out/report.html").exists()
