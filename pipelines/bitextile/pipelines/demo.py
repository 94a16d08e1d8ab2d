"""`bitextile demo`: the whole chain on the embedded sample."""

from importlib import resources
from pathlib import Path

from bitextile.pipelines.recipe.recipe import load_recipe
from bitextile.pipelines.run import Progress, Summary, run
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions

RECIPE = "recipe.yaml"
QUALITY_NOTE = "translations of so small a model are poor: illustration only"


def demo(out: str, *, options: RunOptions, progress: Progress) -> Summary:
    """Runs the embedded sample through the chain; some minutes on two cores.

    Args:
        out: folder for everything it writes.
        options: how to run.
        progress: called with a step's name when it begins, and with each dataset it wrote; after
            the pseudo translations with a note on their quality.
    """

    def with_note(news: str | DatasetResult) -> None:
        progress(news)
        if isinstance(news, DatasetResult) and news.dataset.kind.name == "pseudo":
            progress(QUALITY_NOTE)

    # Files of a package may be inside a zip; the readers need real paths.
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        recipe = load_recipe(str(folder / RECIPE))
        return run(recipe, Path(folder), out, options=options, progress=with_note)
