"""docs/library.md: the import paths it names exist, and its snippets run."""

import importlib
import re

import pytest

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
