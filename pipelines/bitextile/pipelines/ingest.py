"""`bitextile ingest`: corpora -> DIR/pairs and DIR/mono, normalised, filtered, each once."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bitextile.kernels.readers.source import CorpusSource
from bitextile.pipelines.lost_corpora import refuse_lost_corpora
from bitextile.pipelines.recipe.corpora import find_files
from bitextile.pipelines.recipe.recipe import Recipe, load_recipe
from bitextile.pipelines.runner.inputs import file_inputs
from bitextile.pipelines.runner.job import DatasetResult, Output, run_pipeline, software
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.kinds import MONO, PAIRS, Kind

CORPORA = ("bitext", "mono", "filters", "splits")
"""The parts of a recipe that ingest reads."""


def ingest(recipe: str, out: str, *, options: RunOptions) -> list[DatasetResult]:
    """Reads the corpora of a recipe file into DIR/pairs and DIR/mono.

    Args:
        recipe: path of a YAML file; see README, «The recipe».
        out: folder for the datasets.
        options: how to run.

    Raises:
        ConfigError: the recipe is wrong, or an output exists.
        InputError: a corpus file is missing, damaged, or not of its format; or all rows of a corpus
            were rejected, which leaves the datasets and their rejects to look at.
    """
    folder = Path(recipe).absolute().parent
    return ingest_corpora(
        load_recipe(recipe), folder, out, options=options, reads=(os.fspath(recipe),)
    )


def ingest_corpora(
    recipe: Recipe,
    folder: Path,
    out: str,
    *,
    options: RunOptions,
    reads: tuple[str, ...] = (),
) -> list[DatasetResult]:
    """Does what `ingest` does, with a recipe that is parsed already.

    Args:
        recipe: what to read and what to do to it.
        folder: what its paths are relative to.
        out: folder for the datasets.
        options: how to run.
        reads: files that are read besides the corpora, such as the recipe's.
    """
    sources = find_files(recipe.bitext, recipe.mono, folder)
    whole = recipe.model_dump(mode="json")
    # Only what ingest reads: a recipe whose training part changes keeps its datasets with --reuse.
    config = {"command": "ingest", **{part: whole[part] for part in CORPORA}}
    todo = [(PAIRS, "pairs", sources.bitext), (MONO, "mono", sources.mono)]
    jobs = {f"{out}/{name}": (kind, found) for kind, name, found in todo if found}
    outputs = [
        Output(path=path, config=config, inputs=file_inputs(found))
        for path, (_, found) in jobs.items()
    ]
    # The same guess as `dataset_bytes` makes of shards: three times the bytes on disk.
    input_bytes = sum(int(i["bytes"]) * 3 for output in outputs for i in output.inputs)

    def build_all(root: Any, places: dict[str, str]) -> None:
        build(root, recipe, dict(jobs.values()), outputs, places)

    # In full: manifests name files as the recipe does.
    files = [file for _, found in jobs.values() for source in found for file in source.files]
    # One pipeline for both datasets: workers start once, and both appear or neither.
    made = run_pipeline(
        build_all, outputs, options, input_bytes=input_bytes, reads=(*reads, *files)
    )
    for result, (_, found) in zip(made, jobs.values(), strict=True):
        refuse_lost_corpora(result.dataset, found)
    return made


def build(
    root: Any,
    recipe: Recipe,
    sources: dict[Kind, tuple[CorpusSource, ...]],
    outputs: Sequence[Output],
    places: dict[str, str],
) -> None:
    """Adds the steps from files to datasets to a pipeline.

    Args:
        root: the pipeline.
        recipe: the configuration.
        sources: files of each kind, PAIRS or MONO.
        outputs: what the manifests say of the datasets, one of each kind in their order.
        places: path of an output to the folder to write to.
    """
    from bitextile.transforms.ingest import AssignSplits
    from bitextile.transforms.write import WriteDataset

    rows = {kind.name: _distinct_rows(root, recipe, kind, found) for kind, found in sources.items()}
    # Of all kinds at once: a sentence of a test pair must not be trained on by itself.
    rows = rows | "AssignSplits" >> AssignSplits(recipe.splits)
    for kind, output in zip(sources, outputs, strict=True):
        rows[kind.name] | f"Write{kind.name.title()}" >> WriteDataset(
            places[output.path],
            kind,
            config=output.config,
            inputs=output.inputs,
            software=software(),
        )


def _distinct_rows(root: Any, recipe: Recipe, kind: Kind, sources: tuple[CorpusSource, ...]) -> Any:
    from bitextile.transforms import ingest as do

    # Of duplicates what is held out stays, else what the recipe names first.
    order = tuple(dict.fromkeys(source.corpus for source in sources))
    label = kind.name.title()
    # Normalised before filtered, so that rules see what would be kept; duplicates last of the
    # rules, among rows that passed, or a row could be dropped for one that is dropped itself.
    return (
        root
        | f"Read{label}" >> do.ReadCorpora(sources)
        | f"Normalise{label}" >> do.Normalise(kind)
        | f"Filter{label}" >> do.Filter(recipe.filters, kind)
        | f"DropDuplicates{label}" >> do.DropDuplicates(order, kind)
    )
