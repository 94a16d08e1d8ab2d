"""Statistics of a dataset: from its manifest, and one pass over its rows, batch by batch."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.progress import count
from bitextile.schema.dataset import BATCH_ROWS, Dataset
from bitextile.schema.kinds import LEXICON, REJECTS
from bitextile.schema.shards import read_shard

BARS = 24
"""Bars of a small histogram, at most: about 5 px each beside a table row."""
SAMPLES = 3
"""Dropped rows shown for each rule."""

_TEXTS = (
    ("src_lang", "src", "src_spans"),
    ("tgt_lang", "tgt", "tgt_spans"),
    ("lang", "text", "spans"),
    ("matrix_lang", "text", "replacements"),
)


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """How long the sentences of a language are.

    Attributes:
        lang: BCP-47 tag.
        unit: words where the dataset knows them, else characters (code points).
        median: half of the sentences are at most so long.
        p90: nine of ten.
        longest: all of them.
        bars: a histogram from 0 to the 99th percentile, the highest bar 1.
    """

    lang: str
    unit: str
    median: int
    p90: int
    longest: int
    bars: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AlignmentStatistics:
    """How densely and how surely a language pair is linked.

    Attributes:
        links: their number.
        per_word: links over the mean of the words of both sides.
        linked: language to the share of its words that have a link.
        mean_score: mean posterior of the links.
        bars: histogram of the scores over 0 to 1, the highest bar 1.
    """

    links: int
    per_word: float
    linked: dict[str, float]
    mean_score: float
    bars: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class KeyStatistics:
    """A language pair or language.

    Attributes:
        key: its tags.
        rows: of it.
        lengths: of its sentences, by language.
        links: where the kind has some.
        changes: what was exchanged or switched, where the kind says.
    """

    key: str
    rows: int
    lengths: tuple[Lengths, ...] = ()
    links: AlignmentStatistics | None = None
    changes: "ChangeStatistics | None" = None


@dataclass(frozen=True, kw_only=True)
class ChangeStatistics:
    """How much was exchanged or switched.

    Attributes:
        rows: share of the rows in which anything was.
        per_row: links exchanged or spans switched, per row.
        langs: language to the spans switched into it; empty for exchanges.
    """

    rows: float
    per_row: float
    langs: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class RejectStatistics:
    """A rule, how many rows it dropped, its share of the rows read, and a few of them."""

    rule: str
    rows: int
    share: float
    samples: tuple[dict, ...]


class _Histogram:
    """Counts of non-negative whole numbers, grown as they come: exact quantiles in small memory."""

    def __init__(self) -> None:
        self.counts = np.zeros(1, np.int64)

    def add(self, values: np.ndarray) -> None:
        counts = np.bincount(values, minlength=len(self.counts))
        counts[: len(self.counts)] += self.counts
        self.counts = counts

    def quantile(self, share: float) -> int:
        total = self.counts.cumsum()
        # The smallest value that so many are at most; whole numbers, so no interpolation.
        return int(np.searchsorted(total, share * total[-1])) if total[-1] else 0

    def bars(self) -> tuple[float, ...]:
        counts = self.counts[: self.quantile(0.99) + 1]
        # Whole numbers: bars of unequal many values would show a comb that is not in the data.
        values_per_bar = -(-len(counts) // BARS)
        bins = np.arange(len(counts)) // values_per_bar
        heights = np.bincount(bins, weights=counts)
        return _scaled(heights)


def _scaled(heights: np.ndarray) -> tuple[float, ...]:
    highest = heights.max(initial=0)
    return tuple(round(float(h / highest), 3) if highest else 0.0 for h in heights)


class _KeyCounter:
    """All that is counted of one key while its batches pass."""

    def __init__(self) -> None:
        self.rows = 0
        self.lengths: dict[str, _Histogram] = {}
        self.unit = "characters"
        self.words: dict[str, int] = {}
        self.linked: dict[str, int] = {}
        self.links = 0
        self.score_sum = 0.0
        self.scores = np.zeros(BARS)
        self.changed_rows = 0
        self.changes: int | None = None
        self.changed_langs: Counter[str] = Counter()

    def add(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        for lang, text, spans in _TEXTS:
            if {lang, text} <= set(batch.schema.names):
                self._add_side(batch, lang, text, spans)
        if "links" in batch.schema.names:
            self._add_scores(batch.column("links").flatten().field("score").to_numpy())
        if "exchanged" in batch.schema.names:
            self._add_changes(batch.column("exchanged"))
        if "replacements" in batch.schema.names:
            self._add_changes(batch.column("replacements"))
            langs = batch.column("replacements").flatten().field("lang").value_counts()
            self.changed_langs.update({n["values"]: n["counts"] for n in langs.to_pylist()})

    def _add_side(self, batch: pa.RecordBatch, lang: str, text: str, spans: str) -> None:
        tags = batch.column(lang)
        with_words = spans in batch.schema.names and spans != "replacements"
        self.unit = "words" if with_words else self.unit
        measure = pc.list_value_length if with_words else pc.utf8_length
        column = spans if with_words else text
        for tag in sorted(pc.unique(tags).to_pylist()):
            part = batch.filter(pc.equal(tags, tag))
            lengths = measure(part.column(column)).to_numpy(zero_copy_only=False)
            self.lengths.setdefault(tag, _Histogram()).add(lengths)
            self.words[tag] = self.words.get(tag, 0) + int(lengths.sum())
            if "links" in part.schema.names:
                linked = _linked_words(part.column("links"), text)
                self.linked[tag] = self.linked.get(tag, 0) + linked

    def _add_scores(self, scores: np.ndarray) -> None:
        self.links += len(scores)
        self.score_sum += float(scores.sum(dtype=np.float64))
        # Clipped, since `histogram` drops what lies outside its range, such as 1.0000001.
        self.scores += np.histogram(scores.clip(0, 1), bins=BARS, range=(0, 1))[0]

    def _add_changes(self, lists: pa.ListArray) -> None:
        lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
        self.changes = (self.changes or 0) + int(lengths.sum())
        self.changed_rows += int((lengths > 0).sum())

    def statistics(self, key: str) -> KeyStatistics:
        return KeyStatistics(
            key=key,
            rows=self.rows,
            lengths=tuple(
                Lengths(
                    lang=lang,
                    unit=self.unit,
                    median=histogram.quantile(0.5),
                    p90=histogram.quantile(0.9),
                    longest=histogram.quantile(1.0),
                    bars=histogram.bars(),
                )
                for lang, histogram in sorted(self.lengths.items())
            ),
            links=self._alignment_statistics(),
            changes=self._change_statistics(),
        )

    def _alignment_statistics(self) -> AlignmentStatistics | None:
        if not self.linked:
            return None
        return AlignmentStatistics(
            links=self.links,
            per_word=2 * self.links / max(sum(self.words.values()), 1),
            linked={t: n / max(self.words[t], 1) for t, n in sorted(self.linked.items())},
            mean_score=self.score_sum / max(self.links, 1),
            bars=_scaled(self.scores),
        )

    def _change_statistics(self) -> ChangeStatistics | None:
        if self.changes is None:
            return None
        return ChangeStatistics(
            rows=self.changed_rows / max(self.rows, 1),
            per_row=self.changes / max(self.rows, 1),
            langs=dict(sorted(self.changed_langs.items())),
        )


def _linked_words(links: pa.ListArray, side: str) -> int:
    """Returns how many words of a side (src or tgt) have at least one link, over all rows."""
    # (row, word) as one number: links are int16, so 16 bits hold the word.
    parents = pc.list_parent_indices(links).to_numpy().astype(np.int64)
    words = links.flatten().field(side).to_numpy().astype(np.int64)
    # Sorted and counted: np.unique hashes, which took some 25 times as long over 100,000 links.
    places = np.sort(parents << 16 | words)
    return int(np.count_nonzero(np.diff(places, prepend=-1)))


def key_statistics(dataset: Dataset) -> list[KeyStatistics]:
    """Returns the statistics of each key; kinds without sentences have their rows alone.

    Args:
        dataset: opened; every row is read once, in the columns that are counted.
    """
    names = {column.name for column in dataset.kind.columns}
    counted = [n for texts in _TEXTS for n in texts] + ["links", "exchanged", "replacements"]
    # A lexicon's `src` and `tgt` are words: nothing to measure but their number.
    lexicon = dataset.kind is LEXICON
    columns = ["src_lang"] if lexicon else sorted(names.intersection(counted))
    statistics = []
    for key in dataset.keys:
        counter = _KeyCounter()
        for batch in dataset.batches(key=key, columns=columns):
            counter.add(batch)
            count(f"CountRows {dataset.path}", batch.num_rows, total=dataset.manifest.rows)
        statistics.append(counter.statistics(key))
    return statistics


def reject_statistics(dataset: Dataset) -> list[RejectStatistics]:
    """Returns each rule that dropped rows, the most dropped first, with samples in id order.

    Args:
        dataset: opened; its rejects are read until every rule has its samples.
    """
    counts = dataset.manifest.counts
    rules = [rule for rule, rows in counts.rejected.items() if rows]
    wanted = {rule: min(SAMPLES, counts.rejected[rule]) for rule in rules}
    samples: dict[str, list[dict]] = {rule: [] for rule in rules}
    for batch in _rejects(dataset):
        for rule in rules:
            missing = wanted[rule] - len(samples[rule])
            if missing > 0:
                fits = batch.filter(pc.equal(batch.column("rule"), rule))
                samples[rule] += fits[:missing].to_pylist()
        if all(len(samples[rule]) >= wanted[rule] for rule in rules):
            break
    return [
        RejectStatistics(
            rule=rule,
            rows=counts.rejected[rule],
            share=counts.rejected[rule] / max(counts.read, 1),
            samples=tuple(samples[rule]),
        )
        for rule in sorted(rules, key=lambda rule: (-counts.rejected[rule], rule))
    ]


def _rejects(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    for shard in dataset.manifest.rejects:
        yield from read_shard(dataset.path, shard, REJECTS, columns=None, batch_rows=BATCH_ROWS)
