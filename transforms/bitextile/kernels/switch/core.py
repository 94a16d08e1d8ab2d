"""What all ways of code-switching share: draws, replacing, rows, rejects and what was drawn.

A method says which spans of a sentence may be replaced (`Targets`) and by what (`Substitutes`).
First a sentence is sampled, then, independently, each of its targets, then one of the target's
substitutes by its share (CoSDA, Qin et al. 2020, arXiv 2006.06402). Every draw is keyed by the
sentence's id, the side, the variant and the target's position, so it is the same in any batch.

    The dog runs .        sentence_rate      targets 1, 2        token_rate      The 犬 runs .
      |   |               ------------>      (if drawn)          ---------->     target 1, by share
      Hund .5  läuft 1                                                           of its substitutes
      犬   .5
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import F32, F64, I64, U32, Bool, check_share, offsets_of, rows_of
from bitextile.kernels.exchange import check_variants
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import merge_by_row, reject_rows
from bitextile.kernels.text.codepoints import Texts, cut
from bitextile.kernels.text.replace_spans import Edits, replace_spans
from bitextile.kernels.text.words import SegmentedTexts
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import CODESWITCH, REPLACEMENT, REPLACEMENTS

Counters = dict[str, dict[str, int]]
"""Matrix language to what was drawn in its sentences: name to number."""

_WHOLE = 1 << 32
"""What the shares of a target sum to, about; so those of 2^31 targets sum within int64."""


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


class Targets(NamedTuple):
    """Spans that may be replaced, sorted by (row, start), not overlapping; all [k].

    Attributes:
        row: of the sentence.
        start: first code point, in the sentence.
        end: exclusive.
        position: what keys its draws: the number of its first word in the sentence, or another
            number that no other target of the sentence has.
        low: first of its substitutes.
        high: exclusive.
    """

    row: I64
    start: I64
    end: I64
    position: I64
    low: I64
    high: I64


class Substitutes(NamedTuple):
    """What targets may be replaced by; all [m] but the first and the last.

    Attributes:
        points: code points that hold the texts of the substitutes.
        start: absolute in `points`.
        end: exclusive.
        share: of its target, as `shares` gives it.
        score: of the replacement: a posterior or a probability.
        source: index into `sources`.
        sources: (language, origin), such as ("zh", "link").
    """

    points: U32
    start: I64
    end: I64
    share: I64
    score: F32
    source: I64
    sources: tuple[tuple[str, str], ...]


def word_targets(words: SegmentedTexts, chosen: I64, *, low: I64, high: I64) -> Targets:
    """Returns words as targets.

    Args:
        words: of all sentences.
        chosen: [k] numbers of words, ascending.
        low: [k] first of the substitutes of each.
        high: [k] exclusive.
    """
    row = rows_of(words.words)[chosen]
    base = words.texts.offsets[row]
    starts, ends = words.starts[chosen] - base, words.ends[chosen] - base
    return Targets(row, starts, ends, chosen - words.words[row], low, high)


class SwitchInput(NamedTuple):
    """Sentences with what may be replaced in them.

    Attributes:
        side: what tells them from other sentences of the same rows: "src", "tgt", "text".
        rows: [n] number of each row in the whole batch, ascending; they order the output.
        batch: [n] the rows they come from, for rejects.
        ids: [n] of the rows.
        lang: [n] their languages.
        texts: [n].
        targets: in them.
        substitutes: for the targets.
        n_words: [n] what a sentence without targets is rejected with, such as its words.
    """

    side: str
    rows: I64
    batch: pa.RecordBatch
    ids: pa.StringArray
    lang: pa.StringArray
    texts: Texts
    targets: Targets
    substitutes: Substitutes
    n_words: I64


class SwitchOutput(NamedTuple):
    """What switching made of a batch: rows of CODESWITCH, REJECTS, and what was drawn."""

    kept: pa.RecordBatch
    rejects: pa.RecordBatch
    counters: Counters

    def __repr__(self) -> str:
        counts = f"kept={self.kept.num_rows} rows, rejects={self.rejects.num_rows} rows"
        return f"SwitchOutput({counts}, counters={self.counters})"


class Rates(NamedTuple):
    """What was drawn: sentences of all, and eligible words of the drawn sentences."""

    sentences: int
    sentences_drawn: int
    words: int
    words_drawn: int


class _Draw(NamedTuple):
    variant: int
    sentences: Bool
    targets: Bool


def switch(inputs: Sequence[SwitchInput], *, config: SwitchConfig, method: str) -> SwitchOutput:
    """Samples sentences and targets, replaces the targets, and accounts for every sentence.

    Args:
        inputs: of one batch; each has a side of its own, or rows of its own.
        config: rates, variants, seed.
        method: as the rows name it.

    Returns:
        Kept: rows of kind codeswitch, by row, variant, input. Rejects, one for each other (row,
        variant, input): "not_sampled/1" (value: the sentence rate), "no_eligible_words/1" (value:
        the input's `n_words`), "nothing_sampled/1" (value: eligible words); with a detail such as
        "variant 0, src".
        Counters: numbers named as in `Rates`, and "words_to_LANG" for each language.
    """
    kept, rejects = [], []
    counters: Counters = {}
    for variant in range(config.variants):
        for given in inputs:
            draw = _sample(given, variant, config=config)
            substitute = _sample_substitutes(given, draw, config=config)
            kept.append(_switched_rows(given, draw, substitute, method=method))
            rejects.extend(_rejected_rows(given, draw, config=config))
            _count(counters, given, draw, substitute)
    return SwitchOutput(merge_by_row(kept, CODESWITCH.schema), merge_by_row(rejects), counters)


def rates_of(counters: Counters) -> Rates:
    """Returns what was drawn over all languages; the counters of batches add up to those of all.

    >>> rates_of({"en": dict(sentences=4, sentences_drawn=2, words=9, words_drawn=3),
    ...           "zh": dict(sentences=1, sentences_drawn=1, words=5, words_drawn=1)})
    Rates(sentences=5, sentences_drawn=3, words=14, words_drawn=4)
    """
    return Rates(*(sum(counts[name] for counts in counters.values()) for name in Rates._fields))


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


def _sample(given: SwitchInput, variant: int, *, config: SwitchConfig) -> _Draw:
    """Samples sentences by id, side and variant, targets by these and their position."""
    row, keys = given.targets.row, hash64(given.ids)
    # The names of operations decide every draw: renaming one changes all switched data. The side is
    # in them, since both sides of a pair have the pair's id.
    draw = partial(uniform, seed=config.seed, variant=variant)
    sentences = draw(keys, operation=f"codeswitch/sentence/{given.side}") < config.sentence_rate
    operation = f"codeswitch/word/{given.side}"
    # Drawn for all targets, those of sentences that were not drawn too: independent, and one pass.
    words = draw(keys[row], operation=operation, position=given.targets.position)
    return _Draw(variant, sentences, sentences[row] & (words < config.token_rate))


def _sample_substitutes(given: SwitchInput, draw: _Draw, *, config: SwitchConfig) -> I64:
    """Returns the substitute of each sampled target, by its share."""
    drawn = np.flatnonzero(draw.targets)
    low, high = given.targets.low[drawn], given.targets.high[drawn]
    # Links give one substitute each: nothing to draw.
    if not len(drawn) or int((high - low).max()) == 1:
        return low
    u = uniform(
        hash64(given.ids)[given.targets.row[drawn]],
        seed=config.seed,
        operation=f"codeswitch/option/{given.side}",
        variant=draw.variant,
        position=given.targets.position[drawn],
    )
    # Shares of all substitutes end to end, in whole numbers; a target's are neighbours:
    #
    #     substitute    Hund    犬     läuft
    #     share         .5      .5     1           times 2^32
    #     reached     0      .5      1       2     "dog" aims into [0, 1), "runs" into [1, 2)
    reached = offsets_of(given.substitutes.share)
    aim = reached[low] + (u * (reached[high] - reached[low])).astype(np.int64)
    # u is below 1, so `aim` is within the target's part but for rounding; the clip is for that.
    return np.clip(np.searchsorted(reached, aim, side="right") - 1, low, high - 1)


def _switched_rows(
    given: SwitchInput, draw: _Draw, substitute: I64, *, method: str
) -> tuple[I64, pa.RecordBatch]:
    """Returns the switched rows, by number, and as rows of kind codeswitch."""
    drawn, substitutes = np.flatnonzero(draw.targets), given.substitutes
    row, start, end = (column[drawn] for column in given.targets[:3])
    edits = Edits(row, start, end, substitutes.start[substitute], substitutes.end[substitute])
    new = replace_spans(given.texts, edits, substitutes.points)
    # Targets are sorted by row, so a row's replacements are neighbours and `counts` cuts the lists.
    rows, counts = np.unique(row, return_counts=True)
    base, source = given.texts.offsets[row], pa.array(substitutes.source[substitute])
    lang, origin = (
        pa.array(names, pa.string()) for names in zip(*substitutes.sources or (("", ""),))
    )
    items = [
        pa.array(new.start, pa.int32()),
        pa.array(new.end, pa.int32()),
        lang.take(source),
        cut(given.texts, base + start, base + end),
        origin.take(source),
        pa.array(substitutes.score[substitute]),
    ]
    taken = pa.array(rows)
    columns = [
        _switch_ids(given.ids.take(taken), method, str(draw.variant), given.side),
        given.ids.take(taken),
        pa.repeat(pa.scalar(draw.variant, pa.int16()), len(rows)),
        pa.repeat(method, len(rows)),
        given.lang.take(taken),
        new.strings.take(taken),
        pa.ListArray.from_arrays(
            pa.array(offsets_of(counts), pa.int32()),
            pa.StructArray.from_arrays(items, fields=list(REPLACEMENT)),
            type=REPLACEMENTS,
        ),
    ]
    return given.rows[rows], pa.RecordBatch.from_arrays(columns, schema=CODESWITCH.schema)


def _switch_ids(parent_ids: pa.StringArray, *rest: str) -> pa.StringArray:
    return pa.array([stable_id(i, *rest) for i in parent_ids.to_pylist()], pa.string())


def _rejected_rows(
    given: SwitchInput, draw: _Draw, *, config: SwitchConfig
) -> list[tuple[I64, pa.RecordBatch]]:
    """Returns the sentences without a replacement."""
    n, row = len(given.ids), given.targets.row
    # The three rules below exclude each other, and with the switched rows they cover every
    # sentence: from this follows that read = kept + rejected.
    n_targets, n_drawn = np.bincount(row, minlength=n), np.bincount(row[draw.targets], minlength=n)
    parts = []
    for rule, rejected, value in (
        ("not_sampled/1", ~draw.sentences, np.full(n, config.sentence_rate)),
        ("no_eligible_words/1", draw.sentences & (n_targets == 0), given.n_words),
        ("nothing_sampled/1", draw.sentences & (n_targets > 0) & (n_drawn == 0), n_targets),
    ):
        numbers = np.flatnonzero(rejected)
        rows, values = given.batch.take(pa.array(numbers)), value[numbers].astype(np.float64)
        detail = f"variant {draw.variant}, {given.side}"
        parts.append(
            (given.rows[numbers], reject_rows(rows, rule=rule, value=values, detail=detail))
        )
    return parts


def _count(counters: Counters, given: SwitchInput, draw: _Draw, substitute: I64) -> None:
    """Adds what was sampled to the counters of the sentences' languages."""
    # By language, because a batch mixes pairs, and a rate that is met over all may be missed in
    # one.
    encoded = given.lang.dictionary_encode()
    of_sentence = encoded.indices.to_numpy(zero_copy_only=False)
    of_target = of_sentence[given.targets.row]
    drawn_by = of_target[draw.targets]
    to = [lang for lang, _ in given.substitutes.sources]
    for code, lang in enumerate(encoded.dictionary.to_pylist()):
        counts = Counter(counters.get(lang, {}))
        counts["sentences"] += int((of_sentence == code).sum())
        counts["sentences_drawn"] += int((draw.sentences & (of_sentence == code)).sum())
        counts["words"] += int((draw.sentences[given.targets.row] & (of_target == code)).sum())
        counts["words_drawn"] += int((drawn_by == code).sum())
        used = np.bincount(
            given.substitutes.source[substitute[drawn_by == code]], minlength=len(to)
        )
        for name, count in zip(to, used.tolist()):
            counts[f"words_to_{name}"] += count
        counters[lang] = dict(counts)
