"""Bitext retrieval: does a sentence find its translation among all? Cosine, accuracy at 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bitextile.kernels.arrays import F64
from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import ALIGNED, PAIRS
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.evaluate.cosine import nearest
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.task import LayerOptions, SplitOptions

if TYPE_CHECKING:
    from bitextile.trainer.evaluate.vectors import Embedder

PAIR = ("src_lang", "tgt_lang", "src", "tgt")

Bitext = tuple[list[str], list[str]]
"""Sentences and their translations, row by row."""


@dataclass(frozen=True, kw_only=True)
class RetrievalOptions(LayerOptions, SplitOptions):
    """Whose vectors are compared, and which rows."""

    key: str | None = None
    """The one language pair of the dataset to measure, such as de-en. By default each."""


class RetrievalTask:
    """Bitext retrieval by the cosine of mean vectors."""

    name = "retrieval"
    data = "one pairs or aligned dataset, or two text files, line by line"
    options = RetrievalOptions

    def read(self, paths: Sequence[str], options: RetrievalOptions) -> dict[str, Bitext]:
        """Returns the bitext of each language pair, or that of two files as `files`."""
        if len(paths) == 2 and not any(exists(f"{path}/{FILE_NAME}") for path in paths):
            return {"files": _read_lines(paths, options.max_rows)}
        if len(paths) != 1:
            raise ConfigError(
                f"retrieval takes one dataset or two text files, got {len(paths)} paths"
            )
        return _read_dataset(paths[0], options)

    def prepare(self, model: str, options: RetrievalOptions) -> "Embedder":
        """Returns the encoder."""
        from bitextile.trainer.evaluate.vectors import load_embedder

        return load_embedder(model, layer=options.layer)

    def metrics(
        self, prepared: "Embedder", data: Bitext, options: RetrievalOptions
    ) -> "RetrievalResult":
        """Returns accuracies in both directions."""
        from bitextile.trainer.evaluate.vectors import sentence_vectors

        src, tgt = data
        vectors = [sentence_vectors(prepared, side) for side in data]
        return retrieval(*vectors, src_texts=src, tgt_texts=tgt)

    def settings(self, prepared: "Embedder", options: RetrievalOptions) -> dict[str, Any]:
        """Returns layer and split."""
        return {"layer": prepared.layer, "split": options.split}


@dataclass(frozen=True)
class RetrievalResult:
    """Accuracy at 1 in both directions.

    Attributes:
        src_to_tgt: share of sources whose nearest target is their translation; of a dataset, the
            source is the first language of the language pair.
        tgt_to_src: the other way.
        mean: of both.
        pairs: compared.
    """

    src_to_tgt: Estimate
    tgt_to_src: Estimate
    mean: Estimate
    pairs: int


def retrieval(
    src: F64, tgt: F64, *, src_texts: Sequence[str], tgt_texts: Sequence[str]
) -> RetrievalResult:
    """Scores retrieval by cosine.

    Args:
        src: [n, H] sentence vectors.
        tgt: [n, H] those of the translations, row by row.
        src_texts: [n]; a sentence that occurs twice is a hit in either place.
        tgt_texts: [n] likewise.

    Raises:
        InputError: fewer than two pairs, which is no task.
    """
    if len(src) < 2:
        raise InputError(f"retrieval needs at least 2 pairs, got {len(src)}; give more data")
    forward = _hits(src, tgt, tgt_texts)
    back = _hits(tgt, src, src_texts)
    terms = np.stack([forward, back, np.ones(len(forward))], axis=1)
    return RetrievalResult(
        src_to_tgt=bootstrap(terms, lambda s: s[0] / s[2], operation="retrieval"),
        tgt_to_src=bootstrap(terms, lambda s: s[1] / s[2], operation="retrieval"),
        mean=bootstrap(terms, lambda s: (s[0] + s[1]) / 2 / s[2], operation="retrieval"),
        pairs=len(src),
    )


def _hits(queries: F64, candidates: F64, texts: Sequence[str]) -> F64:
    # By text, not by row: a caption that stands twice is its translation's in both places.
    found = nearest(queries, candidates).tolist()
    return np.asarray([texts[i] == texts[f] for i, f in enumerate(found)], np.float64)


def _read_dataset(path: str, options: RetrievalOptions) -> dict[str, Bitext]:
    dataset = open_dataset(path, (PAIRS, ALIGNED))
    if options.key is not None and options.key not in dataset.keys:
        raise ConfigError(
            f"{path} has no language pair {options.key}; it has {', '.join(dataset.keys)}"
        )
    bitexts = {}
    for name in [options.key] if options.key else dataset.keys:
        rows = split_rows(dataset, name, PAIR, split=options.only_split, limit=options.max_rows)
        if rows is not None and rows.num_rows > 1:  # one pair alone is no task
            bitexts[name] = _in_key_order(rows.to_pylist())
    if not bitexts:
        raise InputError(f"{path}: no two rows of split {options.split!r}; give --split, or all")
    return bitexts


def _in_key_order(rows: list[dict[str, str]]) -> Bitext:
    """Returns both sides, the language that comes first in the language pair first."""
    ordered = [
        (row["src"], row["tgt"])[:: 1 if row["src_lang"] <= row["tgt_lang"] else -1] for row in rows
    ]
    return [a for a, _ in ordered], [b for _, b in ordered]


def _read_lines(paths: Sequence[str], max_rows: int) -> Bitext:
    """Reads two text files, plain or compressed, line n of one translating line n of the other."""
    source = CorpusSource(
        corpus="evaluation",
        languages=("src", "tgt"),
        files=tuple(paths),
        names=tuple(paths),
        format="lines",
    )
    src: list[str] = []
    tgt: list[str] = []
    for kept, rejects in read_corpus(source):
        if rejects.num_rows:
            bad = rejects.slice(0, 1).to_pylist()[0]
            raise InputError(f"{paths[0]} or {paths[1]}, line {bad['line']}: {bad['detail']}")
        src += normalise_text(kept.column("src")).to_pylist()
        tgt += normalise_text(kept.column("tgt")).to_pylist()
    return src[:max_rows], tgt[:max_rows]
