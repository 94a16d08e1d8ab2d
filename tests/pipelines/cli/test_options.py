"""Options from configuration dataclasses: how each type is written, and what is refused."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from bitextile.pipelines.cli import options
from bitextile.pipelines.cli.options import Chosen, OneOf, Without
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language, LanguagePair


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Part of another configuration."""

    depth: int = 3
    """How deep. Three is deep enough."""
    secret: int = field(default=7, metadata={"option": False})
    """Never offered."""


@dataclass(frozen=True, kw_only=True)
class Toy:
    """One field of each type."""

    rate: float = 0.5
    """Share of rows, 0 to 1. Half is
    our choice."""
    colour: Literal["red", "green"] = "red"
    """Colour of it."""
    fast: bool = False
    """Do it fast."""
    safe: bool = True
    """Do it safely."""
    files: tuple[str, ...] = ()
    """A file."""
    languages: tuple[Language, ...] = ("en",)
    """Languages to do it in."""
    steps: tuple[Literal["a", "b"], ...] = ("a",)
    """Steps in their order."""
    weights: dict[Language, float] = field(default_factory=dict)
    """Weight of a language."""
    ratios: dict[LanguagePair, float] = field(default_factory=dict)
    """Ratio of a pair."""
    limit: int | None = field(default=None, metadata={"option": "at_most"})
    """Rows at most."""
    inner: Inner = field(default_factory=Inner)
    """The part."""

    def __post_init__(self) -> None:
        """Checks the rate."""
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"rate is {self.rate}")


@dataclass(frozen=True, kw_only=True)
class Round:
    """An alternative."""

    shape: Literal["round"] = "round"
    """A ball."""
    radius: float
    """From the centre to the rim."""
    seed: int = 1
    """Seed of all draws."""
    margin: float = 0.0
    """Space around a ball."""


@dataclass(frozen=True, kw_only=True)
class Square:
    """Another."""

    shape: Literal["square"] = "square"
    """A box."""
    side: float = 2.0
    """From corner to corner."""
    margin: float = 0.0
    """Space around a box."""
    seed: int = 2
    """Seed of all draws."""


def call(function, *arguments: str):
    """Runs a command made of a function; returns the result, whose output holds help or errors."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(options.command(function))
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def parsed(hint, *arguments: str):
    """Returns the configuration that a call amounts to."""
    found: list = []

    def run(config) -> None:
        found.append(config)

    run.__annotations__["config"] = hint
    result = call(run, *arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found[0]


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ((), {}),
        (("--rate", "0.25"), {"rate": 0.25}),
        (("--colour", "green"), {"colour": "green"}),
        (("--fast", "--no-safe"), {"fast": True, "safe": False}),
        (("--file", "x,y", "--file", "z"), {"files": ("x,y", "z")}),
        (("--languages", "DE,fr"), {"languages": ("de", "fr")}),
        (("--steps", "b,a"), {"steps": ("b", "a")}),
        (("--weight", "de=2", "--weight", "FR=1"), {"weights": {"de": 2.0, "fr": 1.0}}),
        (("--ratio", "de,en=1.1"), {"ratios": {("de", "en"): 1.1}}),
        (("--at-most", "5"), {"limit": 5}),
        (("--depth", "4"), {"inner": Inner(depth=4)}),
    ],
)
def test_each_type_is_written_in_its_way(arguments, changed) -> None:
    assert parsed(Toy, *arguments) == Toy(**changed)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--weight", "de"), "--weight de: expected LANG=NUMBER"),
        (("--weight", "de=two"), "--weight: 'two' is not a number"),
        (("--weight", "de=1", "--weight", "DE=2"), "--weight: DE is given twice"),
        (("--ratio", "de=1"), "'de': expected SRC,TGT"),
        (("--steps", "a,c"), "--steps c: expected a, b"),
        (("--rate", "2"), "rate is 2.0"),
    ],
)
def test_what_is_wrong_is_said_by_its_option(arguments, sentence) -> None:
    with pytest.raises(ConfigError) as error:
        parsed(Toy, *arguments)
    assert sentence in str(error.value)


def test_help_is_the_first_sentence_under_the_field_with_the_default() -> None:
    def run(config: Toy) -> None:
        """Does it."""

    text = " ".join(call(run, "--help").output.split())
    assert "Does it." in text
    assert "Share of rows, 0 to 1 [default: 0.5]" in text
    assert "Half" not in text
    assert "--colour <red|green> Colour of it [default: red]" in text
    assert "--file" in text
    assert "A file; repeatable" in text
    assert "--languages LANG,... Languages to do it in [default: en]" in text
    assert "--ratio SRC,TGT=NUMBER" in text
    assert "secret" not in text
    assert "--inner" not in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--radius", "1"), Round(radius=1)),
        (("--shape", "round", "--radius", "1", "--seed", "9"), Round(radius=1, seed=9)),
        (("--shape", "square"), Square()),
        (("--shape", "square", "--side", "3"), Square(side=3)),
    ],
)
def test_an_alternative_takes_its_own_fields_and_defaults(arguments, expected) -> None:
    assert parsed(Round | Square, *arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "--shape round needs --radius: From the centre to the rim"),
        (
            ("--shape", "square", "--radius", "1"),
            "--radius is not an option of --shape square; leave it out",
        ),
    ],
)
def test_an_option_of_another_alternative_is_refused(arguments, sentence) -> None:
    with pytest.raises(ConfigError) as error:
        parsed(Round | Square, *arguments)
    assert str(error.value) == sentence


def test_help_names_the_alternatives_that_read_an_option() -> None:
    def run(config: Round | Square) -> None:
        """Draws."""

    text = " ".join(call(run, "--help").output.split())
    assert "round: A ball; square: A box [default: round]" in text
    assert "round: From the centre to the rim" in text
    assert "square: From corner to corner [default: 2.0]" in text
    assert text.count("--seed") == text.count("--margin") == 1
    # One name with two meanings: each alternative says its own.
    assert "round: Space around a ball; square: Space around a box [default: 0.0]" in text
    assert "Seed of all draws [default: 1 (round); 2 (square)]" in text


def test_fields_are_left_out_and_alternatives_are_named_where_no_field_tells_them_apart() -> None:
    left_out = Annotated[Toy, Without(("rate", "inner"))]

    def run(config: left_out) -> None:
        """Does less."""

    assert call(run, "--rate", "1").exit_code == 2
    named = Annotated[Chosen, OneOf("kind", {"x": Inner, "y": Square}, {"x": "An inner."})]
    assert parsed(named, "--kind", "x", "--depth", "1") == Chosen("x", Inner(depth=1))


def test_a_type_without_a_way_to_write_it_is_a_defect() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        """Of no use."""

        nested: dict[str, tuple[str, ...]] = field(default_factory=dict)
        tangled: tuple[int, str] = (1, "a")

    def run(config: Odd) -> None:
        """Fails."""

    with pytest.raises(TypeError, match="no option can be made"):
        options.command(run)
