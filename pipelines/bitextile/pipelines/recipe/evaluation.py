"""What is measured at the end of a run: the links, and each model from the first to the last."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitextile.pipelines.recipe.recipe import Evaluate
from bitextile.schema.errors import ConfigError

Evaluation = dict[str, Any]
"""Name, unit, `before` and `after`; `between` where there were several stages of training."""
Figures = dict[str, tuple[float, str]]
"""Of one model: name to value and unit."""


def check_evaluation(wanted: Evaluate, folder: Path) -> None:
    """Raises ConfigError if a file that the recipe names is not there."""
    for gold in wanted.alignment:
        _existing(gold.gold, folder)
    for texts in wanted.retrieval:
        for file in texts.files:
            _existing(file, folder)


def _existing(name: str, folder: Path) -> str:
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; check the recipe's `evaluate`")
    return str(path)


def link_figures(wanted: Evaluate, folder: Path, out: str) -> list[Evaluation]:
    """Returns the alignment error rate of the links in the shards, by gold set.

    Args:
        wanted: of the recipe.
        folder: what its paths are relative to.
        out: folder of the run.
    """
    from bitextile.trainer.evaluate.evaluate import evaluate

    figures = []
    for gold in wanted.alignment:
        path = _existing(gold.gold, folder)
        found = evaluate(f"{out}/aligned", task="alignment", data=[path])
        (result,) = found["results"].values()
        for metric in ("aer", "precision", "recall"):
            figure = {"before": None, "after": result[metric]["value"], "unit": ""}
            figures.append({"name": f"{gold.name}: links, {metric}", **figure})
    return figures


def model_figures(model: str, wanted: Evaluate, folder: Path, out: str) -> Figures:
    """Returns every figure of one model; arguments as in `link_figures`."""
    from bitextile.trainer.evaluate.evaluate import evaluate

    figures: Figures = {}
    sets = {"test split": [f"{out}/pairs"]} | {
        entry.name: [_existing(file, folder) for file in entry.files] for entry in wanted.retrieval
    }
    for name, data in sets.items():
        for key, result in evaluate(model, task="retrieval", data=data)["results"].items():
            figures |= _retrieval_figures(name if key == "files" else f"{name} {key}", result)
    for gold in wanted.alignment:
        found = evaluate(model, task="alignment", data=[_existing(gold.gold, folder)])
        (result,) = found["results"].values()
        figures[f"{gold.name}: encoder, aer"] = (result["aer"]["value"], "")
    perplexity = evaluate(model, task="perplexity", data=[f"{out}/pairs"])["results"]["pairs"]
    for lang, result in perplexity.items():
        figures[f"masked perplexity {lang}"] = (result["perplexity"]["value"], "")
    return figures


def _retrieval_figures(name: str, result: dict[str, Any]) -> Figures:
    directions = ("src_to_tgt", "tgt_to_src")
    return {
        f"retrieval {name} {direction.replace('_', ' ')}": (result[direction]["value"], "accuracy")
        for direction in directions
    }


def compared(found: Sequence[Figures]) -> list[Evaluation]:
    """Returns the figures side by side.

    Args:
        found: of the model training began with, then of each stage's; two at least.

    >>> compared([{"p": (9.0, "")}, {"p": (5.0, "")}, {"p": (4.0, "")}])
    [{'name': 'p', 'before': 9.0, 'after': 4.0, 'unit': '', 'between': [5.0]}]
    """
    rows = []
    for name, (last, unit) in found[-1].items():
        first, *between = [figures[name][0] for figures in found[:-1]]
        row = {"name": name, "before": first, "after": last, "unit": unit}
        rows.append(row | ({"between": between} if between else {}))
    return rows
