"""`run` and `demo`: the whole chain."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitextile.pipelines.cli.shared import (
    Out,
    console,
    print_results,
)
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions

if TYPE_CHECKING:
    from bitextile.pipelines.run import Summary


def run(
    recipe: Annotated[str, typer.Argument(help="YAML file; see README, «The recipe»")],
    out: Out,
    options: RunOptions,
) -> None:
    """Runs the whole chain: corpora to datasets, a trained and evaluated model, a page."""
    from bitextile.pipelines.recipe.recipe import load_recipe
    from bitextile.pipelines.run import run as run_chain

    folder = Path(recipe).absolute().parent
    _conclude(run_chain(load_recipe(recipe), folder, out, options=options, tell=_tell))


def demo(
    *,
    out: Out = "demo-out",
    options: RunOptions,
) -> None:
    """Runs the whole chain on the embedded sample: six languages, 400 sentences each."""
    from bitextile.pipelines.demo import demo as run_demo

    _conclude(run_demo(out, options=options, tell=_tell))


def _tell(news: str | DatasetResult) -> None:
    if isinstance(news, DatasetResult):
        print_results(news)
    else:
        console.print(f"[{news}]", style="bold", markup=False)


def _conclude(summary: "Summary") -> None:
    for figure in summary.evaluations:
        values = [figure["before"], *figure.get("between", ()), figure["after"]]
        told = " -> ".join(f"{value:.3f}" for value in values if value is not None)
        console.print(f"{figure['name']:<44} {told}", markup=False)
    typer.echo(summary.report)
