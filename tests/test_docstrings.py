"""The examples in docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import bitextile.kernels
import bitextile.pipelines
import bitextile.schema
import bitextile.trainer
import bitextile.transforms

PACKAGES = (
    bitextile.schema,
    bitextile.kernels,
    bitextile.transforms,
    bitextile.pipelines,
    bitextile.trainer,
)
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
FEWEST_EXAMPLES = {"schema": 5, "kernels": 40, "transforms": 1, "pipelines": 10, "trainer": 6}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("layer", FEWEST_EXAMPLES)
def test_every_layer_has_examples(layer: str) -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [name for name in MODULES if name.startswith(f"bitextile.{layer}.")]
    found = [
        test for n in names for test in finder.find(importlib.import_module(n)) if test.examples
    ]
    assert len(found) >= FEWEST_EXAMPLES[layer]
