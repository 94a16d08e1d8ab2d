"""Are the embeddings of translations near each other? Nearest neighbour in a dictionary.

For each source word of a lexicon, the target word whose input embedding is nearest by cosine, among
all target words of the lexicon: the share for which it is a translation.

Source: ALIGN-MLM (arXiv 2211.08547), section 5, where it goes along with zero-shot transfer. There
every word is one token; here a word of several subwords is the mean of their embeddings.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn.functional import embedding_bag

from bitextile.kernels.arrays import F64
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import LEXICON
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.vectors import Embedder

BLOCK = 512
"""Words compared at once: with 40,000 candidates a block of similarities is 160 MB."""


@dataclass(frozen=True)
class EmbeddingResult:
    """How many words have a translation as their nearest neighbour.

    Attributes:
        src_to_tgt: share of source words.
        tgt_to_src: the other way.
        words: distinct source and target words.
    """

    src_to_tgt: Estimate
    tgt_to_src: Estimate
    words: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)


def embedding_alignment(embedder: Embedder, path: str) -> dict[str, EmbeddingResult]:
    """Scores the input embeddings of a model on each language pair of a lexicon.

    Args:
        embedder: the model; its layer does not matter here.
        path: of a lexicon dataset.

    Raises:
        InputError: the lexicon has no pair of words.
    """
    dataset = open_dataset(path, LEXICON)
    tables = {key: dataset.table(key=key, columns=["src", "tgt"]) for key in dataset.keys}
    results = {key: _scored(embedder, table) for key, table in tables.items() if table.num_rows}
    if not results:
        raise InputError(f"{path}: the lexicon has no pair to score; give another one")
    return results


def _scored(embedder: Embedder, table: pa.Table) -> EmbeddingResult:
    src, src_place = _distinct(table.column("src").to_pylist())
    tgt, tgt_place = _distinct(table.column("tgt").to_pylist())
    pairs = set(zip(src_place, tgt_place))
    a, b = _vectors(embedder, src), _vectors(embedder, tgt)
    forward = np.asarray([(i, j) in pairs for i, j in enumerate(_nearest(a, b))])
    back = np.asarray([(i, j) in pairs for j, i in enumerate(_nearest(b, a))])
    return EmbeddingResult(_share(forward), _share(back), (len(src), len(tgt)))


def _distinct(words: list[str]) -> tuple[list[str], list[int]]:
    """Returns the distinct words, and the place of each word among them."""
    places: dict[str, int] = {}
    place_of = [places.setdefault(word, len(places)) for word in words]
    return list(places), place_of


def _vectors(embedder: Embedder, words: list[str]) -> torch.Tensor:
    """Returns [n, H] unit vectors: the mean embedding of the subwords of each word."""
    ids = [side.ids for side in embedder.coder.sides(words)]
    starts = np.cumsum([0, *(len(i) for i in ids[:-1])])
    flat = torch.from_numpy(np.concatenate(ids).astype(np.int64)).to(embedder.device)
    with torch.no_grad():
        means = embedding_bag(
            flat, embedder.encoder.table, torch.from_numpy(starts).to(flat.device), mode="mean"
        )
        return torch.nn.functional.normalize(means.float(), dim=-1)


def _nearest(queries: torch.Tensor, candidates: torch.Tensor) -> list[int]:
    nearest: list[int] = []
    for begin in range(0, len(queries), BLOCK):
        similar = queries[begin : begin + BLOCK] @ candidates.T
        nearest += similar.argmax(dim=1).tolist()
    return nearest


def _share(hits: np.ndarray) -> Estimate:
    terms: F64 = np.stack([hits, np.ones(len(hits))], axis=1).astype(np.float64)
    return bootstrap(terms, lambda s: s[0] / s[1], operation="embedding")
