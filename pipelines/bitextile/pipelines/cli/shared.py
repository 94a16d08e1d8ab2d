"""What the commands share: options that are in no configuration, and what is printed at the end."""

from typing import Annotated

import typer

from bitextile.pipelines.runner.job import DatasetResult
from bitextile.schema.terminal import say


def _not_empty(path: str) -> str:
    # An unset variable in a script: "" would be the root of the file system, or this folder.
    if not path.strip():
        raise typer.BadParameter("it is empty, expected the path of a folder")
    return path


Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        callback=_not_empty,
        help="Folder (or gs://, s3:// URI) that is written; a symbolic link is followed",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace an output that exists, but no input and no folder that holds one",
    ),
]


def print_results(*results: DatasetResult) -> None:
    """Prints on stderr what was written: rows, rejects by rule, seconds, warnings."""
    for result in results:
        manifest = result.dataset.manifest
        rejected = ", ".join(f"{n:,} {rule}" for rule, n in manifest.counts.rejected.items())
        time = "reused" if result.reused else f"{result.seconds:.1f} s"
        rows = f"{manifest.rows:,} rows of {manifest.counts.read:,}"
        line = f"{result.dataset.path}: {manifest.kind}, {rows}, {time}"
        say(line + (f"; rejected {rejected}" if rejected else ""))
        for warning in result.warnings:
            say(f"bitextile: warning: {warning}", style="yellow")
