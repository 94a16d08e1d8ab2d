"""`bitextile demo`: the whole chain on the embedded sample."""

from importlib import resources
from pathlib import Path

from bitextile.pipelines.recipe.recipe import load_recipe
from bitextile.pipelines.run import Summary, Tell, run
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions

RECIPE = "recipe.yaml"
PLAINLY = "what so small a model writes is poor: it shows the way, not the quality"


def demo(out: str, *, options: RunOptions, tell: Tell) -> Summary:
    """Runs the embedded sample through the chain; some minutes on two cores.

    Args:
        out: folder for everything it writes.
        options: how to run.
        tell: called with a stage's name when it begins, and with each dataset it wrote; behind
            the pseudo translations with what to think of them.
    """

    def told(news: str | DatasetResult) -> None:
        tell(news)
        if isinstance(news, DatasetResult) and news.dataset.kind.name == "pseudo":
            tell(PLAINLY)

    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        recipe = load_recipe(str(folder / RECIPE))
        return run(recipe, Path(folder), out, options=options, tell=told)
