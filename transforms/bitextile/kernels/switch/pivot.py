"""Code-switching into several languages at once: one sentence, aligned with several translations.

    en-de  The dog runs.  Der Hund läuft.
    en-zh  The dog runs.  狗在跑。            ->   en  The 狗 läuft.   [zh and de, from links]

A batch holds every pair of each sentence in it; the words of the shared side are the targets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F32, I64, Bool, check_share, offsets_of
from bitextile.kernels.bitext.phrases import bitext_of, exchangeable, word_spans
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.switch.alignment import METHOD
from bitextile.kernels.switch.core import (
    Substitutes,
    SwitchConfig,
    SwitchInput,
    SwitchOutput,
    Targets,
    check_weights,
    shares,
    switch,
)
from bitextile.kernels.text.codepoints import any_between, cut, to_texts
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import ALIGNED, MONO


@dataclass(frozen=True, kw_only=True)
class MultilingualSwitchConfig(SwitchConfig):
    """How much is switched, from which language into which."""

    method: Literal["pivot"] = "pivot"
    """Words by those they are linked to in all translations of the sentence, mixed."""
    pivot: Language = "en"
    """BCP-47 tag of the language that all pairs share. English is the hub of most corpora."""
    min_score: float = 0.0
    """Lowest posterior of a link, 0 to 1. The aligner keeps likely links only."""
    weights: dict[Language, float] = field(default_factory=dict)
    """Sampling weight of each language among those that translate a word; others weigh 1."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        super().__post_init__()
        check_share("min_score", self.min_score)
        check_weights(self.weights)


class _Links(NamedTuple):
    """What the words of pivot sentences are linked to; all [l], rows of the batch."""

    row: I64
    start: I64
    end: I64
    one_word: Bool
    text: pa.StringArray
    lang: pa.StringArray
    score: F32


def pivot_texts(batch: pa.RecordBatch, pivot: str) -> pa.StringArray:
    """Returns the sentence of each pair that is in the language `pivot`.

    Raises:
        ConfigError: a row has no such side.
    """
    at_src = pc.equal(batch.column("src_lang"), pivot)
    at_tgt = pc.equal(batch.column("tgt_lang"), pivot)
    neither = pc.indices_nonzero(pc.invert(pc.or_(at_src, at_tgt)))
    if len(neither):
        row = batch.slice(neither[0].as_py(), 1).to_pylist()[0]
        raise ConfigError(
            f"a pair of {row['src_lang']} and {row['tgt_lang']} has no side in {pivot}, which "
            "the translations are to share; name another pivot, or give a dataset of its pairs"
        )
    # With both sides in the pivot's language the source counts as the sentence.
    return pc.if_else(at_src, batch.column("src"), batch.column("tgt"))


@takes_tables
def switch_multilingual(batch: pa.RecordBatch, *, config: MultilingualSwitchConfig) -> SwitchOutput:
    """Replaces words of sentences by translations from all pairs they are part of.

    A word of the pivot sentence, or a run of words linked as a group, is eligible if a pair links
    it to something else of at least `min_score`; a run only where no other link covers any of its
    words. Among the languages that translate it one is drawn by weight, then one of its
    translations at random.

    Args:
        batch: rows of kind aligned; all pairs of a pivot sentence together.
        config: rates, pivot, weights, variants, seed.

    Returns:
        As `core.switch` does: one input "pivot" with each sentence once, in the order of its
        id; the parent is the sentence (`text_id`). Its value if it has no eligible words is its
        number of pairs.

    Raises:
        RowError: a span or a link lies outside its text, or spans overlap.
        ConfigError: a row has no side in the pivot's language.
    """
    check_rows(batch, ALIGNED, "codeswitch")
    texts = pivot_texts(batch, config.pivot)
    sentences, sentence, n_pairs = _sentences(batch, texts, config.pivot)
    links = _joined([*_linked(batch, texts, config=config)])
    host = to_texts(sentences.column("text"))
    targets, substitutes = _targets(
        links, sentence[links.row], host.offsets, weights=config.weights
    )
    given = SwitchInput(
        side="pivot",
        rows=np.arange(sentences.num_rows),
        batch=sentences,
        ids=sentences.column("text_id"),
        lang=sentences.column("lang"),
        texts=host,
        targets=targets,
        substitutes=substitutes,
        n_words=n_pairs,
    )
    return switch([given], config=config, method=METHOD)


def _sentences(
    batch: pa.RecordBatch, texts: pa.StringArray, pivot: str
) -> tuple[pa.RecordBatch, I64, I64]:
    """Returns the distinct sentences as kind mono by id, each row's number, and their pairs.

    A sentence keeps the provenance of its pair with the lowest id.
    """
    # Sorted by sentence, then pair: batches of a group arrive in any order, and the provenance that
    # a row keeps must not depend on it. Ids have 32 hex digits, hence U32.
    ids = np.array(text_ids(pivot, texts).to_pylist(), dtype="U32")
    order = np.lexsort((np.array(batch.column("pair_id").to_pylist(), dtype="U32"), ids))
    found, first, counts = np.unique(ids[order], return_index=True, return_counts=True)
    rows = pa.array(order[first])
    columns = [pa.array(found.tolist(), pa.string()), pa.repeat(pivot, len(found))]
    columns.append(texts.take(rows))
    columns += [batch.column(name).take(rows) for name in ("corpus", "file", "line", "split")]
    mono = pa.RecordBatch.from_arrays(columns, schema=MONO.schema)
    # `found` is sorted, as `np.unique` returns it.
    return mono, np.searchsorted(found, ids), counts


def _linked(
    batch: pa.RecordBatch, texts: pa.StringArray, *, config: MultilingualSwitchConfig
) -> Iterator[_Links]:
    """Yields the links of the pairs that have the pivot as source, then of those as target."""
    bitext = bitext_of(batch)
    at_src = pc.equal(batch.column("src_lang"), config.pivot).to_numpy(zero_copy_only=False)
    # The pivot may be either side; flipped, it is the source in both parts.
    for view, mine, other in (
        (bitext, at_src, "tgt_lang"),
        (bitext.flip(), ~at_src, "src_lang"),
    ):
        phrases = view.phrases
        chosen = np.flatnonzero(
            exchangeable(view) & (phrases.score >= config.min_score) & mine[phrases.row]
        )
        row = phrases.row[chosen]
        starts, ends = word_spans(view.src, phrases.src[chosen])
        base = view.src.texts.offsets[row]
        yield _Links(
            row,
            starts - base,
            ends - base,
            np.diff(phrases.src[chosen])[:, 0] == 1,
            cut(view.tgt.texts, *word_spans(view.tgt, phrases.tgt[chosen])),
            batch.column(other).take(pa.array(row)),
            phrases.score[chosen],
        )


def _joined(parts: list[_Links]) -> _Links:
    columns = zip(*parts)
    return _Links(
        *(
            pa.concat_arrays(column) if isinstance(column[0], pa.Array) else np.concatenate(column)
            for column in columns
        )
    )


def _targets(
    links: _Links, sentence: I64, offsets: I64, *, weights: dict[Language, float]
) -> tuple[Targets, Substitutes]:
    """Returns the spans that have translations, and these.

    Args:
        links: of all pairs.
        sentence: [l] of each link.
        offsets: of the sentences' code points.
        weights: of languages.
    """
    low, high = offsets[sentence] + links.start, offsets[sentence] + links.end
    kept = _disjoint(low, high, links.one_word, int(offsets[-1]))
    langs, lang = _numbered(links.lang)
    text, spelled = _numbered(links.text)
    names = langs.to_pylist()
    # Whole numbers below 2^53 are exact in float64, so one matrix can be sorted with the scores in
    # it. Negated, the best score comes first of equal rows.
    columns = np.stack([low, high, lang, spelled, -links.score.astype(np.float64)])[:, kept]
    # lexsort takes its last key as the first: reversed, that is `low`.
    columns = columns[:, np.lexsort(columns[::-1])]
    # Several pairs may give one span the same translation: only the best-scored is kept.
    new = np.append(True, (columns[:4, 1:] != columns[:4, :-1]).any(axis=0))[: columns.shape[1]]
    start, end, lang, spelled = columns[:4, new].astype(np.int64)
    # Kept spans are disjoint, so their start alone names them.
    place, first, target = np.unique(start, return_index=True, return_inverse=True)
    weight = np.array([weights.get(name, 1.0) for name in names], float)[lang]
    cell = target * len(names) + lang
    # A language's weight is shared by its translations, so that many do not make it likelier.
    weight = weight / np.bincount(cell)[cell] if len(cell) else weight
    bounds = offsets_of(np.bincount(target, minlength=len(place)))
    # From a code point of the batch back to the sentence it is in.
    row = np.searchsorted(offsets, place, side="right") - 1
    base, texts = offsets[row], to_texts(text)
    targets = Targets(row, place - base, end[first] - base, place - base, bounds[:-1], bounds[1:])
    score = -columns[4, new].astype(np.float32)
    span = texts.offsets[spelled], texts.offsets[spelled + 1]
    sources = tuple((name, "link") for name in names)
    return targets, Substitutes(texts.points, *span, shares(weight, target), score, lang, sources)


def _numbered(column: pa.StringArray) -> tuple[pa.StringArray, I64]:
    """Returns the distinct strings by code point, and which of them each row has."""
    encoded = column.dictionary_encode()
    # dictionary_encode numbers by first occurrence, which depends on the batch; by code point the
    # draws below do not.
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return encoded.dictionary.take(order), rank[encoded.indices.to_numpy(zero_copy_only=False)]


def _disjoint(low: I64, high: I64, one_word: Bool, n_points: int) -> Bool:
    """Returns which links to keep: single words, and runs that nothing else covers.

    Two pairs may cut the same sentence into other words only if they were segmented differently;
    of spans that still overlap, the first stays.
    """
    # Distinct spans, so that equal ones, of several pairs, do not count as an overlap. `edges` has
    # +1 where a span begins and -1 where it ends; its sum so far says how many cover a code point:
    #
    #     spans        [0,3) [4,7) [6,9)
    #     text         T  h  e  _  d  o  g  _  a
    #     edges        1  0  0 -1  1  0  1 -1  0 -1
    #     covered by   1  1  1  0  1  1  2  1  1        the last two spans overlap at 6
    span, index = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    edges = np.zeros(n_points + 1, np.int64)
    np.add.at(edges, span[0], 1)
    np.add.at(edges, span[1], -1)
    alone = ~any_between(np.cumsum(edges)[:-1] > 1, *span)
    single = np.zeros(len(alone), bool)
    single[index.ravel()[one_word]] = True
    use = np.flatnonzero(alone | single)
    # The furthest end of all spans before it, dropped ones included, in the order of their starts.
    reached = np.maximum.accumulate(np.append(0, span[1][use]))[:-1]
    keep = np.zeros(len(alone), bool)
    keep[use[span[0][use] >= reached]] = True
    return keep[index.ravel()]
