"""The corpora of a recipe: which files they are, in which format, and what is refused."""

from pathlib import Path

import pytest

from bitextile.pipelines.recipe.corpora import find_files
from bitextile.pipelines.recipe.recipe import Recipe, parse
from bitextile.schema.errors import ConfigError

PAIR = {"corpus": "c", "languages": ["en", "de"], "files": ["x"]}
MONO = {"corpus": "c", "language": "en", "files": ["x"]}


@pytest.mark.parametrize(
    ("files", "given", "expected"),
    [
        (["a.en", "a.de"], "auto", "lines"),
        (["a.en.gz", "a.de.gz"], "auto", "lines"),
        (["fra.txt.gz"], "auto", "tsv"),
        (["a.tsv.zst"], "auto", "tsv"),
        (["a.tmx.xz"], "auto", "tmx"),
        (["a.jsonl.bz2"], "auto", "jsonl"),
        (["a.parquet"], "auto", "parquet"),
        (["a.zip#b.tmx"], "auto", "tmx"),
        (["a.zip#b.en", "a.zip#b.de"], "auto", "lines"),
        (["a.TMX"], "auto", "tmx"),
        (["a.txt"], "tmx", "tmx"),
    ],
)
def test_a_format_follows_from_the_files_unless_it_is_given(files, given, expected) -> None:
    corpora = parse(Recipe, {"bitext": [PAIR | {"files": files, "format": given}]}, "r")
    [source] = find_files(corpora.bitext, corpora.mono, Path("/in")).bitext
    assert source.format == expected
    assert source.files == tuple(f"/in/{name}" for name in files)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "names no corpus; add one"),
        (
            {"bitext": [PAIR | {"files": ["a", "b", "c"]}]},
            "corpus c: 3 files of format lines, expected 2",
        ),
        ({"bitext": [PAIR | {"format": "lines"}]}, "corpus c: 1 files of format lines, expected 2"),
        ({"bitext": [PAIR | {"languages": ["en", "EN"]}]}, "both languages are en"),
        ({"bitext": [PAIR | {"columns": ["en", "de"]}]}, "TSV columns are numbers from 0"),
        ({"bitext": [PAIR | {"columns": [0, -1]}]}, "TSV columns are numbers from 0"),
        ({"mono": [MONO | {"files": ["no/*.gz"]}]}, r"corpus c: no file matches 'no/\*\.gz' in"),
        ({"mono": [MONO | {"header": True}]}, "header is for TSV and CSV, its format is lines"),
        ({"mono": [MONO | {"column": 1}]}, "format lines has no columns to name"),
        (
            {"bitext": [PAIR | {"files": ["a.tmx"], "columns": ["a", "b"]}]},
            "format tmx has no columns",
        ),
    ],
)
def test_a_recipe_that_cannot_work_is_refused_before_anything_is_read(
    content, message, tmp_path
) -> None:
    corpora = parse(Recipe, content, "r.yaml")
    with pytest.raises(ConfigError, match=message):
        find_files(corpora.bitext, corpora.mono, tmp_path)


def test_patterns_are_expanded_in_order_and_names_stay_as_the_recipe_has_them(tmp_path) -> None:
    (tmp_path / "mono").mkdir()
    for name in ("b.de.gz", "a.de.gz", "a.en.gz"):
        (tmp_path / "mono" / name).touch()
    corpora = parse(Recipe, {"mono": [MONO | {"files": ["mono/*.de.gz", "x"]}]}, "r")
    found = find_files(corpora.bitext, corpora.mono, tmp_path).mono
    assert [source.names for source in found] == [("mono/a.de.gz",), ("mono/b.de.gz",), ("x",)]
    assert found[0].files == (str(tmp_path / "mono/a.de.gz"),)
