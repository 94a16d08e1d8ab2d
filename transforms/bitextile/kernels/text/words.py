"""Sentences with their words, as arrays: the form in which kernels work on aligned pairs."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64, list_offsets, rows_of
from bitextile.kernels.text.codepoints import Texts, to_texts


class SegmentedTexts(NamedTuple):
    """n sentences and their words, which are spans of `texts.points`.

    Attributes:
        texts: [n] sentences.
        words: [n + 1] offsets of the words of each sentence into `starts` and `ends`.
        starts: [all words] absolute.
        ends: [all words] exclusive.
    """

    texts: Texts
    words: I64
    starts: I64
    ends: I64


def segmented_side(batch: pa.RecordBatch, name: str) -> SegmentedTexts:
    """Returns side `name` ("src" or "tgt") of a batch of kind aligned, with its words."""
    return segmented_texts(batch.column(name), batch.column(f"{name}_spans"))


def segmented_texts(text: pa.StringArray, spans: pa.ListArray) -> SegmentedTexts:
    """Returns sentences with their words.

    Args:
        text: [n].
        spans: [n] words of each, in code points.
    """
    texts = to_texts(text)
    words, flat = list_offsets(spans), spans.flatten()
    # Spans count from their own sentence; from here on all words count from the start of the batch.
    base = texts.offsets[rows_of(words)]
    starts = base + flat.field("start").to_numpy().astype(np.int64)
    return SegmentedTexts(
        texts, words, starts, base + flat.field("end").to_numpy().astype(np.int64)
    )
