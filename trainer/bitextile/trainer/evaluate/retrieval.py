"""Bitext retrieval: does a sentence find its translation among all? Cosine, accuracy at 1."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bitextile.kernels.arrays import F64
from bitextile.schema.errors import InputError
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap

BLOCK = 512
"""Queries compared at once: with 100,000 candidates a block of similarities is 400 MB."""


@dataclass(frozen=True)
class RetrievalResult:
    """Accuracy at 1 in both directions.

    Attributes:
        src_to_tgt: share of sources whose nearest target is their translation; of a dataset, the
            source is the first language of the key.
        tgt_to_src: the other way.
        mean: of both.
        pairs: compared.
    """

    src_to_tgt: Estimate
    tgt_to_src: Estimate
    mean: Estimate
    pairs: int

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)


def retrieval(
    src: F64, tgt: F64, *, src_texts: Sequence[str], tgt_texts: Sequence[str]
) -> RetrievalResult:
    """Scores retrieval by cosine.

    Args:
        src: [n, H] sentence vectors.
        tgt: [n, H] those of the translations, row by row.
        src_texts: [n]; a sentence that stands twice is a hit in either place.
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
    queries, candidates = _unit(queries), _unit(candidates)
    nearest = [
        (queries[b : b + BLOCK] @ candidates.T).argmax(axis=1)
        for b in range(0, len(queries), BLOCK)
    ]
    found = np.concatenate(nearest)
    return np.asarray([texts[i] == texts[f] for i, f in enumerate(found)], np.float64)


def _unit(vectors: F64) -> F64:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
