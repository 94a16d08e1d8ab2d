"""What is measured at the end of a run: the word alignment, and each model, first to last."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitextile.pipelines.recipe.recipe import Evaluate
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.task import WITH, WITHOUT

Evaluation = dict[str, Any]
"""Name, unit, `before` and `after`; `between` where there were several stages of training. Then
`items` measured, `interval` of `after`, and `verdict` on the change, all three where known."""

MIN_ITEMS = 50
"""A share of fewer items has a 95 % interval of up to +-0.14 and more, and tells next to nothing
unless the change is larger still: such figures stand in evaluation.json alone."""
BETTER, WORSE, NOISE = "better", "worse", "within noise"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric of one model.

    Attributes:
        value: over all items.
        low: end of its 95 % interval.
        high: the other end.
        items: sentences, pairs, links or predictions it was measured on.
        unit: as the page shows it.
        less_is_better: of errors and perplexities.
    """

    value: float
    low: float
    high: float
    items: int
    unit: str = ""
    less_is_better: bool = False


Metrics = dict[str, Figure]
"""Of one model, by name."""


def verdict(before: Figure, after: Figure) -> str:
    """Returns what a change is: BETTER or WORSE where the two intervals do not overlap.

    That is stricter than a test of the difference at 5 %.

    >>> one, two = (Figure(value=v, low=v - 1, high=v + 1, items=99) for v in (2.0, 5.0))
    >>> verdict(one, two), verdict(two, one), verdict(one, one)
    ('better', 'worse', 'within noise')
    """
    if after.low > before.high:
        return WORSE if after.less_is_better else BETTER
    if after.high < before.low:
        return BETTER if after.less_is_better else WORSE
    return NOISE


def telling(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Returns the rows that can tell something: of MIN_ITEMS or more, or changed outside noise."""
    return [
        row
        for row in evaluations
        if row.get("items", MIN_ITEMS) >= MIN_ITEMS or row.get("verdict") in (BETTER, WORSE)
    ]


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
            row |= {
                "items": result["links"],
                "interval": [result[metric]["low"], result[metric]["high"]],
            }
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
            metrics[f"{gold.name}: encoder, aer{way}"] = Figure(
                # Links found may be few, of an untrained model; the gold's are not.
                **result["aer"],
                items=result["pairs"],
                less_is_better=True,
            )
    perplexity = evaluate(model, task="perplexity", data=[f"{out}/pairs"])["results"]["pairs"]
    for way, languages in _ways(perplexity).items():
        for lang, result in languages.items():
            metrics[f"masked perplexity {lang}{way}"] = Figure(
                **result["perplexity"], items=result["predictions"], less_is_better=True
            )
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
    named = {"src_to_tgt": "src to tgt", "tgt_to_src": "tgt to src", "mean": "both ways"}
    return {
        f"retrieval {name} {shown}": Figure(**result[way], items=result["pairs"], unit="accuracy")
        for way, shown in named.items()
    }


def compare_stages(found: Sequence[Metrics]) -> list[Evaluation]:
    """Returns the metrics side by side.

    Args:
        found: of the model training began with, then of each stage's; two at least.

    >>> first, second = (Figure(value=v, low=v, high=v, items=99) for v in (9.0, 4.0))
    >>> compare_stages([{"p": first}, {"p": second}])[0]["verdict"]
    'worse'
    """
    rows: list[Evaluation] = []
    # All models are measured by the same calls, and those that come later can have more to add.
    for name, last in found[-1].items():
        # A model without language embeddings has no figure with them.
        earlier = [metrics.get(name) for metrics in found[:-1]]
        first, *between = [None if figure is None else figure.value for figure in earlier]
        row: Evaluation = {"name": name, "before": first, "after": last.value, "unit": last.unit}
        row |= {"between": between} if between else {}
        row |= {"items": last.items, "interval": [last.low, last.high]}
        rows.append(row | ({"verdict": verdict(earlier[0], last)} if earlier[0] else {}))
    return rows


def metric_lines(rows: Sequence[Evaluation]) -> list[str]:
    """Returns a line for each metric: its values, the interval of the last, and the verdict."""
    lines = []
    for row in rows:
        values = [row["before"], *row.get("between", ()), row["after"]]
        # The word alignment has no value before training.
        text = " -> ".join(_number(value) for value in values if value is not None)
        ends = ", ".join(map(_number, row.get("interval", ())))
        interval = f" [{ends}]" if ends else ""
        change = f"  {row['verdict']}" if row.get("verdict") else ""
        lines.append(f"{row['name']:<44} {text}{interval}{change}")
    return lines


def _number(value: float) -> str:
    """Returns three digits behind the point of what is small, none of what is large.

    >>> _number(0.0454), _number(2009.3)
    ('0.045', '2,009')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
