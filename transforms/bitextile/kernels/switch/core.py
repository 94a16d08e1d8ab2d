"""What all ways of code-switching share: draws, replacing, rows, rejects and what was drawn.

A method says which stretches of a sentence may be replaced (`Slots`) and by what (`Options`). First
a sentence is drawn, then, independently, each of its slots, then one of the slot's options by its
share (CoSDA, Qin et al. 2020, arXiv 2006.06402). Every draw is keyed by the sentence's id, the
side, the variant and the slot's place, so it is the same in any batch.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import F32, F64, I64, U32, Bool, check_share, offsets_of
from bitextile.kernels.exchange import check_variants
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import merge_by_row, reject_rows
from bitextile.kernels.text.codepoints import Texts, cut
from bitextile.kernels.text.replace_spans import Edits, replace_spans
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import CODESWITCH, REPLACEMENT, REPLACEMENTS

Counters = dict[str, dict[str, int]]
"""Matrix language to what was drawn in its sentences: name to number."""

_WHOLE = 1 << 32


@dataclass(frozen=True, kw_only=True)
class SwitchConfig:
    """How much is switched."""

    sentence_rate: float = 1.0
    """Share of sentences that are switched, 0 to 1. 1 because the rows are copies: whoever trains
    on them has the plain sentences too, and mixes (SALT likewise makes one copy of each)."""
    token_rate: float = 0.3
    """Share of a switched sentence's eligible words that are replaced, 0 to 1. SALT's value."""
    variants: int = 1
    """Samples per sentence; each gives a row."""
    seed: int = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        check_share("sentence_rate", self.sentence_rate)
        check_share("token_rate", self.token_rate)
        check_variants(self.variants)


def check_weights(weights: Mapping[str, float], languages: Collection[str] | None = None) -> None:
    """Raises ConfigError unless weights are positive, and of languages that words are replaced by.

    Args:
        weights: language to weight.
        languages: those there are; None where they are not known yet.
    """
    for lang, weight in weights.items():
        if not weight > 0:
            raise ConfigError(f"weight of {lang} is {weight}, expected more than 0")
        if languages is not None and lang not in languages:
            known = ", ".join(sorted(languages)) or "none"
            raise ConfigError(f"a weight is given for {lang}, but translations are in {known}")


class Slots(NamedTuple):
    """Stretches that may be replaced, sorted by (row, start), not overlapping; all [k].

    Attributes:
        row: of the sentence.
        start: first code point, in the sentence.
        end: exclusive.
        position: number of its first word in the sentence; keys the draws.
        low: first of its options.
        high: exclusive.
    """

    row: I64
    start: I64
    end: I64
    position: I64
    low: I64
    high: I64


class Options(NamedTuple):
    """What slots may be replaced by; all [m] but the first and the last.

    Attributes:
        pool: code points that hold the replacements.
        start: absolute in the pool.
        end: exclusive.
        share: of its slot, as `shares` gives it.
        score: of the replacement: a posterior or a probability.
        source: index into `sources`.
        sources: (language, origin), such as ("zh", "link").
    """

    pool: U32
    start: I64
    end: I64
    share: I64
    score: F32
    source: I64
    sources: tuple[tuple[str, str], ...]


class Part(NamedTuple):
    """Sentences with what may be replaced in them.

    Attributes:
        side: what tells them from other sentences of the same rows: "src", "tgt", "text".
        rows: [n] number of each row in the whole batch, ascending; they order the output.
        batch: [n] the rows they come from, for rejects.
        ids: [n] of the rows.
        lang: [n] their languages.
        texts: [n].
        slots: in them.
        options: for the slots.
        n_words: [n] what a sentence without slots is rejected with.
    """

    side: str
    rows: I64
    batch: pa.RecordBatch
    ids: pa.StringArray
    lang: pa.StringArray
    texts: Texts
    slots: Slots
    options: Options
    n_words: I64


class SwitchOutput(NamedTuple):
    """What switching made of a batch: rows of CODESWITCH, REJECTS, and what was drawn."""

    kept: pa.RecordBatch
    rejects: pa.RecordBatch
    counters: Counters


class Rates(NamedTuple):
    """What was drawn: sentences of all, and eligible words of the drawn sentences."""

    sentences: int
    sentences_drawn: int
    words: int
    words_drawn: int


class _Draw(NamedTuple):
    variant: int
    sentences: Bool
    slots: Bool


def switch(parts: Sequence[Part], *, config: SwitchConfig, method: str) -> SwitchOutput:
    """Draws sentences and slots, replaces the slots drawn, and accounts for every sentence.

    Args:
        parts: of one batch.
        config: rates, variants, seed.
        method: as the rows name it.

    Returns:
        Kept: rows of kind codeswitch, by row, variant, part. Rejects, one for each other (row,
        variant, part): "not_sampled/1" (value: the sentence rate), "no_eligible_words/1" (value:
        the part's `n_words`), "nothing_sampled/1" (value: eligible words), detail "variant 0, src".
        Counters: numbers named as in `Rates`, and "words_to_LANG" for each language.
    """
    kept, rejects = [], []
    counters: Counters = {}
    for variant in range(config.variants):
        for part in parts:
            draw = _drawn(part, variant, config=config)
            option = _chosen_options(part, draw, config=config)
            kept.append(_switched_rows(part, draw, option, method=method))
            rejects.extend(_rejected_rows(part, draw, config=config))
            _tally(counters, part, draw, option)
    return SwitchOutput(merge_by_row(kept, CODESWITCH.schema), merge_by_row(rejects), counters)


def rates_of(counters: Counters) -> Rates:
    """Returns what was drawn over all languages; the counters of batches add up to those of all.

    >>> rates_of({"en": dict(sentences=4, sentences_drawn=2, words=9, words_drawn=3),
    ...           "zh": dict(sentences=1, sentences_drawn=1, words=5, words_drawn=1)})
    Rates(sentences=5, sentences_drawn=3, words=14, words_drawn=4)
    """
    return Rates(*(sum(tally[name] for tally in counters.values()) for name in Rates._fields))


def shares(weights: F64, group: I64) -> I64:
    """Returns weights as whole numbers that sum to about 2^32 in each group.

    Whole, so that their sums, and with them every draw, are the same in a batch of any size.

    Args:
        weights: [m] more than 0.
        group: [m] of 0, 1, ...

    >>> shares(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1])) / 2**32
    array([0.25, 0.75, 1.  ])
    """
    total = np.bincount(group, weights=weights)[group]
    return np.maximum(1, np.rint(weights / total * _WHOLE).astype(np.int64))


def _drawn(part: Part, variant: int, *, config: SwitchConfig) -> _Draw:
    """Draws sentences by id, side and variant; slots by these and their place in the sentence."""
    row, keys = part.slots.row, hash64(part.ids)
    draw = partial(uniform, seed=config.seed, variant=variant)
    sentences = draw(keys, operation=f"codeswitch/sentence/{part.side}") < config.sentence_rate
    operation = f"codeswitch/word/{part.side}"
    words = draw(keys[row], operation=operation, position=part.slots.position)
    return _Draw(variant, sentences, sentences[row] & (words < config.token_rate))


def _chosen_options(part: Part, draw: _Draw, *, config: SwitchConfig) -> I64:
    """Returns the option of each slot drawn, by its share of the slot."""
    drawn = np.flatnonzero(draw.slots)
    low, high = part.slots.low[drawn], part.slots.high[drawn]
    if not len(drawn) or int((high - low).max()) == 1:
        return low
    u = uniform(
        hash64(part.ids)[part.slots.row[drawn]],
        seed=config.seed,
        operation=f"codeswitch/option/{part.side}",
        variant=draw.variant,
        position=part.slots.position[drawn],
    )
    reached = offsets_of(part.options.share)
    aim = reached[low] + (u * (reached[high] - reached[low])).astype(np.int64)
    return np.clip(np.searchsorted(reached, aim, side="right") - 1, low, high - 1)


def _switched_rows(
    part: Part, draw: _Draw, option: I64, *, method: str
) -> tuple[I64, pa.RecordBatch]:
    """Returns the switched rows, by number, and as rows of kind codeswitch."""
    drawn, options = np.flatnonzero(draw.slots), part.options
    row, start, end = (column[drawn] for column in part.slots[:3])
    edits = Edits(row, start, end, options.start[option], options.end[option])
    new = replace_spans(part.texts, edits, options.pool)
    rows, counts = np.unique(row, return_counts=True)
    base, source = part.texts.offsets[row], pa.array(options.source[option])
    lang, origin = (pa.array(names, pa.string()) for names in zip(*options.sources or (("", ""),)))
    items = [
        pa.array(new.start, pa.int32()),
        pa.array(new.end, pa.int32()),
        lang.take(source),
        cut(part.texts, base + start, base + end),
        origin.take(source),
        pa.array(options.score[option]),
    ]
    taken = pa.array(rows)
    columns = [
        _switch_ids(part.ids.take(taken), method, str(draw.variant), part.side),
        part.ids.take(taken),
        pa.repeat(pa.scalar(draw.variant, pa.int16()), len(rows)),
        pa.repeat(method, len(rows)),
        part.lang.take(taken),
        new.strings.take(taken),
        pa.ListArray.from_arrays(
            pa.array(offsets_of(counts), pa.int32()),
            pa.StructArray.from_arrays(items, fields=list(REPLACEMENT)),
            type=REPLACEMENTS,
        ),
    ]
    return part.rows[rows], pa.RecordBatch.from_arrays(columns, schema=CODESWITCH.schema)


def _switch_ids(parent_ids: pa.StringArray, *rest: str) -> pa.StringArray:
    return pa.array([stable_id(i, *rest) for i in parent_ids.to_pylist()], pa.string())


def _rejected_rows(
    part: Part, draw: _Draw, *, config: SwitchConfig
) -> list[tuple[I64, pa.RecordBatch]]:
    """Returns the sentences without a replacement."""
    n, row = len(part.ids), part.slots.row
    n_slots, n_drawn = np.bincount(row, minlength=n), np.bincount(row[draw.slots], minlength=n)
    parts = []
    for rule, rejected, value in (
        ("not_sampled/1", ~draw.sentences, np.full(n, config.sentence_rate)),
        ("no_eligible_words/1", draw.sentences & (n_slots == 0), part.n_words),
        ("nothing_sampled/1", draw.sentences & (n_slots > 0) & (n_drawn == 0), n_slots),
    ):
        numbers = np.flatnonzero(rejected)
        rows, values = part.batch.take(pa.array(numbers)), value[numbers].astype(np.float64)
        detail = f"variant {draw.variant}, {part.side}"
        parts.append(
            (part.rows[numbers], reject_rows(rows, rule=rule, value=values, detail=detail))
        )
    return parts


def _tally(counters: Counters, part: Part, draw: _Draw, option: I64) -> None:
    """Adds what was drawn in a part to the counters of its languages."""
    encoded = part.lang.dictionary_encode()
    of_sentence = encoded.indices.to_numpy(zero_copy_only=False)
    of_slot = of_sentence[part.slots.row]
    drawn_by = of_slot[draw.slots]
    to = [lang for lang, _ in part.options.sources]
    for code, lang in enumerate(encoded.dictionary.to_pylist()):
        tally = Counter(counters.get(lang, {}))
        tally["sentences"] += int((of_sentence == code).sum())
        tally["sentences_drawn"] += int((draw.sentences & (of_sentence == code)).sum())
        tally["words"] += int((draw.sentences[part.slots.row] & (of_slot == code)).sum())
        tally["words_drawn"] += int((drawn_by == code).sum())
        used = np.bincount(part.options.source[option[drawn_by == code]], minlength=len(to))
        for name, count in zip(to, used.tolist()):
            tally[f"words_to_{name}"] += count
        counters[lang] = dict(tally)
