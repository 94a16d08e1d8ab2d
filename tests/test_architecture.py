"""The structure: one namespace of three roots, layers that import only those below, quick start."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from project import REPOSITORY

ROOTS = [REPOSITORY / root / "bitextile" for root in ("pipelines", "transforms", "trainer")]
LAYERS = {
    "schema": REPOSITORY / "transforms/bitextile/schema",
    "kernels": REPOSITORY / "transforms/bitextile/kernels",
    "transforms": REPOSITORY / "transforms/bitextile/transforms",
    "pipelines": REPOSITORY / "pipelines/bitextile/pipelines",
    "trainer": REPOSITORY / "trainer/bitextile/trainer",
}


def modules(layer: str) -> list[str]:
    """Returns the dotted names of a layer's modules."""
    folder = LAYERS[layer]
    root = folder.parent.parent
    names = (".".join(p.relative_to(root).with_suffix("").parts) for p in folder.rglob("*.py"))
    return sorted(name.removesuffix(".__init__") for name in names)


def loaded_by(statements: str, *arguments: str) -> set[str]:
    """Returns the names of all modules that a fresh process has loaded after the statements."""
    last = "import json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    code = f"{statements}\n{last}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=REPOSITORY,
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
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_modules_and_functions_are_short() -> None:
    modules_, functions = {}, []
    for folder in LAYERS.values():
        for path in folder.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            modules_[str(path)] = text.count("\n")
            functions += [
                node.end_lineno - node.lineno + 1
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
            ]
    assert len(functions) > 1_000
    assert {path: n for path, n in modules_.items() if n > 400} == {}
    assert sorted(functions)[len(functions) * 9 // 10] <= 30


def test_no_folder_is_crowded() -> None:
    folders = {path.parent for folder in LAYERS.values() for path in folder.rglob("*.py")}
    assert {str(f): n for f in folders if (n := len(list(f.glob("*.py")))) > 20} == {}


LOADERS = {"from_pretrained", "from_config"}
PICKLES = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}


def test_one_function_loads_models_and_no_pickle_is_read() -> None:
    """Reads the source: what may run code of a model folder stands in one file, or nowhere."""
    for root in ("pipelines", "transforms", "trainer"):
        for path in sorted((REPOSITORY / root / "bitextile").rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                where = f"{path}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Attribute) and path.name != "model_folder.py":
                    assert node.attr not in LOADERS, f"{where}: use kernels/model_folder.py"
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = {alias.name.split(".")[0] for alias in node.names}
                    module = getattr(node, "module", None) or ""
                    assert not PICKLES & {*names, module.split(".")[0]}, where
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    called = ast.unparse(node.func)
                    assert called not in {"torch.load", "np.load", "numpy.load"}, where
                    # The one that is used takes a loader of its own, a SafeLoader.
                    safe = called == "yaml.load" and ast.unparse(node.args[1]) == "_Loader"
                    assert safe or not called.startswith("yaml.") or "load" not in called, where
