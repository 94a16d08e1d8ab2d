"""Runs notebooks without Jupyter: code cells in one namespace, the value of a last line displayed.

`.venv/bin/python tests/docs/notebooks.py docs/notebooks/*.ipynb` writes their outputs anew.
"""

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def run_notebook(path: Path) -> dict[str, Any]:
    """Returns the notebook with the outputs of its code cells; raises what a cell raises."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = _run_cell("".join(cell["source"]), names, f"{path.name}, cell {number}")
        cell["execution_count"] = number
        cell["outputs"] = [*_stream(printed.getvalue()), *_display(value, number)]
    return notebook


def _run_cell(source: str, names: dict[str, Any], where: str) -> Any:
    tree, last = ast.parse(source), None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    exec(compile(tree, where, "exec"), names)
    return None if last is None else eval(compile(last, where, "eval"), names)


def _stream(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": [text]}] if text else []


def _display(value: Any, number: int) -> list[dict[str, Any]]:
    if value is None:
        return []
    data = {"text/plain": [repr(value)]}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
    output = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
    return [output | {"data": data}]


if __name__ == "__main__":
    for name in map(Path, sys.argv[1:]):
        place = name.resolve()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            found = run_notebook(place)
        place.write_text(json.dumps(found, ensure_ascii=False, indent=1) + os.linesep, "utf-8")
