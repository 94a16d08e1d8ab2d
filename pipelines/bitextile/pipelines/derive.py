"""`bitextile derive`: datasets, parsed or task files -> a derived language, with exact links."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from bitextile.kernels.derive.config import DeriveConfig, derived_tag
from bitextile.kernels.tasks.tasks import derive_task, derived_name
from bitextile.pipelines.runner.atomic import staged
from bitextile.pipelines.runner.convert import convert_dataset, convert_files
from bitextile.pipelines.runner.inputs import plain_inputs
from bitextile.pipelines.runner.job import DatasetResult, software
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS
from bitextile.schema.storage import is_local

MARKER = "derive.json"
"""Written beside derived task files: what they were made from, how, and what was left out."""
RECORDS = "derive.jsonl"
"""Beside them, too: which word was made from which, and what the way back needs."""


class DerivedFile(NamedTuple):
    """A derived task file: where it lies, and counts of what was read, kept and left out."""

    path: str
    counts: dict[str, int]


def derive(dataset: str, out: str, *, config: DeriveConfig, options: RunOptions) -> DatasetResult:
    """Writes a derived language with exact links.

    Sentences (`mono`, and those of `pairs`, each once) are paired with their derived forms. Pairs
    that are `aligned` keep their links: derived sentences take the place of their own.

    Args:
        dataset: folder of a `mono`, `pairs` or `aligned` dataset.
        out: folder for the `aligned` dataset.
        config: which transforms, and which sides of pairs.
        options: how to run.

    Raises:
        ConfigError: `syntax` is among the transforms: a dataset has no parses; or `sides` is given
            for sentences.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.derive import DeriveAligned, DeriveLanguage, ExplodePairs
        from bitextile.transforms.ingest import DropDuplicates

        # Links can be carried over; sentences of plain pairs are derived one by one, each once,
        # though many pairs share one.
        if source.kind is ALIGNED:
            return rows | DeriveAligned(config)
        if source.kind is PAIRS:
            rows = rows | ExplodePairs(config.sides) | DropDuplicates(kind=MONO)
        return rows | DeriveLanguage(config)

    if "syntax" in config.transforms:
        raise ConfigError(
            f"transform syntax: {dataset} is a dataset without parses; give a CoNLL-U file instead"
        )
    source = open_dataset(dataset, (MONO, PAIRS, ALIGNED))
    if source.kind is MONO:
        _refuse_sides(dataset, config)
    described = {"command": "derive", **asdict(config)}
    return convert_dataset(
        source, out, make, kind=ALIGNED, config=described, options=options, work=3.0
    )


def _refuse_sides(source: str, config: DeriveConfig) -> None:
    if config.sides != "both":
        raise ConfigError(
            f"sides {config.sides}: {source} holds sentences, not pairs; leave it out"
        )


def derive_conllu(
    file: str, out: str, *, lang: str, config: DeriveConfig, options: RunOptions
) -> DatasetResult:
    """Writes the sentences of a CoNLL-U file and their derived forms, word by word linked.

    Args:
        file: the parsed sentences.
        out: folder for the `aligned` dataset.
        lang: BCP-47 tag of the file.
        config: which transforms, `syntax` among them if wanted.
        options: how to run.
    """

    def make(root: Any) -> Any:
        from bitextile.transforms.derive import DeriveParsed

        return root | DeriveParsed((file,), lang, config)

    _refuse_sides(file, config)
    described = {"command": "derive", "language": lang, **asdict(config)}
    inputs = plain_inputs([file])
    return convert_files(inputs, out, make, kind=ALIGNED, config=described, options=options)


def derive_file(
    file: str, out: str, *, task: str, lang: str, config: DeriveConfig, overwrite: bool = False
) -> DerivedFile:
    """Writes a file of task data in a derived language, labels and spans carried along.

    Args:
        file: POS (CoNLL-U), NER (word TAB tag), NLI (TSV) or QA (SQuAD's JSON).
        out: a local folder for the new file, MARKER and RECORDS.
        task: "pos", "ner", "nli" or "qa".
        lang: BCP-47 tag of the file.
        config: which transforms.
        overwrite: replace the folder.

    Raises:
        InputError: the file is missing or not of its form.
        OutputExistsError: `out` exists and `overwrite` is false.
    """
    _refuse_sides(file, config)
    # The files below are written by plain file calls, unlike shards.
    if not is_local(out):
        raise ConfigError(f"{out}: task files are written to a local folder; give a local path")
    inputs, name = plain_inputs([file]), derived_name(file, lang, config.transforms)
    made = derive_task(task, file, lang=lang, config=config)
    marker = {
        "task": task,
        "language": derived_tag(lang, config.transforms),
        "counts": made.counts,
        "config": asdict(config),
        "inputs": inputs,
        "software": software(),
    }
    # After the work: a file that cannot be derived leaves no folder.
    with staged([out], overwrite=overwrite, inputs=[file], marker=MARKER) as places:
        folder = Path(places[out])
        (folder / name).write_text("\n".join(made.lines) + "\n", encoding="utf-8")
        (folder / RECORDS).write_text("\n".join(made.records) + "\n", encoding="utf-8")
        text = json.dumps(marker, ensure_ascii=False, indent=1)
        (folder / MARKER).write_text(text + "\n", encoding="utf-8")
    return DerivedFile(f"{out}/{name}", made.counts)
