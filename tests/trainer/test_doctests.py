"""The examples in the trainer's docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import bitextile.trainer

MODULES = [m.name for m in pkgutil.walk_packages(bitextile.trainer.__path__, "bitextile.trainer.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples
    ]
    assert len(found) >= 6
