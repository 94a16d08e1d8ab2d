"""What is measured at the end of a run: the word alignment, and each model, first to last."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitextile.pipelines.recipe.recipe import Evaluate
from bitextile.schema.errors import ConfigError

Evaluation = dict[str, Any]
"""Name, unit, `before` and `after`; `between` where there were several stages of training."""
Metrics = dict[str, tuple[float, str]]
"""Of one model: name to value and unit."""


def check_evaluation(part: Evaluate, folder: Path) -> None:
    """Raises ConfigError if a file that the recipe names is not there."""
    for gold in part.alignment:
        _existing(gold.gold, folder)
    for texts in part.retrieval:
        for file in texts.files:
            _existing(file, folder)


def _existing(name: str, folder: Path) -> str:
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; check the recipe's `evaluate`")
    return str(path)


def alignment_metrics(part: Evaluate, folder: Path, out: str) -> list[Evaluation]:
    """Returns the alignment error rate of the word alignments in the shards, by gold set.

    Args:
        part: of the recipe.
        folder: what its paths are relative to.
        out: folder of the run.
    """
    from bitextile.trainer.evaluate.evaluate import evaluate

    metrics = []
    for gold in part.alignment:
        path = _existing(gold.gold, folder)
        found = evaluate(f"{out}/aligned", task="alignment", data=[path])
        # One gold file gives one result; should `evaluate` give more, it is to fail here.
        (result,) = found["results"].values()
        for metric in ("aer", "precision", "recall"):
            # No "before": the shards' word alignment comes from the aligner and does not change in
            # training.
            row = {"before": None, "after": result[metric]["value"], "unit": ""}
            metrics.append({"name": f"{gold.name}: word alignment, {metric}", **row})
    return metrics


def model_metrics(model: str, part: Evaluate, folder: Path, out: str) -> Metrics:
    """Returns every metric of one model; arguments as in `alignment_metrics`."""
    from bitextile.trainer.evaluate.evaluate import evaluate

    metrics: Metrics = {}
    # The pairs' own test split needs no file from the user, so a run is never without a
    # measurement.
    sets = {"test split": [f"{out}/pairs"]} | {
        entry.name: [_existing(file, folder) for file in entry.files] for entry in part.retrieval
    }
    for name, data in sets.items():
        for key, result in evaluate(model, task="retrieval", data=data)["results"].items():
            metrics |= _retrieval_metrics(name if key == "files" else f"{name} {key}", result)
    for gold in part.alignment:
        found = evaluate(model, task="alignment", data=[_existing(gold.gold, folder)])
        (result,) = found["results"].values()
        metrics[f"{gold.name}: encoder, aer"] = (result["aer"]["value"], "")
    perplexity = evaluate(model, task="perplexity", data=[f"{out}/pairs"])["results"]["pairs"]
    for lang, result in perplexity.items():
        metrics[f"masked perplexity {lang}"] = (result["perplexity"]["value"], "")
    return metrics


def _retrieval_metrics(name: str, result: dict[str, Any]) -> Metrics:
    directions = ("src_to_tgt", "tgt_to_src")
    return {
        f"retrieval {name} {direction.replace('_', ' ')}": (result[direction]["value"], "accuracy")
        for direction in directions
    }


def compare_stages(found: Sequence[Metrics]) -> list[Evaluation]:
    """Returns the metrics side by side.

    Args:
        found: of the model training began with, then of each stage's; two at least.

    >>> compare_stages([{"p": (9.0, "")}, {"p": (5.0, "")}, {"p": (4.0, "")}])
    [{'name': 'p', 'before': 9.0, 'after': 4.0, 'unit': '', 'between': [5.0]}]
    """
    rows = []
    # All models are measured by the same calls, so the last one names every metric.
    for name, (last, unit) in found[-1].items():
        first, *between = [metrics[name][0] for metrics in found[:-1]]
        row = {"name": name, "before": first, "after": last, "unit": unit}
        rows.append(row | ({"between": between} if between else {}))
    return rows
