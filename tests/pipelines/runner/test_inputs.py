"""Inputs as a manifest names them."""

from hashlib import sha256

import pytest

from bitextile.kernels.readers.source import CorpusSource
from bitextile.pipelines.recipe.corpora import find_files
from bitextile.pipelines.recipe.recipe import Recipe, parse
from bitextile.pipelines.runner.inputs import file_inputs, plain_inputs
from bitextile.schema.errors import InputError


def sources(folder, *files: str) -> tuple[CorpusSource, ...]:
    entries = [{"corpus": "web", "language": "de", "files": list(files)}]
    recipe = parse(Recipe, {"mono": entries}, "r")
    return find_files(recipe.bitext, recipe.mono, folder).mono


def test_each_file_is_named_once_as_the_recipe_names_it(tmp_path) -> None:
    (tmp_path / "a.de").write_bytes(b"Haus\n")
    expected = {"path": "a.de", "digest": f"sha256:{sha256(b'Haus' + bytes([10])).hexdigest()}"}
    assert file_inputs(sources(tmp_path, "a.de", "a.de")) == (expected | {"bytes": "5"},)
    [plain] = plain_inputs([str(tmp_path / "a.de")])
    assert plain == expected | {"path": str(tmp_path / "a.de"), "bytes": "5"}


def test_a_file_that_is_missing_is_named_with_its_corpus(tmp_path) -> None:
    with pytest.raises(InputError, match=r"b\.de: no such file \(corpus web\)"):
        file_inputs(sources(tmp_path, "b.de"))
    missing = str(tmp_path / "b.conllu")
    with pytest.raises(InputError, match=r"b\.conllu: no such file here; check the path"):
        plain_inputs([missing])


@pytest.mark.parametrize("archive", ["web.zip", "web.tar.gz", "web.tgz"])
def test_of_a_member_the_archive_counts(tmp_path, archive: str) -> None:
    (tmp_path / archive).write_bytes(b"x")
    [entry] = file_inputs(sources(tmp_path, f"{archive}#a/b.de"))
    [plain] = plain_inputs([f"{tmp_path / archive}#a/b.de"])
    assert (entry["path"], entry["bytes"]) == (f"{archive}#a/b.de", "1")
    assert plain["digest"] == entry["digest"]
