"""A command's options, made from the fields of its configuration dataclasses.

    @dataclass(frozen=True, kw_only=True)
    class ExchangeConfig:
        rate: float = 0.5
        \"\"\"Share of a pair's links that change places, 0 to 1. Half is our choice.\"\"\"

    def exchange(aligned: str, out: Out, config: ExchangeConfig) -> None: ...

gives `--rate FLOAT  Share of a pair's links that change places, 0 to 1 [default: 0.5]`, and
`exchange` gets an ExchangeConfig. So a new option is one field with its docstring line, of which
the first sentence is the help. The type says how the option is written:

    Literal["a", "b"]       a choice
    bool                    --name; --no-name where the default is True
    tuple[str, ...]         repeated, in the singular: `pairs` is --pair A --pair B
    tuple[Language, ...]    several with commas, as is a tuple of choices: --languages de,fr
    dict[Language, float]   repeated, in the singular: `weights` is --weight de=2 --weight fr=1
    a dataclass             the options of its fields
    A | B                   alternatives, told apart by a field whose type is a Literal of one value

`field(metadata={"option": "pairs"})` names the option otherwise, and False offers none.

Of alternatives, the union of the fields is offered, help names those that read an option, and an
option that the chosen one does not read is refused.
"""

import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args, get_type_hints

import typer

from bitextile.pipelines.cli.field_docs import field_docs, first_sentence
from bitextile.pipelines.cli.field_types import bare_type, choices_of, syntax_of
from bitextile.pipelines.cli.metavars import metavar_of, with_metavar
from bitextile.schema.errors import ConfigError

Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error, and what libraries log")
]
"""Stands in every help; `main` takes it out before a command is chosen."""
Root = Annotated[
    str,
    typer.Option(
        metavar="FOLDER",
        help="Folder within which alone the run reads and writes, whatever a recipe names; also "
        "BITEXTILE_ROOT",
    ),
]
"""Likewise."""


@dataclass(frozen=True)
class Without:
    """Marks a configuration, in `Annotated`, of which a command does not offer some fields."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """One field of a configuration as the command line offers it."""

    field: Field[Any]
    hint: Any
    doc: str

    @property
    def name(self) -> str:
        """Of the parameter: the field's name, in the singular where the option is repeated."""
        if given := self.field.metadata.get("option"):
            return str(given)
        name = self.field.name
        return name.removesuffix("s") if syntax_of(self.hint).repeated else name

    @property
    def flag(self) -> str:
        """How it is written, as `--min-score`."""
        return _flag(self.name)

    @property
    def required(self) -> bool:
        """Whether the field has no default."""
        return self.field.default is MISSING and self.field.default_factory is MISSING

    @property
    def default(self) -> Any:
        """Of the field; None where it has none."""
        if self.field.default_factory is not MISSING:
            return self.field.default_factory()
        return None if self.field.default is MISSING else self.field.default


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Returns a command as typer takes it, with an option for each field of its configurations.

    Args:
        function: its parameters are typer's own, dataclasses, or unions of dataclasses.
    """
    hints = get_type_hints(function, include_extras=True)
    # When the command is registered, not when it is called: a field that no option can be made of
    # fails in every test.
    configs = {name: _configuration(hints[name]) for name in inspect.signature(function).parameters}

    def run(context: typer.Context, **given: Any) -> None:
        # Only what the user wrote is passed on. So defaults stay those of the dataclasses, and two
        # alternatives may give the same field different ones.
        chosen = {name for name in given if _is_given(context, name)}
        arguments = {
            name: given[name] if config is None else config.build(given, chosen)
            for name, config in configs.items()
        }
        function(**{name: _unless_named(value, hints[name]) for name, value in arguments.items()})

    parameters = [_parameter("context", typer.Context)]
    last = [_parameter("root", Root, default=""), _parameter("debug", Debug, default=False)]
    for name, parameter in inspect.signature(function).parameters.items():
        config = configs[name]
        hint = with_metavar(name, hints[name])
        own = [parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY)]
        parameters += own if config is None else config.parameters()
    # typer takes name and help from these.
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    # typer reads parameters, types and help from the signature; nothing else needs to exist.
    run.__signature__ = inspect.Signature([*parameters, *last])  # type: ignore[attr-defined]
    return run


@dataclass(frozen=True)
class OneOf:
    """Marks a parameter, in `Annotated`, that is one of several named dataclasses.

    For dataclasses that no field tells apart: the command gets `Chosen`, with the name.

    Attributes:
        selector: the parameter by which the user chooses.
        kinds: name to dataclass.
        docs: name to what help says of it.
    """

    selector: str
    kinds: Mapping[str, type]
    docs: Mapping[str, str]


class Chosen(NamedTuple):
    """What was chosen of `OneOf`."""

    name: str
    config: Any


class Configuration:
    """One configuration dataclass, or alternatives by name of which the user chooses one."""

    def __init__(
        self,
        kinds: Mapping[str, type],
        *,
        selector: str = "",
        docs: Mapping[str, str] = MappingProxyType({}),
        default: str | None = None,
        without: tuple[str, ...] = (),
    ) -> None:
        self.kinds, self.selector, self.docs, self.default = kinds, selector, docs, default
        # The selector is offered once, as a choice; of each alternative it is a constant.
        self.hidden = (*without, selector)
        self.options = {name: _options(kind, self.hidden) for name, kind in kinds.items()}

    def parameters(self) -> list[inspect.Parameter]:
        """Returns an option for each field, alternatives together."""
        found = [self._selecting()] if self.selector else []
        every = itertools.chain.from_iterable(self.options.values())
        # A dict for its order: options stand in help as the fields of the classes.
        names = dict.fromkeys(option.name for option in every)
        return found + [self._offered(name) for name in names]

    def build(self, given: Mapping[str, Any], chosen: set[str]) -> Chosen:
        """Returns the configuration object that a call amounts to, and which alternative it is.

        Args:
            given: the value of every option.
            chosen: the options that the user wrote; others keep the field's default.

        Raises:
            ConfigError: a value is wrong, or an option is missing or not of the chosen alternative.
        """
        name = given[self.selector] if self.selector else next(iter(self.kinds))
        call = f"{_flag(self.selector)} {name}"
        if self.selector:
            self._refuse_others(name, chosen, call)
        kind = self.kinds[name]
        return Chosen(name, _build(kind, given, chosen, hidden=self.hidden, call=call))

    def _refuse_others(self, alternative: str, chosen: set[str], call: str) -> None:
        read = {option.name for option in self.options[alternative]}
        every = {option.name: option for options in self.options.values() for option in options}
        for name in sorted(chosen & set(every) - read):
            raise ConfigError(f"{every[name].flag} is not an option of {call}; leave it out")

    def _selecting(self) -> inspect.Parameter:
        doc = "; ".join(f"{name}: {first_sentence(text)}" for name, text in self.docs.items())
        info = typer.Option(_flag(self.selector), help=doc, show_default=self.default is not None)
        default = inspect.Parameter.empty if self.default is None else self.default
        return _parameter(self.selector, Annotated[Literal[tuple(self.kinds)], info], default)

    def _offered(self, name: str) -> inspect.Parameter:
        """Returns the option of one name, of all alternatives that have it."""
        readers = {
            reader: option
            for reader, options in self.options.items()
            for option in options
            if option.name == name
        }
        option = next(iter(readers.values()))
        # What one alternative requires cannot be required of every call; `_build` asks for it.
        required = option.required and not self.selector
        hint = option.hint
        # Alternatives may offer other choices under one name (eflomal has no `posterior`): typer
        # takes them all, and the configuration refuses what is not its own.
        if choices := {c: None for o in readers.values() for c in choices_of(o.hint)}:
            hint = Literal[tuple(choices)]
        syntax = syntax_of(hint)
        doc = self._doc(readers)
        doc += ("; repeatable" if syntax.repeated else "") + _defaults(readers)
        # typer would show None, the default of every generated parameter; the dataclass's is in
        # `doc`.
        info = typer.Option(
            *_declarations(option),
            help=doc,
            show_default=False,
            metavar=syntax.metavar or metavar_of(syntax.type),
        )
        annotation = syntax.type if required else syntax.type | None
        default = inspect.Parameter.empty if required else None
        return _parameter(name, Annotated[annotation, info], default)

    def _doc(self, readers: Mapping[str, Option]) -> str:
        """Returns what the alternatives that read an option say of it, each sentence once."""
        by_doc: dict[str, list[str]] = {}
        for reader, option in readers.items():
            by_doc.setdefault(first_sentence(option.doc), []).append(reader)
        if len(by_doc) == 1 and len(readers) == len(self.kinds):
            return next(iter(by_doc))
        return "; ".join(f"{', '.join(names)}: {doc}" for doc, names in by_doc.items())


def _unless_named(value: Any, hint: Any) -> Any:
    """Returns the configuration alone, but for `OneOf`, where its name is wanted too."""
    named = bare_type(hint) is Chosen
    return value if named or not isinstance(value, Chosen) else value.config


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _build(
    kind: type, given: Mapping[str, Any], chosen: set[str], *, hidden: tuple[str, ...], call: str
) -> Any:
    values: dict[str, Any] = {}
    # Nested configurations are flat on the command line, so their fields are among `given` too.
    for name, inner in _nested(kind, hidden).items():
        values[name] = _build(inner, given, chosen, hidden=hidden, call=call)
    for option in _own_options(kind, hidden):
        if option.name in chosen:
            values[option.field.name] = syntax_of(option.hint).read(given[option.name], option.flag)
        elif option.required:
            raise ConfigError(f"{call} needs {option.flag}: {first_sentence(option.doc)}")
    # The class's own __post_init__ checks the values, as for a recipe.
    return kind(**values)


def _configuration(hint: Any) -> Configuration | None:
    """Returns the configuration that a parameter is; None for one of typer's own."""
    marks = getattr(hint, "__metadata__", ())
    if named := next((mark for mark in marks if isinstance(mark, OneOf)), None):
        return Configuration(named.kinds, selector=named.selector, docs=named.docs)
    without = next((mark.names for mark in marks if isinstance(mark, Without)), ())
    alone = bare_type(hint)
    if is_dataclass(alone):
        return Configuration({"": cast(type, alone)}, without=without)
    kinds = get_args(alone)
    if not kinds or not all(map(is_dataclass, kinds)):
        return None
    selector = _selector(kinds)
    named_kinds = {_literal(kind, selector): kind for kind in kinds}
    first = next(field for field in fields(kinds[0]) if field.name == selector)
    return Configuration(
        named_kinds,
        selector=selector,
        docs={name: field_docs(kind).get(selector, "") for name, kind in named_kinds.items()},
        default=None if first.default is MISSING else first.default,
        without=without,
    )


def _options(kind: type, hidden: tuple[str, ...]) -> list[Option]:
    """Returns the options of a dataclass and of those within it."""
    found = _own_options(kind, hidden)
    for inner in _nested(kind, hidden).values():
        found += _options(inner, hidden)
    return found


def _own_options(kind: type, hidden: tuple[str, ...]) -> list[Option]:
    return [
        Option(field, _hints(kind)[field.name], field_docs(kind).get(field.name, ""))
        for field in _offered_fields(kind, hidden)
        if not is_dataclass(_hints(kind)[field.name])
    ]


def _nested(kind: type, hidden: tuple[str, ...]) -> dict[str, Any]:
    """Returns the dataclasses within a dataclass, by field."""
    hints = {field.name: _hints(kind)[field.name] for field in _offered_fields(kind, hidden)}
    return {name: hint for name, hint in hints.items() if is_dataclass(hint)}


def _offered_fields(kind: type, hidden: tuple[str, ...]) -> list[Field[Any]]:
    return [
        field
        for field in fields(kind)
        if field.name not in hidden and field.metadata.get("option", True)
    ]


def _selector(kinds: tuple[type, ...]) -> str:
    """Returns the field that tells alternatives apart: in each a Literal of one value."""
    # Found, not declared: the configuration need not know that a command line exists.
    for field in fields(kinds[0]):
        if all(_literal(kind, field.name) for kind in kinds):
            return field.name
    raise TypeError(f"no field tells {', '.join(kind.__name__ for kind in kinds)} apart")


def _literal(kind: type, name: str) -> str:
    values = choices_of(_hints(kind).get(name))
    return values[0] if len(values) == 1 else ""


def _is_given(context: typer.Context, name: str) -> bool:
    # By name, since the enum is click's, of which typer carries its own copy.
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _parameter(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _declarations(option: Option) -> tuple[str, ...]:
    if bare_type(option.hint) is not bool:
        return (option.flag,)
    # A flag that is on by default could never be switched off without its --no- twin.
    return (f"{option.flag}/--no-{option.flag[2:]}",) if option.default else (option.flag,)


def _defaults(readers: Mapping[str, Option]) -> str:
    """Returns what help says of the default, or of that of each alternative."""
    defaults = {reader: _default(option) for reader, option in readers.items()}
    if len(set(defaults.values())) == 1:
        text = next(iter(defaults.values()))
    else:
        by_value: dict[str, list[str]] = {}
        for reader, value in defaults.items():
            by_value.setdefault(value, []).append(reader)
        text = "; ".join(f"{v} ({', '.join(names)})" for v, names in by_value.items() if v)
    return f" [default: {text}]" if text else ""


def _default(option: Option) -> str:
    value = option.default
    # Off, empty or not set: a default that says nothing in help.
    if value is None or value is False or value in ("", (), {}):
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
