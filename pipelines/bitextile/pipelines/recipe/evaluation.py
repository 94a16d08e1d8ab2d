"""What is measured at the end of a run: the word alignment, and each model, first to last."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitextile.pipelines.recipe.recipe import Evaluate
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.task import WITH, WITHOUT

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
    refuse_outside(path)
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
        for key, found in evaluate(model, task="retrieval", data=data)["results"].items():
            for way, result in _ways(found).items():
                own = name if key == "files" else f"{name} {key}"
                metrics |= _retrieval_metrics(f"{own}{way}", result)
    for gold in part.alignment:
        found = evaluate(model, task="alignment", data=[_existing(gold.gold, folder)])
        (both,) = found["results"].values()
        for way, result in _ways(both).items():
            metrics[f"{gold.name}: encoder, aer{way}"] = (result["aer"]["value"], "")
    perplexity = evaluate(model, task="perplexity", data=[f"{out}/pairs"])["results"]["pairs"]
    for way, languages in _ways(perplexity).items():
        for lang, result in languages.items():
            metrics[f"masked perplexity {lang}{way}"] = (result["perplexity"]["value"], "")
    return metrics


def _ways(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures of a model by what their names end in.

    A model without language embeddings has one set of figures, under the name that those without
    such have in a model that has both: they are what is compared from stage to stage.
    """
    if WITHOUT not in result:
        return {"": result}
    ways = {"": result[WITHOUT], ", with language embeddings": result.get(WITH)}
    return {way: found for way, found in ways.items() if found is not None}


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
    # All models are measured by the same calls, and those that come later can have more to add.
    for name, (last, unit) in found[-1].items():
        # A model without language embeddings has no figure with them.
        first, *between = [metrics.get(name, (None, unit))[0] for metrics in found[:-1]]
        row = {"name": name, "before": first, "after": last, "unit": unit}
        rows.append(row | ({"between": between} if between else {}))
    return rows
