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


def found(entry: dict, part: str = "bitext"):
    corpora = parse(Recipe, {part: [entry]}, "r")
    [source] = getattr(find_files(corpora.bitext, corpora.mono, Path("/in")), part)
    return source


@pytest.mark.parametrize(
    ("entry", "columns", "header"),
    [
        ({"files": ["a.csv"]}, ("en", "de"), True),
        ({"files": ["a.csv"], "columns": ["english", 2]}, ("english", 2), True),
        ({"files": ["a.csv"], "columns": [0, 1]}, (0, 1), False),
        ({"files": ["a.csv"], "columns": [0, 1], "header": True}, (0, 1), True),
        ({"files": ["a.tsv"]}, (0, 1), False),
        ({"files": ["a.tsv"], "columns": ["en", "de"], "header": True}, ("en", "de"), True),
        ({"files": ["a.jsonl"]}, ("en", "de"), False),
        ({"files": ["a.parquet"], "columns": ["a.b", "c"]}, ("a.b", "c"), False),
    ],
)
def test_columns_and_whether_the_first_row_names_them(entry: dict, columns, header: bool) -> None:
    source = found(PAIR | entry)
    assert (source.columns, source.header) == (columns, header)


def test_a_table_of_sentences_is_read_by_the_name_text_or_by_number() -> None:
    assert found(MONO | {"files": ["a.csv"]}, "mono").columns == ("text",)
    source = found(MONO | {"files": ["a.csv"], "column": 0}, "mono")
    assert (source.columns, source.header) == ((0,), False)


@pytest.mark.parametrize(
    ("files", "key", "value"),
    [
        (["a.tsv"], "quoted", True),
        (["a.en", "a.de"], "encoding", "utf-16"),
        (["a.csv"], "encoding", "windows-1252"),
        (["a.tmx"], "encoding", "shift_jis"),
        (["a.tmx"], "on_error", "reject"),
    ],
)
def test_how_a_format_is_read_reaches_its_reader(files: list[str], key: str, value) -> None:
    assert getattr(found(PAIR | {"files": files, key: value}), key) == value


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"files": ["a.csv"], "quoted": True}, "quoted is for TSV, its format is csv"),
        ({"files": ["a.parquet"], "encoding": "utf-16"}, "encoding is for text files, its format"),
        ({"files": ["a.tsv"], "on_error": "reject"}, r"on_error is for TMX .*its format is tsv"),
        ({"files": ["a.csv"], "columns": ["a", "b"], "header": False}, "CSV columns are numbers"),
        ({"files": ["a.csv"], "columns": [0, -1]}, "CSV columns are numbers from 0"),
        ({"files": ["a.tsv"], "encoding": "klingon"}, "encoding 'klingon' is not known"),
        ({"files": ["a.tmx"], "on_error": "ignore"}, "on_error"),
    ],
)
def test_what_a_format_does_not_have_is_refused(entry: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        found(PAIR | entry)
