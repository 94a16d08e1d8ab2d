"""The house: one namespace of three roots, layers that know only those below, light starts."""

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOTS = [HOUSE / root / "bitextile" for root in ("pipelines", "transforms", "trainer")]
LAYERS = {
    "schema": HOUSE / "transforms/bitextile/schema",
    "kernels": HOUSE / "transforms/bitextile/kernels",
    "transforms": HOUSE / "transforms/bitextile/transforms",
    "pipelines": HOUSE / "pipelines/bitextile/pipelines",
    "trainer": HOUSE / "trainer/bitextile/trainer",
}


def modules(layer: str) -> list[str]:
    """Returns the dotted names of a layer's modules."""
    folder = LAYERS[layer]
    root = folder.parent.parent
    names = (".".join(p.relative_to(root).with_suffix("").parts) for p in folder.rglob("*.py"))
    return sorted(name.removesuffix(".__init__") for name in names)


def loaded_by(statements: str, *arguments: str) -> set[str]:
    """Returns the names of all modules that a fresh process has loaded after the statements."""
    tell = "import json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    code = f"{statements}\n{tell}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=HOUSE,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def importing(layer: str, *, without: tuple[str, ...] = ()) -> set[str]:
    return loaded_by("\n".join(f"import {name}" for name in modules(layer) if name not in without))


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.parent.name)
def test_the_namespace_folder_has_no_init(root: Path) -> None:
    # One __init__.py directly in a root would hide the other two.
    assert root.is_dir()
    assert not (root / "__init__.py").exists()
    assert not list(root.glob("*.py"))


@pytest.mark.parametrize("layer", LAYERS)
def test_the_init_of_a_package_is_a_docstring(layer: str) -> None:
    found = sorted(LAYERS[layer].rglob("__init__.py"))
    assert LAYERS[layer] / "__init__.py" in found
    for path in found:
        code = compile(path.read_text(), str(path), "exec")
        assert set(code.co_names) <= {"__doc__"}, f"{path} does more than say what it is"
        assert code.co_consts[0], f"{path} says nothing"


def test_every_folder_with_modules_is_a_package() -> None:
    # The wheel and mypy would see it otherwise, import-linter would not.
    for folder in LAYERS.values():
        for path in folder.rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path.parent} has no __init__.py"


@pytest.mark.parametrize("layer", ["schema", "kernels"])
def test_schema_and_kernels_know_neither_beam_nor_torch(layer: str) -> None:
    loaded = importing(layer)
    assert not loaded & {"apache_beam", "torch", "transformers", "bitextile.transforms"}
    assert layer == "kernels" or "numba" not in loaded
    assert f"bitextile.{layer}" in loaded


def test_the_schema_needs_pyarrow_alone() -> None:
    outside = {name.split(".")[0] for name in importing("schema")} - set(sys.stdlib_module_names)
    assert "pyarrow" in outside
    assert not outside & {"pandas", "numba", "pydantic", "yaml", "regex", "bitextile.kernels"}


def test_transforms_know_beam_and_no_torch() -> None:
    # What stands on Beam's RunInference gets torch from it, wherever that is installed.
    inferring = ("bitextile.transforms.generation",)
    loaded = importing("transforms", without=inferring)
    assert "apache_beam" in loaded
    assert not loaded & {"torch", "transformers", "bitextile.pipelines", "bitextile.trainer"}


def test_the_trainer_knows_torch_and_no_beam() -> None:
    loaded = importing("trainer")
    assert "torch" in loaded
    assert not loaded & {"apache_beam", "bitextile.transforms", "bitextile.pipelines"}


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=HOUSE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "name", [name for layer in ("schema", "kernels", "transforms") for name in modules(layer)]
)
def test_the_examples_in_docstrings_hold(name: str) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(module):
        runner.run(test)
    assert runner.failures == 0


def test_there_are_examples_to_hold() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = {
        name: sum(len(test.examples) for test in finder.find(importlib.import_module(name)))
        for name in ("bitextile.schema.ids", "bitextile.kernels.text.normalise")
    }
    assert min(examples.values()) > 0
