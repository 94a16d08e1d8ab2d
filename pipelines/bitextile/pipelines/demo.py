"""`bitextile demo`: the whole chain on the embedded sample."""

from importlib import resources
from pathlib import Path

from bitextile.pipelines.recipe import load_recipe
from bitextile.pipelines.run import Summary, Tell, run
from bitextile.pipelines.running import RunOptions

RECIPE = "recipe.yaml"


def demo(out: str, *, options: RunOptions, tell: Tell) -> Summary:
    """Runs the embedded sample through the chain; some minutes on two cores.

    Args:
        out: folder for everything it writes.
        options: how to run.
        tell: called with a stage's name when it begins, and with each dataset it wrote.
    """
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        recipe = load_recipe(str(folder / RECIPE))
        return run(recipe, Path(folder), out, options=options, tell=tell)
