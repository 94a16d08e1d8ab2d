"""Bilingual lexicon induction: is a word's nearest embedding that of its translation?

For each source word of a lexicon, the target word whose input embedding is nearest by cosine, among
all target words of the lexicon: the share for which it is a translation.

Source: ALIGN-MLM (arXiv 2211.08547), section 5, where it goes along with zero-shot transfer. There
every word is one token; here a word of several subwords is the mean of their embeddings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import F64
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import LEXICON
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.task import NoOptions, by_file_name

if TYPE_CHECKING:
    import torch

    from bitextile.trainer.evaluate.vectors import Embedder

BLOCK = 512
"""Words compared at once: with 40,000 candidates a block of similarities is 160 MB."""


@dataclass(frozen=True)
class BliResult:
    """How many words have a translation as their nearest neighbour.

    Attributes:
        src_to_tgt: share of source words.
        tgt_to_src: the other way.
        words: distinct source and target words.
    """

    src_to_tgt: Estimate
    tgt_to_src: Estimate
    words: tuple[int, int]


class BliTask:
    """Bilingual lexicon induction by input embeddings."""

    name = "bli"
    data = "lexicon datasets"
    options = NoOptions

    def read(self, paths: Sequence[str], options: NoOptions) -> dict[str, Dataset]:
        """Returns the lexicons, opened."""
        return {name: open_dataset(path, LEXICON) for name, path in by_file_name(paths).items()}

    def prepare(self, model: str, options: NoOptions) -> "Embedder":
        """Returns the encoder."""
        from bitextile.trainer.evaluate.vectors import load_embedder

        return load_embedder(model)

    def metrics(
        self, prepared: "Embedder", data: Dataset, options: NoOptions
    ) -> dict[str, BliResult]:
        """Returns accuracies of each language pair."""
        tables = {key: data.table(key=key, columns=["src", "tgt"]) for key in data.keys}
        results = {k: induced(prepared, table) for k, table in tables.items() if table.num_rows}
        if not results:
            raise InputError(f"{data.path}: the lexicon has no pair to score; give another one")
        return results

    def settings(self, prepared: "Embedder", options: NoOptions) -> dict[str, Any]:
        """Returns nothing: there is nothing to set."""
        return {}


def induced(embedder: "Embedder", table: pa.Table) -> BliResult:
    """Scores the input embeddings of a model on a lexicon.

    Args:
        embedder: the model; its layer does not matter here.
        table: at least one row of src and tgt.
    """
    src, src_place = _distinct(table.column("src").to_pylist())
    tgt, tgt_place = _distinct(table.column("tgt").to_pylist())
    # A word may have several translations; any of them counts.
    pairs = set(zip(src_place, tgt_place))
    a, b = _vectors(embedder, src), _vectors(embedder, tgt)
    forward = np.asarray([(i, j) in pairs for i, j in enumerate(_nearest(a, b))])
    back = np.asarray([(i, j) in pairs for j, i in enumerate(_nearest(b, a))])
    return BliResult(_share(forward), _share(back), (len(src), len(tgt)))


def _distinct(words: list[str]) -> tuple[list[str], list[int]]:
    """Returns the distinct words, and the place of each word among them."""
    places: dict[str, int] = {}
    place_of = [places.setdefault(word, len(places)) for word in words]
    return list(places), place_of


def _vectors(embedder: "Embedder", words: list[str]) -> "torch.Tensor":
    """Returns [n, H] unit vectors: the mean embedding of the subwords of each word."""
    import torch
    from torch.nn.functional import embedding_bag, normalize

    ids = [side.ids for side in embedder.tokenizer.encode(words)]
    # Flat with starts, as embedding_bag wants ragged words.
    starts = np.cumsum([0, *(len(i) for i in ids[:-1])])
    flat = torch.from_numpy(np.concatenate(ids).astype(np.int64)).to(embedder.device)
    with torch.no_grad():
        means = embedding_bag(
            flat, embedder.encoder.table, torch.from_numpy(starts).to(flat.device), mode="mean"
        )
        return normalize(means.float(), dim=-1)


def _nearest(queries: "torch.Tensor", candidates: "torch.Tensor") -> list[int]:
    nearest: list[int] = []
    for begin in range(0, len(queries), BLOCK):
        similar = queries[begin : begin + BLOCK] @ candidates.T
        nearest += similar.argmax(dim=1).tolist()
    return nearest


def _share(hits: np.ndarray) -> Estimate:
    terms: F64 = np.stack([hits, np.ones(len(hits))], axis=1).astype(np.float64)
    # The operation keys the resamples, so it keeps the name the task had.
    return bootstrap(terms, lambda s: s[0] / s[1], operation="embedding")
