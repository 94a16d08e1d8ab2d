"""`bitextile demo`: the whole chain on the embedded sample, and what it shows."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bitextile.pipelines.demo.alignment import AlignmentGain, align_alone, alignment_gain
from bitextile.pipelines.demo.noise import CLEAN, KINDS, Cleaning, clean_planted
from bitextile.pipelines.recipe.evaluation import (
    BETTER,
    NOISE,
    WORSE,
    Evaluation,
    metric_lines,
    telling,
)
from bitextile.pipelines.recipe.recipe import load_recipe
from bitextile.pipelines.run import More, Progress, run
from bitextile.pipelines.runner.options import RunOptions
from bitextile.trainer.evaluate.intervals import Estimate

_GAIN = ": word alignment, aer without and with the training text"
RECIPE = "recipe.yaml"
SENTENCES = "sentences.tsv"
NEXT = """
Next, on your own data: write two line-aligned files into a recipe,
    echo 'bitext: [{corpus: mine, languages: [en, de], files: [my.en, my.de]}]' > recipe.yaml
    bitextile run recipe.yaml --out my-run
and add `pretrain: {steps: 1000}` to train a model, or `bitextile --help` for single steps.
""".strip()


@dataclass(frozen=True)
class Demonstration:
    """What the demo shows.

    Attributes:
        gains: of the word alignment, by gold set.
        cleaning: of the planted noise.
        evaluations: every figure of the run.
        report: the page.
    """

    gains: tuple[AlignmentGain, ...]
    cleaning: Cleaning
    evaluations: tuple[Evaluation, ...]
    report: str


def demo(out: str, *, options: RunOptions, progress: Progress) -> Demonstration:
    """Runs the embedded sample through the chain; some minutes on two cores.

    Args:
        out: folder for everything it writes.
        options: how to run.
        progress: called with a step's name when it begins, and with each dataset it wrote.
    """
    # Files of a package may be inside a zip; the readers need real paths.
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as sample:
        folder = Path(sample)
        recipe = load_recipe(str(folder / RECIPE))
        progress("clean planted noise")
        noisy, cleaning = clean_planted(sentences(folder), f"{out}/planted", options=options)
        progress(noisy)
        progress("align the test pairs alone")
        alone = align_alone(recipe, folder, f"{out}/alone", options=options)
        gains: list[AlignmentGain] = []

        def evaluations() -> list[Evaluation]:
            gains.extend(
                alignment_gain(gold, folder, alone, f"{out}/aligned")
                for gold in recipe.evaluate.alignment
            )
            return [*map(_gain_row, gains), *_cleaning_rows(cleaning)]

        more = More((noisy,), evaluations)
        done = run(recipe, folder, out, options=options, progress=progress, more=more)
    return Demonstration(tuple(gains), cleaning, done.evaluations, done.report)


def sentences(folder: Path) -> dict[str, list[str]]:
    """Returns the sample's parallel sentences by language, English first."""
    lines = (folder / SENTENCES).read_text(encoding="utf-8").splitlines()
    _, *languages = lines[0].split("\t")
    _, *columns = zip(*(line.split("\t") for line in lines[1:]), strict=True)
    return {tag: list(column) for tag, column in zip(languages, columns, strict=True)}


def conclusions(shown: Demonstration) -> list[str]:
    """Returns the lines to print at the end: what was measured, and which way it went."""
    lines = ["", "What this run shows (95 % intervals in brackets)", ""]
    lines.append("Word alignment: error rate against links made by hand, lower is better")
    for gain in shown.gains:
        lines.append(
            f"  {gain.name}, {gain.pairs} pairs: {gain.alone.value:.3f} aligned alone, "
            f"{gain.together.value:.3f} with the training text; "
            f"difference {_with_interval(gain.difference, '+.3f')}, {gain_verdict(gain)}"
        )
    lines += ["", *_cleaning_lines(shown.cleaning), ""]
    lines.append("Training: the model before and after it, on sentences that it was not trained on")
    lines.append(
        "  retrieval: share of sentences whose translation is the nearest; "
        "aer: error of links by word vectors"
    )
    rows = [
        row for row in telling(shown.evaluations) if row.get("verdict") and _is_of_training(row)
    ]
    lines += [f"  {line}" for line in metric_lines(rows)]
    return lines


def gain_verdict(gain: AlignmentGain) -> str:
    """Returns whether the training text made links better: is 0 outside the interval?"""
    if gain.difference.low <= 0.0 <= gain.difference.high:
        return NOISE
    return BETTER if gain.difference.value < 0.0 else WORSE


def _gain_row(gain: AlignmentGain) -> Evaluation:
    return {
        "name": f"{gain.name}{_GAIN}",
        "before": gain.alone.value,
        "after": gain.together.value,
        "unit": f"difference {_with_interval(gain.difference, '+.3f')}",
        "interval": [gain.together.low, gain.together.high],
        "verdict": gain_verdict(gain),
    }


def _cleaning_rows(cleaning: Cleaning) -> list[Evaluation]:
    figures = {"precision": cleaning.precision, "recall": cleaning.recall}
    rows: list[Evaluation] = [
        {
            "name": f"planted noise: {name} of the rules",
            "before": None,
            "after": figure.value,
            "unit": "",
            "items": cleaning.rows,
            "interval": [figure.low, figure.high],
        }
        for name, figure in figures.items()
    ]
    return rows + [
        {
            "name": f"planted noise: share rejected of {kind.replace('_', ' ')}",
            "before": None,
            "after": cleaning.found[kind] / cleaning.planted[kind],
            "unit": f"{cleaning.planted[kind]} planted",
        }
        for kind in KINDS
    ]


def _cleaning_lines(cleaning: Cleaning) -> list[str]:
    planted, found = sum(cleaning.planted.values()), sum(cleaning.found[kind] for kind in KINDS)
    kept = cleaning.rows - found - cleaning.found[CLEAN]
    kinds = ", ".join(
        f"{kind.replace('_', ' ')} {cleaning.found[kind]} of {cleaning.planted[kind]}"
        for kind in KINDS
    )
    return [
        f"Cleaning: {planted:,} noisy pairs planted among {cleaning.rows:,}",
        f"  rejected: {kinds}",
        f"  precision {_with_interval(cleaning.precision, '.2f')}, "
        f"recall {_with_interval(cleaning.recall, '.2f')}; "
        f"noise {planted / cleaning.rows:.0%} before, {(planted - found) / kept:.0%} after",
        "  (the rules go by length and form: they cannot see a wrong translation or language)",
    ]


def _is_of_training(row: Evaluation) -> bool:
    # Both directions of a retrieval are in the page; here their mean will do. The aligner's rows
    # stand above.
    return not row["name"].endswith((" src to tgt", " tgt to src", _GAIN))


def _with_interval(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"
