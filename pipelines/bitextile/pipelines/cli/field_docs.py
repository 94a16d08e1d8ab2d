"""The docstring line under each field of a dataclass or pydantic model, read from its source."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path


@cache
def field_docs(kind: type) -> dict[str, str]:
    """Returns the docstring line under each field, those of base classes included."""
    # Later classes win, as when dataclasses collect their fields.
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if is_dataclass(base) or "__pydantic_fields__" in vars(base):
            found |= dict(_lines_below(_parsed(base.__module__), base.__qualname__))
    return found


@cache
def _parsed(module: str) -> ast.Module:
    # Python keeps no string that stands under a field, so it is read from the source again.
    path = sys.modules[module].__file__
    return ast.parse(Path(path).read_text(encoding="utf-8")) if path else ast.Module([], [])


def _lines_below(module: ast.Module, qualname: str) -> Iterator[tuple[str, str]]:
    """Yields the fields of a class that a string stands below, with it."""
    # By the last part: classes nested in others or in functions are found too.
    name = qualname.rsplit(".", 1)[-1]
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and node.name == name:
            # A string expression right below an annotated name is its docstring, as Sphinx and
            # griffe read it.
            for line, below in zip(node.body, node.body[1:]):
                if (
                    isinstance(line, ast.AnnAssign)
                    and isinstance(line.target, ast.Name)
                    and isinstance(below, ast.Expr)
                    and isinstance(below.value, ast.Constant)
                    and isinstance(below.value.value, str)
                ):
                    yield line.target.id, below.value.value


def first_sentence(doc: str) -> str:
    """Returns the first sentence of a field's docstring.

    >>> first_sentence("Share of links, 0 to 1. Half is our choice.")
    'Share of links, 0 to 1'
    """
    return re.split(r"\.(?:\s|$)", " ".join(doc.split()), maxsplit=1)[0]
