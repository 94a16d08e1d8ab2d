"""The demo: its figures go the right way on the sample, and its last lines say which did."""

import dataclasses
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from bitextile.pipelines.align import align
from bitextile.pipelines.demo import demo
from bitextile.pipelines.demo.alignment import AlignmentGain
from bitextile.pipelines.demo.noise import KINDS, Cleaning
from bitextile.pipelines.ingest import ingest_corpora
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.recipe.evaluation import (
    BETTER,
    NOISE,
    WORSE,
    compare_stages,
    model_metrics,
    telling,
)
from bitextile.pipelines.recipe.recipe import Recipe, load_recipe
from bitextile.pipelines.recipe.training_stages import stage_config, training_stages
from bitextile.pipelines.run import Summary
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.tokenizer import train_tokenizer
from bitextile.trainer.evaluate.intervals import Estimate
from bitextile.trainer.train.pretrain import pretrain, save_initial

ONE = RunOptions(workers=1)


@pytest.fixture(scope="module")
def sample() -> Iterator[Path]:
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def recipe(sample: Path) -> Recipe:
    return load_recipe(str(sample / demo.RECIPE))


@pytest.fixture(scope="module")
def out(sample: Path, recipe: Recipe, tmp_path_factory) -> str:
    """Returns a folder with the datasets that the demo's training and evaluation read."""
    out = str(tmp_path_factory.mktemp("demo"))
    ingest_corpora(recipe, sample, out, options=ONE)
    align(f"{out}/pairs", f"{out}/aligned", config=recipe.align, options=ONE)
    lexicon(f"{out}/aligned", f"{out}/lexicon", config=recipe.lexicon, options=ONE)
    train_tokenizer([f"{out}/pairs"], f"{out}/tokenizer", config=recipe.tokenizer)
    return out


def test_training_text_lowers_the_alignment_error_outside_noise(
    out: str, recipe: Recipe, sample: Path, tmp_path
) -> None:
    alone = demo.align_alone(recipe, sample, str(tmp_path), options=ONE)
    sets = recipe.evaluate.alignment
    gains = [demo.alignment_gain(gold, sample, alone, f"{out}/aligned") for gold in sets]
    assert [gain.pairs for gain in gains] == [70, 37]
    for gain in gains:
        assert demo.gain_verdict(gain) == BETTER, gain
        assert gain.difference.value == pytest.approx(gain.together.value - gain.alone.value)


@pytest.mark.slow
def test_the_training_improves_the_model_outside_noise(
    out: str, recipe: Recipe, sample: Path
) -> None:
    (stage,) = training_stages(recipe)
    config = stage_config(stage, recipe, sample, out).model_copy(update={"device": "cpu"})
    save_initial(config, f"{out}/before")
    pretrain(config, f"{out}/after")
    measured = recipe.evaluate, sample, out
    found = [model_metrics(f"{out}/{name}", *measured) for name in ("before", "after")]
    rows = compare_stages(found)
    verdicts = {row["name"]: row["verdict"] for row in rows}
    assert WORSE not in verdicts.values(), verdicts
    improved = {name for name, verdict in verdicts.items() if verdict == BETTER}
    assert improved >= {f"masked perplexity {tag}" for tag in ("ar", "de", "en", "es", "fr", "zh")}
    assert improved >= {f"{pair}: encoder, aer" for pair in ("en-de", "en-zh")}
    assert improved >= {f"retrieval test split {pair} both ways" for pair in ("de-en", "en-fr")}
    # Each of them is of enough items to be printed.
    assert improved <= {row["name"] for row in telling(rows)}


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.02, value + 0.02)


CLEANING = Cleaning(
    rows=100,
    planted=dict.fromkeys(KINDS, 10),
    found={"clean": 1, "shuffled": 0, "wrong_language": 2, "copy": 10, "garbage": 7},
    precision=estimate(0.95),
    recall=estimate(0.475),
)
GAIN = AlignmentGain(
    name="en-de",
    pairs=70,
    alone=estimate(0.10),
    together=estimate(0.06),
    difference=estimate(-0.04),
)


@pytest.mark.parametrize(
    ("difference", "verdict"), [(-0.04, BETTER), (0.04, WORSE), (-0.01, NOISE), (0.01, NOISE)]
)
def test_the_verdict_goes_by_the_interval_of_the_difference(difference, verdict) -> None:
    gain = dataclasses.replace(GAIN, difference=estimate(difference))
    assert demo.gain_verdict(gain) == verdict


def test_the_conclusions_say_what_was_found_and_missed_and_leave_out_what_cannot_tell() -> None:
    row = {"before": 2000.0, "after": 300.0, "unit": "", "interval": [280.0, 320.0]}
    rows = (
        {"name": "perplexity", **row, "items": 400, "verdict": BETTER},
        {"name": "retrieval both ways", **row, "items": 40, "verdict": NOISE},
        {"name": "retrieval src to tgt", **row, "items": 400, "verdict": BETTER},
        {"name": "of one model", **row, "items": 400},
    )
    shown = demo.Demonstration((GAIN,), CLEANING, rows, "out/report.html")
    lines = [line.strip() for line in demo.conclusions(shown)]
    assert (
        "en-de, 70 pairs: 0.100 aligned alone, 0.060 with the training text; "
        "difference -0.040 [-0.060, -0.020], better"
    ) in lines
    assert "rejected: shuffled 0 of 10, wrong language 2 of 10, copy 10 of 10, garbage 7 of 10" in (
        lines
    )
    # 40 of 100 rows were noise; of the 80 that stay 21.
    assert any("noise 40% before, 26% after" in line for line in lines)
    assert lines[-1].split() == ["perplexity", "2,000", "->", "300", "[280,", "320]", "better"]
    hidden = ("retrieval both ways", "retrieval src to tgt", "of one model")
    assert not any(line.startswith(hidden) for line in lines)


def test_noise_and_lone_test_pairs_come_before_the_chain_and_reach_its_page(monkeypatch) -> None:
    news: list[str] = []
    monkeypatch.setattr(demo, "clean_planted", lambda *_, options: ("noisy", CLEANING))
    monkeypatch.setattr(demo, "align_alone", lambda *_, options: "alone")
    monkeypatch.setattr(demo, "alignment_gain", lambda gold, *_: GAIN)

    def run(recipe, folder, out, *, options, progress, more) -> Summary:
        assert {entry.corpus for entry in recipe.bitext} == {"gold", "sample"}
        assert (folder / "sentences.tsv").is_file()
        progress("align")
        assert more.datasets == ("noisy",)
        return Summary((), tuple(more.evaluations()), f"{out}/report.html")

    monkeypatch.setattr(demo, "run", run)
    shown = demo.demo("out", options=RunOptions(), progress=news.append)
    assert shown.report == "out/report.html"
    assert shown.gains == (GAIN, GAIN)
    assert news == ["clean planted noise", "noisy", "align the test pairs alone", "align"]
    names = [row["name"] for row in shown.evaluations]
    assert "planted noise: recall of the rules" in names
    assert "en-de: word alignment, aer without and with the training text" in names
