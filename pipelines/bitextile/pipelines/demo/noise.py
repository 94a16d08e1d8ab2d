"""Noise planted in the sample, and what the rules of `ingest` reject of it.

Of ten rows of a language pair six stay as they are, and one gets each kind of noise:

    shuffled         the target of another row
    wrong_language   the target in another language of the sample
    copy             the source as the target
    garbage          in turn the target's letters in a random order, a run of symbols, nothing

The kinds are those of Khayrallah and Koehn 2018, On the impact of various types of noise on neural
machine translation. What the rules miss is told as well as what they find.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitextile.kernels.randomness import uniform
from bitextile.pipelines.ingest import ingest_corpora
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import BATCH_ROWS, Dataset
from bitextile.schema.kinds import REJECTS
from bitextile.schema.shards import read_shard
from bitextile.schema.storage import write_atomically
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap

CLEAN = "clean"
KINDS = ("shuffled", "wrong_language", "copy", "garbage")
PERIOD = 10
"""Rows of which one gets each kind of noise."""

Row = tuple[str, str, str]
"""Source, target and what was planted: CLEAN or one of KINDS."""


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What the rules rejected.

    Attributes:
        rows: read.
        planted: rows of each kind.
        found: rows of each kind that were rejected, CLEAN among the kinds.
        precision: share of the rejected rows that were planted.
        recall: share of the planted rows that were rejected.
    """

    rows: int
    planted: dict[str, int]
    found: dict[str, int]
    precision: Estimate
    recall: Estimate


def plant(src: Sequence[str], tgt: Sequence[str], other: Sequence[str]) -> list[Row]:
    """Returns the rows of a language pair with noise in four of ten.

    Args:
        src: [n] sentences.
        tgt: [n] their translations.
        other: [n] their translations into another language.

    >>> rows = plant(list("abcdefghij"), list("ABCDEFGHIJ"), list("0123456789"))
    >>> rows[5:9]  # doctest: +NORMALIZE_WHITESPACE
    [('f', 'F', 'clean'), ('g', 'E', 'shuffled'),
     ('h', '7', 'wrong_language'), ('i', 'i', 'copy')]
    """
    rows = [(a, b, CLEAN) for a, b in zip(src, tgt, strict=True)]
    first = PERIOD - len(KINDS)
    for n in range(first, len(rows), PERIOD):
        # Of a row that keeps its own target, so that no translation gets lost to the shuffle.
        rows[n] = (src[n], tgt[(n - 2) % len(rows)], "shuffled")
    for n in range(first + 1, len(rows), PERIOD):
        rows[n] = (src[n], other[n], "wrong_language")
    for n in range(first + 2, len(rows), PERIOD):
        rows[n] = (src[n], src[n], "copy")
    for n in range(first + 3, len(rows), PERIOD):
        rows[n] = (src[n], _garbage(tgt[n], n // PERIOD), "garbage")
    return rows


def _garbage(text: str, turn: int) -> str:
    if turn % 3 == 0:
        key = np.asarray([turn], np.uint64)
        order = uniform(key, seed=0, operation="demo/garbage", position=np.arange(len(text)))
        return "".join(text[i] for i in np.argsort(order))
    return "=-" * 40 if turn % 3 == 1 else ""


def clean_planted(
    sentences: dict[str, list[str]], out: str, *, options: RunOptions
) -> tuple[DatasetResult, Cleaning]:
    """Writes the sample with planted noise and has `ingest` clean it, with its default rules.

    Args:
        sentences: by language, line by line translations of each other; the first is the source.
        out: folder for the files and the dataset `pairs`.
        options: how to run.
    """
    src, *targets = sentences
    planted: dict[str, list[str]] = {}
    entries = []
    for n, tgt in enumerate(targets):
        other = targets[(n + 1) % len(targets)]
        rows = plant(sentences[src], sentences[tgt], sentences[other])
        name = f"{src}-{tgt}.tsv"
        text = "".join(f"{a}\t{b}\n" for a, b, _ in rows)
        write_atomically(f"{out}/{name}", text.encode(), overwrite=True)
        planted[name] = [kind for *_, kind in rows]
        entries.append({"corpus": "planted", "languages": (src, tgt), "files": (f"{out}/{name}",)})
    recipe = Recipe.model_validate({"bitext": entries})
    (made,) = ingest_corpora(recipe, Path.cwd(), out, options=options)
    return made, measure(made.dataset, planted)


def measure(dataset: Dataset, planted: dict[str, list[str]]) -> Cleaning:
    """Returns how many rows of each kind were rejected.

    Args:
        dataset: pairs made of the planted files.
        planted: of each file, by name, what was planted in its rows.
    """
    rejected = _rejected(dataset)
    rows = [
        (kind, (name, line) in rejected)
        for name, kinds in planted.items()
        for line, kind in enumerate(kinds, 1)
    ]
    terms = np.asarray(
        [(kind != CLEAN and gone, gone, kind != CLEAN) for kind, gone in rows], np.float64
    )
    return Cleaning(
        rows=len(rows),
        planted={name: sum(kind == name for kind, _ in rows) for name in KINDS},
        found={name: sum(kind == name and gone for kind, gone in rows) for name in (CLEAN, *KINDS)},
        precision=bootstrap(terms, lambda s: s[0] / max(s[1], 1.0), operation="demo"),
        recall=bootstrap(terms, lambda s: s[0] / max(s[2], 1.0), operation="demo"),
    )


def _rejected(dataset: Dataset) -> set[tuple[str, int]]:
    """Returns file and line of every rejected row."""
    columns = ["file", "line"]
    return {
        (Path(file).name, line)
        for shard in dataset.manifest.rejects
        for batch in read_shard(
            dataset.path, shard, REJECTS, columns=columns, batch_rows=BATCH_ROWS
        )
        for file, line in zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    }
