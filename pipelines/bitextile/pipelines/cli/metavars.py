"""What help calls a value: TEXT, INTEGER, and arguments by their name in capitals."""

from typing import Any, get_args, get_origin

from typer.models import ArgumentInfo, OptionInfo

from bitextile.pipelines.cli.field_types import bare_type


def metavar_of(type_: Any) -> str | None:
    """Returns how help shows a plain value, as click does; None leaves it to typer.

    >>> metavar_of(list[str]), metavar_of(float | None)
    ('TEXT', 'NUMBER')
    """
    plain = bare_type(type_)
    if get_origin(plain) is list:
        plain = get_args(plain)[0]
    return {str: "TEXT", int: "INTEGER", float: "NUMBER"}.get(plain)


def with_metavar(name: str, hint: Any) -> Any:
    """Returns the type of a parameter of typer's own, with what help calls its value."""
    marks = getattr(hint, "__metadata__", ())
    for mark in marks:
        # typer itself would show `<list[str]>`, and `{pairs}` for an argument.
        if isinstance(mark, ArgumentInfo):
            mark.metavar = mark.metavar or name.upper()
        elif isinstance(mark, OptionInfo):
            mark.metavar = mark.metavar or metavar_of(hint)
    return hint
