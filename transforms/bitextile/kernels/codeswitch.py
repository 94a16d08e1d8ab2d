"""Code-switching: words of a sentence replaced by their translations.

By alignment: the translation is the linked word, or run of words, in the other sentence of the
pair, so it fits the context and needs no dictionary.

    en  The dog runs.  +  zh  狗在跑。   ->   The 狗 runs.   [4:5 zh, for "dog", from a link]

Draws follow CoSDA (Qin et al. 2020, arXiv 2006.06402): first whether a sentence is switched, then,
independently, each of its words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.codepoints import Ints, Mask, cut, list_offsets, offsets_of
from bitextile.kernels.exchange import check_share, check_variants
from bitextile.kernels.phrases import Bitext, bitext_of, exchangeable, stretches, translate
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.sift import Sifted, in_row_order, reject_rows
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import digest_of
from bitextile.schema.kinds import ALIGNED, CODESWITCH, REPLACEMENT, REPLACEMENTS

SIDES = {"src": ("src",), "tgt": ("tgt",), "both": ("src", "tgt")}
_METHOD = "alignment"


@dataclass(frozen=True, kw_only=True)
class CodeswitchConfig:
    """How much is switched, and where."""

    sentence_rate: float = 1.0
    """Share of sentences that are switched, 0 to 1; 1 because the rows are copies: whoever trains
    on them has the plain sentences too, and mixes (SALT likewise makes one copy of each)."""
    token_rate: float = 0.3
    """Share of a switched sentence's eligible words that are replaced, 0 to 1; SALT's value."""
    min_score: float = 0.0
    """Lowest posterior of a link, 0 to 1; 0 because the aligner keeps likely links only."""
    variants: int = 1
    """Draws per sentence; each gives a row."""
    sides: Literal["src", "tgt", "both"] = "both"
    """Which sentences of a pair are switched; both, each a sentence of its own, by default."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        for name in ("sentence_rate", "token_rate", "min_score"):
            check_share(name, getattr(self, name))
        check_variants(self.variants)
        if self.sides not in SIDES:
            raise ConfigError(f"sides is {self.sides!r}, expected src, tgt or both")


class SwitchRates(NamedTuple):
    """What was drawn: sentences of all, and eligible words (or runs) of the drawn sentences."""

    sentences: int
    sentences_drawn: int
    words: int
    words_drawn: int


class _Draw(NamedTuple):
    """What one variant of one side draws.

    Attributes:
        variant: which.
        side: "src" or "tgt".
        eligible: [p] phrases that may be replaced.
        sentences: [n] drawn.
        words: [p] phrases drawn, of those eligible in a drawn sentence.
    """

    variant: int
    side: str
    eligible: Mask
    sentences: Mask
    words: Mask


def switch_by_alignment(batch: pa.RecordBatch, *, config: CodeswitchConfig) -> Sifted:
    """Replaces words of each sentence by the words they are linked to in the other sentence.

    A word, or run of words that is linked as a group to a run of words, is eligible if both
    hold a letter or digit, they differ, and every link of the group scores at least `min_score`.

    Args:
        batch: [n] rows of kind aligned.
        config: rates, sides, variants, seed.

    Returns:
        Kept: rows of kind codeswitch, by row, variant, side. Rejects, one for each other (row,
        variant, side): "not_drawn/1" (value: the sentence rate), "no_eligible_words/1" (value:
        links of the row), "no_word_drawn/1" (value: eligible words), detail "variant 0, src".
        Together n * variants * sides rows; every rate is met exactly in expectation.

    Raises:
        RowError: a span or a link lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "codeswitch")
    bitext = bitext_of(batch)
    kept, rejects = [], []
    for draw in _draws(batch, bitext, config=config):
        view = bitext if draw.side == "src" else bitext.turned()
        kept.append(_switched_rows(batch, view, draw=draw))
        rejects.extend(_rejected_rows(batch, bitext.phrases.row, draw=draw, config=config))
    return Sifted(in_row_order(kept, CODESWITCH.schema), in_row_order(rejects))


def switch_rates(batch: pa.RecordBatch, *, config: CodeswitchConfig) -> SwitchRates:
    """Returns what `switch_by_alignment` draws from a batch; the counts of batches add up.

    Args:
        batch: [n] rows of kind aligned.
        config: the same.

    Raises:
        RowError: as there.
    """
    check_rows(batch, ALIGNED, "codeswitch")
    bitext = bitext_of(batch)
    counts = np.zeros(4, np.int64)
    for draw in _draws(batch, bitext, config=config):
        words = draw.eligible & draw.sentences[bitext.phrases.row]
        counts += (batch.num_rows, draw.sentences.sum(), words.sum(), draw.words.sum())
    return SwitchRates(*counts.tolist())


def _draws(batch: pa.RecordBatch, bitext: Bitext, *, config: CodeswitchConfig) -> Iterator[_Draw]:
    """Draws sentences by pair, side and variant; words by these and their place in the sentence."""
    row = bitext.phrases.row
    keys = hash64(batch.column("pair_id"))
    eligible = exchangeable(bitext) & (bitext.phrases.score >= config.min_score)
    for variant in range(config.variants):
        for side in SIDES[config.sides]:
            view = bitext if side == "src" else bitext.turned()
            draw = partial(uniform, seed=config.seed, variant=variant)
            position = view.phrases.src[:, 0] - view.src.words[row]
            words = draw(keys[row], operation=f"codeswitch/word/{side}", position=position)
            sentences = draw(keys, operation=f"codeswitch/sentence/{side}") < config.sentence_rate
            drawn = eligible & sentences[row] & (words < config.token_rate)
            yield _Draw(variant, side, eligible, sentences, drawn)


def _switched_rows(
    batch: pa.RecordBatch, view: Bitext, *, draw: _Draw
) -> tuple[Ints, pa.RecordBatch]:
    """Returns the switched rows, by number, and as rows of kind codeswitch.

    Args:
        batch: aligned pairs.
        view: the same, the side that is switched as source.
        draw: what to replace.
    """
    order, new = translate(view, np.flatnonzero(draw.words))
    row = view.phrases.row[order]
    rows, counts = np.unique(row, return_counts=True)
    ids = batch.column("pair_id").take(pa.array(rows))
    lang, other_lang = ("src_lang", "tgt_lang")[:: 1 if draw.side == "src" else -1]
    items = [
        pa.array(new.start, pa.int32()),
        pa.array(new.end, pa.int32()),
        batch.column(other_lang).take(pa.array(row)),
        cut(view.src.texts, *stretches(view.src, view.phrases.src[order])),
        pa.repeat("link", len(row)),
        pa.array(view.phrases.score[order]),
    ]
    replacements = pa.StructArray.from_arrays(items, fields=list(REPLACEMENT))
    columns = [
        _switch_ids(ids, draw),
        ids,
        pa.repeat(pa.scalar(draw.variant, pa.int16()), len(rows)),
        pa.repeat(_METHOD, len(rows)),
        batch.column(lang).take(pa.array(rows)),
        new.strings.take(pa.array(rows)),
        pa.ListArray.from_arrays(
            pa.array(offsets_of(counts), pa.int32()), replacements, type=REPLACEMENTS
        ),
    ]
    return rows, pa.RecordBatch.from_arrays(columns, schema=CODESWITCH.schema)


def _switch_ids(parent_ids: pa.StringArray, draw: _Draw) -> pa.StringArray:
    rest = (_METHOD, str(draw.variant), draw.side)
    return pa.array([digest_of(i, *rest) for i in parent_ids.to_pylist()], pa.string())


def _rejected_rows(
    batch: pa.RecordBatch, row: Ints, *, draw: _Draw, config: CodeswitchConfig
) -> list[tuple[Ints, pa.RecordBatch]]:
    """Returns the sentences without a replacement; `row` is that of each phrase."""
    n_eligible = np.bincount(row[draw.eligible], minlength=batch.num_rows)
    n_drawn = np.bincount(row[draw.words], minlength=batch.num_rows)
    n_links = np.diff(list_offsets(batch.column("links")))
    parts = []
    for rule, rejected, value in (
        ("not_drawn/1", ~draw.sentences, np.full(batch.num_rows, config.sentence_rate)),
        ("no_eligible_words/1", draw.sentences & (n_eligible == 0), n_links),
        ("no_word_drawn/1", draw.sentences & (n_eligible > 0) & (n_drawn == 0), n_eligible),
    ):
        numbers = np.flatnonzero(rejected)
        rows, values = batch.take(pa.array(numbers)), value[numbers].astype(np.float64)
        detail = f"variant {draw.variant}, {draw.side}"
        parts.append((numbers, reject_rows(rows, rule=rule, value=values, detail=detail)))
    return parts
