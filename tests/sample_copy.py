"""A copy of the embedded sample with the monolingual sentences that the demo does without."""

import shutil
from importlib import resources
from pathlib import Path

import yaml


def recipe_with_mono(folder: Path) -> str:
    """Copies the sample into a folder; returns its recipe, with `mono` and fewer pairs held out."""
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as sample:
        shutil.copytree(sample, folder / "sample")
    recipe = folder / "sample" / "recipe.yaml"
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    content["mono"] = [
        {"corpus": "sample", "language": tag, "files": [f"mono.{tag}.txt"]} for tag in ("de", "en")
    ]
    content["splits"] = {"valid": 0.05, "test": 0.1}
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(recipe)
