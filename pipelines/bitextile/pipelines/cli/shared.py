"""What the verbs share: options that several take, checks of them, and what is said at the end."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console

from bitextile.pipelines.runner.job import DatasetResult, RunOptions
from bitextile.schema.errors import ConfigError

console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
BEAM_ARGUMENTS: list[str] = []
"""What stands after `--` on the command line."""


def _named(path: str) -> str:
    # An unset variable in a script: "" would be the root of the file system, or this folder.
    if not path.strip():
        raise typer.BadParameter("it is empty, expected the path of a folder")
    return path


Out = Annotated[
    str, typer.Option(callback=_named, help="folder (or gs://, s3:// URI) for the result")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an output that exists")]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="keep an output made from the same inputs and options")
]
Workers = Annotated[
    int, typer.Option(min=0, help="local processes; 0: one for small inputs, else all cores")
]
Seed = Annotated[int, typer.Option(help="of every draw")]
Variants = Annotated[int, typer.Option(help="draws of each row")]
MinScore = Annotated[float, typer.Option(help="least posterior of a link, 0 to 1")]
Share = Annotated[float, typer.Option(help="0 to 1")]
Split = Annotated[str, typer.Option(help="whose sentences: train, valid, test or all")]


def run_options(overwrite: bool, reuse: bool, workers: int) -> RunOptions:
    """Returns how a pipeline is to run, with what was given for Beam."""
    return RunOptions(overwrite=overwrite, reuse=reuse, workers=workers, beam=tuple(BEAM_ARGUMENTS))


def say(*done: DatasetResult) -> None:
    """Tells on stderr what was written: rows, rejects by rule, seconds."""
    for finished in done:
        manifest = finished.dataset.manifest
        dropped = ", ".join(f"{n:,} {rule}" for rule, n in manifest.counts.rejected.items())
        time = "reused" if finished.reused else f"{finished.seconds:.1f} s"
        rows = f"{manifest.rows:,} rows of {manifest.counts.read:,}"
        line = f"{finished.dataset.path}: {manifest.kind}, {rows}, {time}"
        console.print(line + (f"; rejected {dropped}" if dropped else ""), markup=False)


def by_name(values: list[str] | None, option: str) -> dict[str, str]:
    """Returns repeated NAME=VALUE options; a name may stand once."""
    found: dict[str, str] = {}
    for value in values or []:
        name, equals, rest = value.partition("=")
        if not equals or not name or not rest:
            raise ConfigError(f"{option} {value}: expected NAME=VALUE, see --help")
        if name in found:
            raise ConfigError(f"{option}: {name} is given twice, {found[name]} and {rest}")
        found[name] = rest
    return found


def is_given(context: typer.Context, option: str) -> bool:
    """Returns whether the caller gave an option, whatever its value."""
    source = context.get_parameter_source(option)
    return source is not None and source.name != "DEFAULT"


def refuse(context: typer.Context, options: Iterable[str], chosen: str) -> None:
    """Raises ConfigError where one of the options was given, which `chosen` does not read."""
    for option in sorted(options):
        if is_given(context, option):
            flag = f"--{option.replace('_', '-')}"
            raise ConfigError(f"{flag} is no option of {chosen}; leave it out")


def number(value: str, option: str = "--weight") -> float:
    """Returns a number given as text."""
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(f"{option}: {value!r} is no number") from error
