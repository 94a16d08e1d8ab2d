"""What the training text is worth: gold pairs aligned with it, and the same pairs alone."""

from dataclasses import dataclass
from pathlib import Path

from bitextile.pipelines.align import align
from bitextile.pipelines.ingest import ingest_corpora
from bitextile.pipelines.recipe.recipe import AlignmentSet, Recipe
from bitextile.pipelines.runner.options import RunOptions
from bitextile.trainer.evaluate.alignment import aer_difference, dataset_links, score_links
from bitextile.trainer.evaluate.gold import read_gold
from bitextile.trainer.evaluate.intervals import Estimate


@dataclass(frozen=True, kw_only=True)
class AlignmentGain:
    """The alignment error rate of the same gold pairs, aligned twice.

    Attributes:
        name: of the gold set.
        pairs: scored.
        alone: the aligner was fitted to the gold pairs alone.
        together: it was fitted to them and the training text; in neither case to gold links.
        difference: the second minus the first, with the interval of the difference.
    """

    name: str
    pairs: int
    alone: Estimate
    together: Estimate
    difference: Estimate


def align_alone(recipe: Recipe, folder: Path, out: str, *, options: RunOptions) -> str:
    """Aligns the held-out corpora of a recipe without the others; returns the aligned folder.

    Args:
        recipe: whose corpora with `split: test` are the gold pairs.
        folder: what its paths are relative to.
        out: folder for the datasets.
        options: how to run.
    """
    held_out = tuple(entry for entry in recipe.bitext if entry.split == "test")
    alone = recipe.model_copy(update={"bitext": held_out, "mono": ()})
    (pairs,) = ingest_corpora(alone, folder, out, options=options)
    aligned = f"{out}/aligned"
    align(pairs.dataset.path, aligned, config=recipe.align, options=options)
    return aligned


def alignment_gain(gold: AlignmentSet, folder: Path, alone: str, together: str) -> AlignmentGain:
    """Returns the error of both alignments of a gold set.

    Args:
        gold: of the recipe.
        folder: what its path is relative to.
        alone: aligned dataset of the gold pairs.
        together: aligned dataset of them and the training text.
    """
    pairs = read_gold(str(folder / gold.gold))
    # Only what both have: the same pairs are compared.
    _, pairs = dataset_links(alone, pairs)
    links_together, pairs = dataset_links(together, pairs)
    links_alone, _ = dataset_links(alone, pairs)
    return AlignmentGain(
        name=gold.name,
        pairs=len(pairs),
        alone=score_links(links_alone, pairs).aer,
        together=score_links(links_together, pairs).aer,
        difference=aer_difference(links_alone, links_together, pairs),
    )
