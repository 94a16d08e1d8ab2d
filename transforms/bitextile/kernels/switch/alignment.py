"""Code-switching by alignment: words of a sentence replaced by their translations in context.

The translation is the linked word, or run of words, in the other sentence of the pair, so it fits
the context and needs no dictionary.

    en  The dog runs.  +  zh  狗在跑。   ->   The 狗 runs.   [4:5 zh, for "dog", from a link]

Several translations of one sentence are mixed by `pivot`: "The 狗 läuft."
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import check_share, list_offsets
from bitextile.kernels.bitext.phrases import AlignedBitext, bitext_of, exchangeable, word_spans
from bitextile.kernels.bitext.sides import Sides, check_sides
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.switch.core import (
    Substitutes,
    SwitchConfig,
    SwitchInput,
    SwitchOutput,
    Targets,
    switch,
)
from bitextile.schema.checks import check_rows
from bitextile.schema.kinds import ALIGNED, SIDES

METHOD = "alignment"


@dataclass(frozen=True, kw_only=True)
class AlignmentSwitchConfig(SwitchConfig):
    """How much is switched, and in which sentences."""

    method: Literal["alignment"] = "alignment"
    """Words by the words they are linked to."""
    min_score: float = 0.0
    """Lowest posterior of a link, 0 to 1. The aligner keeps likely links only."""
    sides: Sides = "both"
    """Which sentences of a pair are switched. Of both, each gives a row of its own."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        super().__post_init__()
        check_share("min_score", self.min_score)
        check_sides(self.sides)


@takes_tables
def switch_by_alignment(batch: pa.RecordBatch, *, config: AlignmentSwitchConfig) -> SwitchOutput:
    """Replaces words of each sentence by the words they are linked to in the other sentence.

    A word, or run of words that is linked as a group to a run of words, is eligible if both
    hold a letter or digit, they differ, and every link of the group scores at least `min_score`.

    Args:
        batch: [n] rows of kind aligned.
        config: rates, sides, variants, seed.

    Returns:
        As `core.switch` does; a sentence without eligible words has its links as value.
        Together n * variants * sides rows; every rate is met exactly in expectation.

    Raises:
        RowError: a span or a link lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "codeswitch")
    bitext = bitext_of(batch)
    views = {"src": bitext, "tgt": bitext.flip()}
    inputs = [
        _input(batch, views[side], side=side, min_score=config.min_score)
        for side in SIDES[config.sides]
    ]
    return switch(inputs, config=config, method=METHOD)


def _input(
    batch: pa.RecordBatch, view: AlignedBitext, *, side: str, min_score: float
) -> SwitchInput:
    """Returns one side's sentences with their linked words.

    Args:
        batch: aligned pairs.
        view: the same, the side that is switched as source.
        side: its name in the batch.
        min_score: of a link.
    """
    phrases = view.phrases
    eligible = np.flatnonzero(exchangeable(view) & (phrases.score >= min_score))
    # `flip` leaves the phrases in the order of the other side; targets must be sorted by their own.
    order = eligible[np.lexsort((phrases.src[eligible, 0], phrases.row[eligible]))]
    row, number = phrases.row[order], np.arange(len(order))
    base = view.src.texts.offsets[row]
    starts, ends = word_spans(view.src, phrases.src[order])
    # Of its first word, which no other phrase of the sentence has: phrases do not overlap.
    position = phrases.src[order, 0] - view.src.words[row]
    lang, other_lang = ("src_lang", "tgt_lang")[:: 1 if side == "src" else -1]
    others = batch.column(other_lang).dictionary_encode()
    # Targets and substitutes are one to one: number k belongs to target k, and its share is all
    # there is to draw.
    substitutes = Substitutes(
        view.tgt.texts.points,
        *word_spans(view.tgt, phrases.tgt[order]),
        np.ones(len(order), np.int64),
        phrases.score[order],
        others.indices.to_numpy(zero_copy_only=False)[row].astype(np.int64),
        tuple((name, "link") for name in others.dictionary.to_pylist()),
    )
    return SwitchInput(
        side=side,
        rows=np.arange(batch.num_rows),
        batch=batch,
        ids=batch.column("pair_id"),
        lang=batch.column(lang),
        texts=view.src.texts,
        targets=Targets(row, starts - base, ends - base, position, number, number + 1),
        substitutes=substitutes,
        n_words=np.diff(list_offsets(batch.column("links"))),
    )
