"""`run` and `demo`: the whole chain."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bitextile.pipelines.cli.shared import (
    Out,
    print_results,
)
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.terminal import answer, say

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

    # Paths in a recipe are relative to it, so that a project can be moved as a whole.
    folder = Path(recipe).absolute().parent
    _print_summary(
        run_chain(load_recipe(recipe), folder, out, options=options, progress=_print_progress)
    )


def demo(options: RunOptions, out: Out = "demo-out") -> None:
    """Runs the whole chain on the embedded sample: six languages; says what it shows."""
    from bitextile.pipelines.demo.demo import NEXT, conclusions
    from bitextile.pipelines.demo.demo import demo as run_demo

    shown = run_demo(out, options=options, progress=_print_progress)
    for line in (*conclusions(shown), "", *NEXT.splitlines(), "", "Open this page in a browser:"):
        say(line)
    answer(shown.report)


def _print_progress(news: str | DatasetResult) -> None:
    if isinstance(news, DatasetResult):
        print_results(news)
    else:
        say(f"[{news}]", style="bold")


def _print_summary(summary: "Summary") -> None:
    from bitextile.pipelines.recipe.evaluation import MIN_ITEMS, metric_lines, telling

    shown = telling(summary.evaluations)
    for line in metric_lines(shown):
        say(line)
    if hidden := len(summary.evaluations) - len(shown):
        say(
            f"Left out, as fewer than {MIN_ITEMS} items tell nothing: {hidden} of the figures; "
            "they are in evaluation.json"
        )
    # On stdout, alone: `xdg-open $(bitextile run ...)` opens the page.
    answer(summary.report)
