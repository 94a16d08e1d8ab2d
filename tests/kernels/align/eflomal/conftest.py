"""A stand-in for eflomal, and sentences to give it."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.kernels.align.eflomal.links import run_eflomal, symmetrize_output
from fake_eflomal import install


def column(*sentences: str) -> pa.ListArray:
    return pa.array([s.split() for s in sentences], pa.list_(pa.string()))


def points(alignment) -> list[list[tuple[int, int]]]:
    return [[(x["src"], x["tgt"]) for x in row] for row in alignment.links.to_pylist()]


def links(src, tgt, options, *, model=None, symmetrize="union"):
    output = run_eflomal(src, tgt, options=options, model=model)
    return symmetrize_output(output, symmetrize=symmetrize)


@pytest.fixture(scope="session")
def fake(tmp_path_factory) -> EflomalOptions:
    """Options that name the stand-in."""
    return EflomalOptions(bin_dir=install(tmp_path_factory.mktemp("fake")))


@pytest.fixture(scope="session")
def run():
    """Sides from sentences (column), links as points (points), a whole run (links)."""
    return SimpleNamespace(column=column, points=points, links=links)
