"""How each type is written; what commands make of it is in test_options."""

from collections.abc import Mapping
from typing import Literal

import pytest

from bitextile.pipelines.cli.field_types import bare_type, choices_of, syntax_of
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language, LanguagePair


@pytest.mark.parametrize(
    ("hint", "written", "value", "metavar", "repeated"),
    [
        (int, 3, 3, None, False),
        (int | None, 3, 3, None, False),
        (Language, "DE", "de", "LANG", False),
        (LanguagePair, "DE,en", ("de", "en"), "SRC,TGT", False),
        (tuple[str, ...], ["a,b", "c"], ("a,b", "c"), None, True),
        (tuple[Language, ...], "DE, fr", ("de", "fr"), "LANG,...", False),
        (tuple[Literal["a", "b"], ...], "b,a", ("b", "a"), "a|b,...", False),
        (Mapping[Language, str], ["DE=x=y"], {"de": "x=y"}, "LANG=TEXT", True),
        (dict[LanguagePair, float], ["de,en=2"], {("de", "en"): 2.0}, "SRC,TGT=NUMBER", True),
    ],
)
def test_a_type_is_written_and_read(hint, written, value, metavar, repeated) -> None:
    syntax = syntax_of(hint)
    assert syntax.read(written, "--x") == value
    assert (syntax.metavar, syntax.repeated) == (metavar, repeated)


@pytest.mark.parametrize("text", ["x", "=1", "x="])
def test_a_mapping_wants_a_name_and_a_value(text: str) -> None:
    with pytest.raises(ConfigError, match="expected NAME=TEXT"):
        syntax_of(dict[str, str]).read([text], "--x")


def test_types_are_unwrapped() -> None:
    assert bare_type(Language) is str
    assert bare_type(int | None) is int
    assert choices_of(Literal["a", "b"] | None) == ("a", "b")
    assert choices_of(str) == ()
