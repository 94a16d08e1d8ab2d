"""Planted noise: what is planted where, and what the rules reject of it."""

from importlib import resources
from pathlib import Path

import pytest

from bitextile.pipelines.demo.demo import sentences
from bitextile.pipelines.demo.noise import CLEAN, KINDS, clean_planted, plant
from bitextile.pipelines.runner.options import RunOptions


def test_one_row_of_ten_gets_each_kind_of_noise() -> None:
    src, tgt, other = ([f"{name} {n}" for n in range(400)] for name in ("s", "t", "o"))
    rows = plant(src, tgt, other)
    assert [a for a, *_ in rows] == src
    by_kind = {kind: [n for n, row in enumerate(rows) if row[2] == kind] for kind in KINDS}
    assert {kind: len(found) for kind, found in by_kind.items()} == dict.fromkeys(KINDS, 40)
    assert all(rows[n][1] in tgt and rows[n][1] != tgt[n] for n in by_kind["shuffled"])
    assert all(rows[n][1] == other[n] for n in by_kind["wrong_language"])
    assert all(rows[n][1] == src[n] for n in by_kind["copy"])
    assert all(rows[n][1] not in (*tgt, *src, *other) for n in by_kind["garbage"])
    # A sentence whose letters were shuffled has the same letters.
    assert sorted(rows[by_kind["garbage"][0]][1]) == sorted(tgt[by_kind["garbage"][0]])
    assert [row[1] for row in rows if row[2] == CLEAN] == [
        text for text, row in zip(tgt, rows, strict=True) if row[2] == CLEAN
    ]


@pytest.mark.parametrize("n", [0, 3, 7])
def test_short_texts_are_planted_as_far_as_they_go(n: int) -> None:
    assert len(plant(["a"] * n, ["b"] * n, ["c"] * n)) == n


def test_the_rules_reject_copies_and_much_garbage_and_not_one_clean_row(tmp_path) -> None:
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        whole = sentences(Path(folder))
    made, cleaning = clean_planted(whole, str(tmp_path), options=RunOptions(workers=1))
    assert cleaning.rows == made.dataset.manifest.counts.read == 5 * 400
    assert cleaning.planted == dict.fromkeys(KINDS, 5 * 40)
    assert cleaning.found[CLEAN] == 0
    assert cleaning.found["copy"] == cleaning.planted["copy"]
    assert cleaning.found["garbage"] >= 0.3 * cleaning.planted["garbage"]
    assert cleaning.precision.value == 1.0
    # Rules of form find a part of it; those that read the text may find more.
    assert cleaning.recall.value == pytest.approx(
        sum(cleaning.found[kind] for kind in KINDS) / sum(cleaning.planted.values())
    )
    assert cleaning.recall.value > 0.3
