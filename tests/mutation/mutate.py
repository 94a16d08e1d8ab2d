"""How many small faults the tests find: mutants of the core modules, run against their own tests.

    make mutate                                         # the list below, a sample of each module
    python tests/mutation/mutate.py --only exchange --sample 0     # every mutant of one module

cosmic-ray makes the mutants; they are applied in copies of the tree, never in the tree itself.
Mutants that cannot change behaviour are left out: those in annotations, decorators, docstrings,
names of types, and texts. The sample is the same at every call.
"""

import argparse
import ast
import contextlib
import difflib
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec

REPOSITORY = Path(__file__).resolve().parents[2]
TARGETS = json.loads(Path(__file__).with_name("targets.json").read_text(encoding="utf-8"))
"""Module or folder of modules to the tests that are to find its mutants."""
TIMEOUT_S = 180
"""A mutant that does not end within it is found: it loops."""
SKIPPED = re.compile(r"BinaryOperator_BitOr_|ComparisonOperator_.*Is(Not)?$|VariableInserter")
"""`int | None` is a type in nearly every place, `is` is `==` for small numbers, and inserted
statements shadow nothing."""
FORKSERVER = multiprocessing.get_context("forkserver")
"""Loading the libraries takes longer than most tests, so each run is forked from a process that has
them; of bitextile it has nothing."""
PRELOADED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


@dataclass(frozen=True)
class Mutant:
    """One fault: a module's text with it, the line, and the tests that are to find it."""

    module: str
    text: str
    changed: str
    tests: tuple[str, ...]


def modules_of(place: str) -> list[str]:
    """Returns the modules that a target names."""
    path = REPOSITORY / place
    found = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [str(p.relative_to(REPOSITORY)) for p in found if p.name != "__init__.py"]


def places_without_behaviour(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yields the places, (line, column) to (line, column), where a mutant changes no result."""
    for node in ast.walk(ast.parse(source)):
        places: list[ast.AST | None] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            places = [*node.decorator_list, node.returns, *(a.annotation for a in arguments)]
        elif isinstance(node, ast.ClassDef):
            places = list(node.decorator_list)
        elif isinstance(node, ast.AnnAssign):
            places = [node.annotation]
        elif isinstance(node, ast.Raise | ast.Assert):
            places = [node]  # the text of an error; whether it is raised is decided above it
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            places = [node]
        for place in places:
            if place is not None:
                yield (
                    (place.lineno, place.col_offset),  # type: ignore[attr-defined]
                    (place.end_lineno, place.end_col_offset),  # type: ignore[attr-defined]
                )


def changes_behaviour(spec: MutationSpec, source: str) -> bool:
    """Returns whether a mutant is one that tests can find."""
    if SKIPPED.search(spec.operator_name):
        return False
    start, end = tuple(spec.start_pos), tuple(spec.end_pos)
    if source.splitlines()[start[0] - 1][start[1] : start[1] + 2] == "*,":
        return False  # the mark of keyword-only parameters is taken for a product
    return not any(low <= start and end <= high for low, high in places_without_behaviour(source))


def mutants_of(module: str, tests: Sequence[str], sample: int) -> list[Mutant]:
    """Returns a module's mutants, at most `sample` of them (0 takes all), the same at each call."""
    source = (REPOSITORY / module).read_text(encoding="utf-8")
    found: dict[str, None] = {}
    for spec in _specs(module):
        operator = get_operator(spec.operator_name)(**spec.operator_args)
        text = mutate_code(source, operator, spec.occurrence)
        if text is not None and changes_behaviour(spec, source) and _compiles(text):
            found[text] = None
    drawn = sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest())
    kept = drawn[:sample] if sample else drawn
    return [Mutant(module, text, difference(source, text), tuple(tests)) for text in kept]


def _specs(module: str) -> list[MutationSpec]:
    with tempfile.TemporaryDirectory() as folder:
        database = WorkDB(f"{folder}/session.sqlite", WorkDB.Mode.create)
        init([REPOSITORY / module], database, {})
        specs = [item.mutations[0] for item in database.work_items]
        database.close()
    return specs


def _compiles(text: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


@contextlib.contextmanager
def copies(n: int) -> Iterator[SimpleQueue]:
    """Yields a queue of `n` copies of what git tracks, each with ../shared beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        free: SimpleQueue = SimpleQueue()
        for number in range(n):
            copy = Path(folder) / str(number) / "tree"
            for name in listed:
                if (REPOSITORY / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(REPOSITORY / name, copy / name)
            if (REPOSITORY.parent / "shared").exists():
                (copy.parent / "shared").symlink_to(REPOSITORY.parent / "shared")
            free.put(copy)
        yield free


def run_tests(copy: Path, tests: Sequence[str]) -> bool:
    """Returns whether the tests pass in a copy of the tree."""
    process = FORKSERVER.Process(target=_run_pytest, args=(str(copy), tuple(tests)), daemon=True)
    process.start()
    process.join(TIMEOUT_S)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def _run_pytest(copy: str, tests: tuple[str, ...]) -> None:
    os.chdir(copy)
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": f"{copy}/../numba"}
    sys.dont_write_bytecode = True
    sys.path[:0] = [f"{copy}/{root}" for root in ("pipelines", "transforms", "trainer")]
    with open(f"{copy}/../output", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *PRELOADED, *tests]))


def is_found(mutant: Mutant, free: SimpleQueue) -> bool:
    """Returns whether the tests fail with a mutant in the place of its module."""
    copy = free.get()
    path = copy / mutant.module
    source = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutant.text, encoding="utf-8")
        return not run_tests(copy, mutant.tests)
    finally:
        path.write_text(source, encoding="utf-8")
        free.put(copy)


def difference(before: str, after: str) -> str:
    """Returns the lines that a mutant changed."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(line for line in lines if line[:3] not in ("---", "+++"))


def main() -> None:
    """Prints each module's share of mutants that its tests find, and the others as diffs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a module's path")
    parser.add_argument("--sample", type=int, default=20, help="mutants of a module; 0 takes all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    FORKSERVER.set_forkserver_preload(["hypothesis", "numba", "pyarrow.compute", "pytest", "torch"])
    mutants = [
        mutant
        for place, tests in TARGETS.items()
        for module in modules_of(place)
        if given.only in module
        for mutant in mutants_of(module, tests, given.sample)
    ]
    with copies(given.jobs) as free, ThreadPoolExecutor(given.jobs) as pool:
        healthy = free.get()
        for tests in {mutant.tests for mutant in mutants}:
            if not run_tests(healthy, tests):
                output = (healthy.parent / "output").read_text(encoding="utf-8")
                sys.exit(f"{output}\nthe tests fail without any mutant: {' '.join(tests)}")
        free.put(healthy)
        results: dict[str, list[bool]] = {}
        for mutant, found in zip(mutants, pool.map(lambda m: is_found(m, free), mutants)):
            results.setdefault(mutant.module, []).append(found)
            if not found:
                print(f"{mutant.module}: not found\n{mutant.changed}", flush=True)
    report(results)


def report(results: dict[str, list[bool]]) -> None:
    """Prints the table."""
    print("\n| module | mutants | found |\n|---|---|---|")
    every = [found for module in results.values() for found in module]
    for module, found in [*results.items(), ("all", every)]:
        print(f"| {module} | {len(found)} | {sum(found)} ({sum(found) / max(1, len(found)):.0%}) |")


if __name__ == "__main__":
    main()
