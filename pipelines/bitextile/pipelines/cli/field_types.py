"""How values of a field's type are written on the command line, and read from there."""

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import FromText


@dataclass(frozen=True)
class Syntax:
    """How values of a type are written on the command line.

    Attributes:
        type: what typer parses.
        read: from that, and the option's flag for messages, to the value.
        metavar: how help shows what to write; None leaves it to typer.
        repeated: whether the option may be given several times.
    """

    type: Any
    read: Callable[[Any, str], Any]
    metavar: str | None = None
    repeated: bool = False


def syntax_of(hint: Any) -> Syntax:
    """Returns how the command line writes values of a type.

    Raises:
        TypeError: there is no way; a defect of the configuration, not of the call.
    """
    # Before the type is unwrapped, since the mark is on its annotation.
    if reader := _from_text(hint):
        return Syntax(str, lambda value, _: reader.read(value), reader.metavar)
    hint = bare_type(hint)
    if hint in (str, int, float, bool) or get_origin(hint) is Literal:
        return Syntax(hint, lambda value, _: value)
    # get_origin of Mapping[...] is collections.abc.Mapping, the same class that is imported here.
    if get_origin(hint) in (dict, Mapping):
        return _named_values(*get_args(hint))
    if get_origin(hint) is tuple and get_args(hint)[-1] is Ellipsis:
        return _several(get_args(hint)[0])
    raise TypeError(f"a configuration field is of type {hint}, which no option can be made of")


def _several(item: Any) -> Syntax:
    # What is a plain string may hold a comma, so the option is repeated instead.
    one = syntax_of(item)
    if one.metavar is None and not choices_of(item):
        return Syntax(
            list[one.type],  # type: ignore[name-defined]
            lambda values, flag: tuple(one.read(value, flag) for value in values),
            repeated=True,
        )
    # Neither language tags nor choices hold a comma; paths may.
    many = f"{one.metavar or '|'.join(choices_of(item))},..."

    def read(text: str, flag: str) -> tuple[Any, ...]:
        values = tuple(one.read(value.strip(), flag) for value in text.split(","))
        for value in values:
            if choices_of(item) and value not in choices_of(item):
                raise ConfigError(f"{flag} {value}: expected {', '.join(choices_of(item))}")
        return values

    return Syntax(str, read, many)


def _named_values(key: Any, value: Any) -> Syntax:
    """Returns how a mapping is written: NAME=VALUE, repeated."""
    name, number = syntax_of(key), value is float
    metavar = f"{name.metavar or 'NAME'}={'NUMBER' if number else 'TEXT'}"

    def read(texts: Iterable[str], flag: str) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for text in texts:
            left, equals, right = text.partition("=")
            if not equals or not left or not right:
                raise ConfigError(f"{flag} {text}: expected {metavar}")
            place = name.read(left, flag)
            # The last one would win without a word, which nobody who writes a name twice expects.
            if place in found:
                raise ConfigError(f"{flag}: {left} is given twice, {found[place]} and {right}")
            found[place] = _number(right, flag) if number else right
        return found

    return Syntax(list[str], read, metavar, repeated=True)


def _number(text: str, flag: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: {text!r} is not a number") from error


def choices_of(hint: Any) -> tuple[str, ...]:
    """Returns the values of a Literal; none for another type."""
    type_ = bare_type(hint)
    return get_args(type_) if get_origin(type_) is Literal else ()


def bare_type(hint: Any) -> Any:
    """Returns a type without `| None` and without what it is annotated with."""
    if get_origin(hint) is Annotated:
        return bare_type(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        some = [part for part in get_args(hint) if part is not type(None)]
        # `X | None` is an option that may be left out; a union of more is alternatives, see
        # `options`.
        return bare_type(some[0]) if len(some) == 1 else hint
    return hint


def _from_text(hint: Any) -> FromText | None:
    marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, FromText)), None)
