"""Code-switching: words of a sentence replaced by their translations.

By alignment: the translation is the linked word, or run of words, in the other sentence of the
pair, so it fits the context and needs no dictionary.

    en  The dog runs.  +  zh  狗在跑。   ->   The 狗 runs.   [4:5 zh, for "dog", from a link]

Draws follow CoSDA (Qin et al. 2020, arXiv 2006.06402): first whether a sentence is switched, then,
independently, each of its words.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.codepoints import Ints, Mask, cut, list_offsets, offsets_of
from bitextile.kernels.exchange import check_share, check_variants
from bitextile.kernels.phrases import Phrases, Side, exchangeable, phrases_of, side_of, stretches
from bitextile.kernels.randomness import U64, hash64, uniform
from bitextile.kernels.sift import Sifted, in_row_order, reject_rows
from bitextile.kernels.spelling import Edits, respell
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


class _View(NamedTuple):
    """A pair seen from one side: the sentence that is switched, and what it may take over."""

    name: str
    host: Side
    words: Ints
    other: Side
    other_words: Ints


class _Draw(NamedTuple):
    """What one variant of one side draws: sentences [n] and, within them, phrases [p]."""

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
    src, tgt = side_of(batch, "src"), side_of(batch, "tgt")
    phrases = phrases_of(batch, src, tgt)
    eligible = exchangeable(src, tgt, phrases) & (phrases.score >= config.min_score)
    keys = hash64(batch.column("pair_id"))
    kept, rejects = [], []
    for variant in range(config.variants):
        for view in _views(src, tgt, phrases, config):
            draw = _draw(keys, view, phrases.row, eligible, variant, config)
            kept.append(_switched_rows(batch, view, phrases, draw, variant))
            rejects.extend(_rejected_rows(batch, view, phrases, eligible, draw, variant, config))
    return Sifted(in_row_order(kept, CODESWITCH.schema), in_row_order(rejects))


def switch_rates(batch: pa.RecordBatch, *, config: CodeswitchConfig) -> SwitchRates:
    """Returns what `switch_by_alignment` draws from a batch; the counts of batches add up.

    Args:
        batch: [n] rows of kind aligned.
        config: the same.
    """
    src, tgt = side_of(batch, "src"), side_of(batch, "tgt")
    phrases = phrases_of(batch, src, tgt)
    eligible = exchangeable(src, tgt, phrases) & (phrases.score >= config.min_score)
    keys = hash64(batch.column("pair_id"))
    counts = np.zeros(4, np.int64)
    for variant in range(config.variants):
        for view in _views(src, tgt, phrases, config):
            draw = _draw(keys, view, phrases.row, eligible, variant, config)
            words = eligible & draw.sentences[phrases.row]
            counts += (len(keys), draw.sentences.sum(), words.sum(), draw.words.sum())
    return SwitchRates(*counts.tolist())


def _views(src: Side, tgt: Side, phrases: Phrases, config: CodeswitchConfig) -> list[_View]:
    views = {
        "src": _View("src", src, phrases.src, tgt, phrases.tgt),
        "tgt": _View("tgt", tgt, phrases.tgt, src, phrases.src),
    }
    return [views[name] for name in SIDES[config.sides]]


def _draw(
    keys: U64, view: _View, row: Ints, eligible: Mask, variant: int, config: CodeswitchConfig
) -> _Draw:
    """Draws sentences by pair, side and variant; words by these and their place in the sentence."""
    sentences = uniform(
        keys, seed=config.seed, operation=f"codeswitch/sentence/{view.name}", variant=variant
    )
    words = uniform(
        keys[row],
        seed=config.seed,
        operation=f"codeswitch/word/{view.name}",
        variant=variant,
        position=view.words[:, 0] - view.host.words[row],
    )
    drawn = sentences < config.sentence_rate
    return _Draw(drawn, eligible & drawn[row] & (words < config.token_rate))


def _switched_rows(
    batch: pa.RecordBatch, view: _View, phrases: Phrases, draw: _Draw, variant: int
) -> tuple[Ints, pa.RecordBatch]:
    """Returns the switched rows, by number, and as rows of kind codeswitch."""
    chosen = np.flatnonzero(draw.words)
    chosen = chosen[np.lexsort((view.words[chosen, 0], phrases.row[chosen]))]
    row = phrases.row[chosen]
    rows, counts = np.unique(row, return_counts=True)
    starts, ends = stretches(view.host, view.words[chosen])
    base = view.host.texts.offsets[row]
    pool = stretches(view.other, view.other_words[chosen])
    edits = Edits(row, starts - base, ends - base, *pool)
    new = respell(view.host.texts, edits, view.other.texts.points)
    ids = batch.column("pair_id").take(pa.array(rows))
    lang, other_lang = ("src_lang", "tgt_lang")[:: 1 if view.name == "src" else -1]
    items = [
        pa.array(new.start, pa.int32()),
        pa.array(new.end, pa.int32()),
        batch.column(other_lang).take(pa.array(row)),
        cut(view.host.texts, starts, ends),
        pa.repeat("link", len(row)),
        pa.array(phrases.score[chosen]),
    ]
    columns = {
        "switch_id": _switch_ids(ids, variant, view.name),
        "parent_id": ids,
        "variant": pa.repeat(pa.scalar(variant, pa.int16()), len(rows)),
        "method": pa.repeat(_METHOD, len(rows)),
        "matrix_lang": batch.column(lang).take(pa.array(rows)),
        "text": new.strings.take(pa.array(rows)),
        "replacements": pa.ListArray.from_arrays(
            pa.array(offsets_of(counts), pa.int32()),
            pa.StructArray.from_arrays(items, fields=list(REPLACEMENT)),
            type=REPLACEMENTS,
        ),
    }
    return rows, pa.RecordBatch.from_arrays(list(columns.values()), schema=CODESWITCH.schema)


def _switch_ids(parent_ids: pa.StringArray, variant: int, side: str) -> pa.StringArray:
    rest = (_METHOD, str(variant), side)
    return pa.array([digest_of(i, *rest) for i in parent_ids.to_pylist()], pa.string())


def _rejected_rows(
    batch: pa.RecordBatch,
    view: _View,
    phrases: Phrases,
    eligible: Mask,
    draw: _Draw,
    variant: int,
    config: CodeswitchConfig,
) -> list[tuple[Ints, pa.RecordBatch]]:
    n_eligible = np.bincount(phrases.row[eligible], minlength=batch.num_rows)
    n_drawn = np.bincount(phrases.row[draw.words], minlength=batch.num_rows)
    n_links = np.diff(list_offsets(batch.column("links")))
    parts = []
    for rule, rejected, value in (
        ("not_drawn/1", ~draw.sentences, np.full(batch.num_rows, config.sentence_rate)),
        ("no_eligible_words/1", draw.sentences & (n_eligible == 0), n_links),
        ("no_word_drawn/1", draw.sentences & (n_eligible > 0) & (n_drawn == 0), n_eligible),
    ):
        numbers = np.flatnonzero(rejected)
        rows = batch.take(pa.array(numbers))
        values, detail = value[numbers].astype(np.float64), f"variant {variant}, {view.name}"
        parts.append((numbers, reject_rows(rows, rule=rule, value=values, detail=detail)))
    return parts
