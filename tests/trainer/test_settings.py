"""Paths of a configuration start at its folder; an unknown key is an error."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bitextile.trainer.settings import FilePath, Settings, paths_of


class Example(Settings):
    one: FilePath
    many: tuple[FilePath, ...] = ()


def test_paths_start_at_the_base():
    content = {"one": "a/../b", "many": ["/c", "gs://bucket/d"]}
    made = Example.model_validate(content, context={"base": Path("/runs")})
    assert made.one == "/runs/b"
    assert made.many == ("/c", "gs://bucket/d")


def test_paths_without_a_base_stay_and_home_is_found():
    assert Example(one="a/../b").one == "a/../b"
    home = Example.model_validate({"one": "~/x"}, context={"base": Path("/runs")})
    assert home.one == str((Path.home() / "x").resolve())


def test_an_unknown_key_is_an_error_and_nothing_changes():
    with pytest.raises(ValidationError):
        Example(one="a", two="b")
    with pytest.raises(ValidationError):
        Example(one="a").one = "b"


class Whole(Settings):
    name: str = "no/path"
    first: FilePath | None = None
    part: Example | None = None
    parts: tuple[Example, ...] = ()


def test_all_paths_of_a_configuration_are_known():
    example = Example(one="/1", many=("/2", "/3"))
    made = Whole(part=example, parts=(Example(one="/4"), example))
    assert list(paths_of(made)) == ["/1", "/2", "/3", "/4", "/1", "/2", "/3"]
    assert list(paths_of(Whole(first="/0"))) == ["/0"]
