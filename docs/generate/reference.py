"""The reference pages, made of the declarations of commands, recipe and training configuration.

Nothing here knows an option: `options.command` says what a command takes, `field_docs` what a field
means, so a page cannot say what the program does not do.
"""

import types
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel

from bitextile.pipelines.cli.field_docs import field_docs
from bitextile.pipelines.cli.main import COMMANDS, build_app
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.schema.fromtext import FromText
from bitextile.schema.kinds import KINDS
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.finetune.config import FinetuneConfig

_HIDDEN = {"help", "beam", "debug"}


def command_pages() -> str:
    """Returns the page of all commands: what each does, its arguments, its options."""
    app: Any = typer.main.get_command(build_app(COMMANDS))
    context = typer.Context(app, info_name="bitextile")
    parts = [
        "# Commands",
        "`bitextile COMMAND --help` prints the same. `--debug` shows the traceback of an error, "
        "and what follows `--` goes to Beam, for the commands that run on it.",
        " · ".join(f"[{name}](#{name})" for name in app.commands),
    ]
    for name, command in app.commands.items():
        own = typer.Context(command, info_name=name, parent=context)
        usage = " ".join(["bitextile", name, *command.collect_usage_pieces(own)])
        parts += [f"## {name}", command.help or "", f"```text\n{usage}\n```"]
        parts += ["Example:", _example(command.epilog or ""), _parameters(command)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _example(epilog: str) -> str:
    """Returns the lines of help's epilog that are commands, as a block."""
    lines = [line.strip() for line in epilog.splitlines() if line.strip().startswith("bitextile ")]
    return "\n".join(["```text", *lines, "```"]) if lines else ""


def _parameters(command: Any) -> str:
    context, rows = typer.Context(command), []
    for parameter in command.params:
        if parameter.name in _HIDDEN:
            continue
        record = parameter.get_help_record(context)
        # What help prints of it: how it is written, and its meaning with the default.
        written, text = record or (parameter.name.upper(), parameter.help or "")
        rows.append((f"`{written}`".replace("|", "\\|"), _cell(text)))
    return _table(("option", "meaning"), rows)


def recipe_page() -> str:
    """Returns the page of every key of a recipe."""
    intro = (
        "# Recipe reference\n\n"
        "Every key of the recipe that [`run`](commands.md#run) and [`ingest`](commands.md#ingest) "
        "read. What the parts mean together is on [the page of the recipe](../recipe.md); "
        "`pretrain` takes the keys of [pretrain](training.md#pretrain) but its paths, and "
        "`objectives`.\n"
    )
    return intro + "\n" + "\n\n".join(_sections(Recipe, "", level=2)) + "\n"


def training_page() -> str:
    """Returns the page of the configurations of `pretrain` and `finetune`."""
    parts = [
        "# Training reference",
        "The YAML files of [`pretrain`](commands.md#pretrain) and "
        "[`finetune`](commands.md#finetune). Relative paths start at the file's folder; an unknown "
        "key is an error.",
        *_sections(PretrainConfig, "pretrain", level=2),
        *_sections(FinetuneConfig, "finetune", level=2),
    ]
    return "\n\n".join(parts) + "\n"


def _sections(kind: type, name: str, *, level: int) -> Iterator[str]:
    """Yields the section of a configuration, then one of each configuration within it."""
    docs, hints = field_docs(kind), get_type_hints(kind, include_extras=True)
    head = (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    title = [f"{'#' * level} {name}"] if name else []
    rows, inner = [], []
    for field, default in _defaults(kind).items():
        within = list(_configurations(hints[field]))
        inner += [(field, part) for part in within]
        text = " ".join(docs.get(field, "").split())
        if within and not text:
            text = within[0].__doc__.strip().split("\n\n")[0] if len(within) == 1 else "see below"
        rows.append((f"`{field}`", _cell(_type(hints[field])), _cell(default), _cell(text)))
    yield "\n\n".join([*title, head, _table(("key", "type", "default", "meaning"), rows)])
    for field, part in inner:
        path = f"{name}.{field}" if name else field
        alternatives = [other for found, other in inner if found == field]
        label = f": {_label(part)}" if len(alternatives) > 1 else ""
        yield from _sections(part, f"{path}{label}", level=min(level + 1, 4) if name else level)


def _label(kind: type) -> str:
    """Returns the value that chooses an alternative: its first field of one literal value."""
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is Literal and len(get_args(hint)) == 1:
            return f"{name} {get_args(hint)[0]}"
    return kind.__name__


def _configurations(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, BaseModel)):
        yield hint
    for part in get_args(hint):
        yield from _configurations(part)


def _defaults(kind: Any) -> dict[str, str]:
    """Returns each field with its default as it is written in YAML."""
    if is_dataclass(kind):
        found = {
            field.name: field.default_factory()
            if field.default_factory is not MISSING
            else field.default
            for field in fields(kind)
        }
        return {name: _written(value, value is MISSING) for name, value in found.items()}
    return {
        name: _written(
            field.get_default(call_default_factory=True) if not field.is_required() else None,
            field.is_required(),
        )
        for name, field in kind.model_fields.items()
    }


def _written(value: Any, required: bool) -> str:
    if required:
        return "required"
    if value is None or value in ("", (), {}, []):
        return ""
    if is_dataclass(value) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(_written(one, False) for one in value)
    return str(value)


def _type(hint: Any) -> str:
    """Returns a type in the words of YAML."""
    if get_origin(hint) is Annotated:
        mark = next((m for m in hint.__metadata__ if isinstance(m, FromText)), None)
        return mark.metavar if mark and mark.metavar else _type(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        some = [_type(part) for part in get_args(hint) if part is not type(None)]
        return " or ".join(dict.fromkeys(some))
    if get_origin(hint) is Literal:
        return ", ".join(str(value) or '""' for value in get_args(hint))
    if get_origin(hint) in (tuple, list):
        inner = [part for part in get_args(hint) if part is not Ellipsis]
        several = Ellipsis in get_args(hint) or get_origin(hint) is list
        texts = ", ".join(_type(part) for part in inner)
        return f"list of {texts}" if several else f"[{texts}]"
    if any(_configurations(hint)):
        return "mapping"
    if get_args(hint):
        return "mapping of " + " to ".join(_type(part) for part in get_args(hint))
    names = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "anything"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def columns_page() -> str:
    """Returns the page of the dataset kinds and their columns."""
    parts = [
        "# Columns",
        "Spans are code-point offsets into the text beside them, end exclusive; word indices count "
        "from 0. How a dataset lies on disk: [data format](../data-format.md).",
    ]
    for kind in KINDS.values():
        rows = [
            (
                f"`{column.name}`",
                f"`{column.type}`" + (" or null" if column.nullable else ""),
                _cell(column.meaning + (f" ({column.unit})" if column.unit else "")),
            )
            for column in kind.columns
        ]
        parts += [f"## {kind.name}", _table(("column", "type", "meaning"), rows)]
    return "\n\n".join(parts) + "\n"


PAGES = {
    "reference/columns.md": columns_page,
    "reference/commands.md": command_pages,
    "reference/recipe.md": recipe_page,
    "reference/training.md": training_page,
}
"""Page of the site to the function that makes it."""
