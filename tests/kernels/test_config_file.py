"""YAML files of settings: what is wrong is told with its line, and each file finds its command."""

import pytest

from bitextile.kernels.config_file import FILE_SORTS, read_config_file
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.finetune.config import FinetuneConfig

MODELS = {"run": Recipe, "pretrain": PretrainConfig, "finetune": FinetuneConfig}


def read(tmp_path, content: bytes, command: str = "run") -> dict:
    (tmp_path / "r.yaml").write_bytes(content)
    return read_config_file(str(tmp_path / "r.yaml"), command=command, keys=("bitext", "mono"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "r.yaml: is empty, expected keys such as bitext and mono"),
        (b"# to do\n", "r.yaml: is empty"),
        (b"- a\n", "holds a list, expected keys"),
        (b"a line of text\n", "holds the single value 'a line of text'"),
        (b"bitext:\n\t- x\n", "line 2, column 1: a tab at the beginning; indent by spaces"),
        (b"bitext: [\n", "not readable as YAML: line 2, column 1"),
        (b"mono: []\nbitext: []\nmono: []\n", "line 3, column 1: the key 'mono' is there twice"),
        (b"a: {b: 1, b: 2}\n", "the key 'b' is there twice"),
        (b"[" * 20_000, "nested too deeply"),
        (b"a: \xff\n", "not readable as YAML"),
        (b"!!python/object/apply:os.system [true]", "not readable as YAML"),
    ],
)
def test_what_is_no_mapping_of_keys_is_refused(tmp_path, content: bytes, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_utf16_and_merged_keys_are_read(tmp_path) -> None:
    assert read(tmp_path, "corpus: größer\n".encode("utf-16")) == {"corpus": "größer"}
    merged = b"a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n"
    assert read(tmp_path, merged)["b"] == {"k": 3, "l": 2}


def test_no_file_and_a_folder_are_told_apart(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such file; give the path of a recipe"):
        read_config_file(str(tmp_path / "no.yaml"), command="run", keys=("bitext",))
    with pytest.raises(ConfigError, match="is a folder, expected a YAML file"):
        read_config_file(str(tmp_path), command="run", keys=("bitext",))


@pytest.mark.parametrize("command", FILE_SORTS)
@pytest.mark.parametrize("other", FILE_SORTS)
def test_a_file_of_another_command_says_which(tmp_path, command: str, other: str) -> None:
    content = f"{FILE_SORTS[other].marks[0]}: []\n".encode()
    if command == other:
        assert read(tmp_path, content, command)
        return
    with pytest.raises(ConfigError, match=f"use `bitextile {other}`"):
        read(tmp_path, content, command)


@pytest.mark.parametrize("command", FILE_SORTS)
def test_the_marks_of_a_sort_are_keys_of_no_other(command: str) -> None:
    for other, model in MODELS.items():
        for mark in FILE_SORTS[command].marks:
            assert (mark in model.model_fields) == (other == command)
