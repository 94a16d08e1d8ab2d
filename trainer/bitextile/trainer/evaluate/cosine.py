"""Cosine similarity of many vectors to many, in blocks."""

import numpy as np

from bitextile.kernels.arrays import F64, I64

BLOCK = 512
"""Queries compared at once: with 100,000 candidates a block of similarities is 400 MB."""


def unit_rows(vectors: F64) -> F64:
    """Returns vectors [n, H] scaled to length 1; a zero vector stays zero."""
    # A word whose subwords were cut off has a zero vector: similar to nothing, no NaN.
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def nearest(queries: F64, candidates: F64) -> I64:
    """Returns [n] the candidate with the largest cosine to each query; of equals the first.

    Args:
        queries: [n, H].
        candidates: [m, H], m at least 1.

    >>> nearest(np.eye(2), np.array([[0.0, 2.0], [3.0, 0.1]])).tolist()
    [1, 0]
    """
    queries, candidates = unit_rows(queries), unit_rows(candidates)
    blocks = [
        (queries[b : b + BLOCK] @ candidates.T).argmax(axis=1)
        for b in range(0, len(queries), BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int64)
