"""Corpora into a pipeline, and the steps that make them fit: one step a transform."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.dedup.exact import Duplicates
from bitextile.kernels.filters.rules import FilterConfig, filter_rows
from bitextile.kernels.progress import count
from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.rejects import in_batches
from bitextile.kernels.sharding import record_hash, split_by_bucket, split_by_language
from bitextile.kernels.splits import SplitConfig, assign_splits, draw_splits, edges_of
from bitextile.kernels.text.normalise import normalise_mono, normalise_pairs
from bitextile.schema.kinds import PAIRS, Kind
from bitextile.transforms.batches import (
    REJECTS_TAG,
    AnyRows,
    FilterBatches,
    MapBatches,
    TrackedRows,
    filtered_outputs,
    kept_of,
    track,
    type_outputs,
)
from bitextile.transforms.coders import RecordBatchCoder

N_BUCKETS = 64
"""Groups per language pair in which duplicates meet: 100 M pairs make groups of 1.6 M rows."""


@dataclass(eq=False)
class ReadCorpora(beam.PTransform):
    """Reads corpus files as rows of kind PAIRS or MONO; unreadable rows become rejects.

    Attributes:
        sources: what to read; each file is read by one worker.
    """

    sources: tuple[CorpusSource, ...]

    @no_annotations
    def expand(self, root: beam.Pipeline) -> TrackedRows:
        """Returns rows, rejects and the number of rows read, as a TrackedRows."""
        sources = root | "ListSources" >> beam.Create(list(self.sources)) | beam.Reshuffle()
        read = beam.ParDo(_ReadSource()).with_output_types(pa.RecordBatch)
        out = sources | "ReadSource" >> read.with_outputs(REJECTS_TAG, "read", main="kept")
        type_outputs(out, {REJECTS_TAG: pa.RecordBatch, "read": int})
        return TrackedRows(out.kept, (out[REJECTS_TAG],), out.read)


class _ReadSource(beam.DoFn):
    def process(self, source: CorpusSource) -> Iterator[Any]:
        for kept, rejects in read_corpus(source):
            # Counted by the reader, which alone knows of rows that could not be read.
            read = kept.num_rows + rejects.num_rows
            count("ReadCorpora", read)
            yield beam.pvalue.TaggedOutput("read", read)
            if kept.num_rows:
                yield kept
            if rejects.num_rows:
                yield beam.pvalue.TaggedOutput(REJECTS_TAG, rejects)


@dataclass(eq=False)
class Normalise(beam.PTransform):
    """Brings text into one form and takes the ids over it."""

    kind: Kind = PAIRS

    @no_annotations
    def expand(self, batches: AnyRows) -> AnyRows:
        """Returns the batches, normalised."""
        # Ids are taken over normalised text; what makes two rows duplicates is decided here.
        kernel = normalise_pairs if self.kind is PAIRS else normalise_mono
        return batches | MapBatches(kernel, "Normalise")


@dataclass(eq=False)
class Filter(beam.PTransform):
    """Drops the rows that break one of `filters.rules.RULES`."""

    config: FilterConfig = field(default_factory=FilterConfig)
    kind: Kind = PAIRS

    @no_annotations
    def expand(self, batches: AnyRows) -> TrackedRows:
        """Returns kept and rejected batches."""
        kernel = partial(filter_rows, kind=self.kind, config=self.config)
        return batches | FilterBatches(kernel, "Filter")


@dataclass(eq=False)
class DropDuplicates(beam.PTransform):
    """Drops all but the first row of each id, whatever the order they arrive in.

    Attributes:
        corpora: names, most wanted first: of equal rows that which is held out stays, else that of
            the first corpus.
        kind: of the rows.
    """

    corpora: tuple[str, ...] = ()
    kind: Kind = PAIRS

    @no_annotations
    def expand(self, batches: AnyRows) -> TrackedRows:
        """Returns kept and rejected batches."""
        rows = track(batches)
        do = beam.ParDo(_DropDuplicates(self.corpora)).with_output_types(pa.RecordBatch)
        out = (
            rows.kept
            # Equal rows must meet in one place, wherever they were read. Bucketed by the id's hash,
            # not one group per id: 100 M groups of one row would cost more than the rows.
            | "ShuffleById"
            >> beam.FlatMap(_by_id, self.kind).with_output_types(tuple[tuple[str, int], bytes])
            | "GroupById" >> beam.GroupByKey()
            | "DropDuplicates" >> do.with_outputs(REJECTS_TAG, main="kept")
        )
        type_outputs(out, {REJECTS_TAG: pa.RecordBatch})
        # What was read and rejected before stays; only the kept rows were regrouped.
        return rows._replace(kept=out.kept, rejects=(*rows.rejects, out[REJECTS_TAG]))


def _by_id(batch: pa.RecordBatch, kind: Kind) -> Iterator[tuple[tuple[str, int], bytes]]:
    encode = RecordBatchCoder().encode
    for key, rows in split_by_language(batch, kind):
        for bucket, part in split_by_bucket(rows, record_hash(rows, kind), N_BUCKETS):
            # Encoded here, since Beam would decode all batches of a group at once: a group of
            # millions of equal rows is small only as long as it is not decoded.
            yield (key, bucket), encode(part)


class _DropDuplicates(beam.DoFn):
    def __init__(self, corpora: tuple[str, ...]) -> None:
        self.corpora = corpora

    def process(self, group: tuple[Any, Iterable[bytes]]) -> Iterator[Any]:
        decode, parts = RecordBatchCoder().decode, list(group[1])
        duplicates = Duplicates(map(decode, parts), corpora=self.corpora)
        told = (duplicates.drop(n, decode(part)) for n, part in enumerate(parts))
        # The parts of a bucket are far smaller than a batch should be.
        for kept, rejects in in_batches(told):
            rows = kept.num_rows + rejects.num_rows
            Metrics.counter("DropDuplicates", "in").inc(rows)
            count("DropDuplicates", rows)
            yield from filtered_outputs("DropDuplicates", kept, rejects)


@dataclass(eq=False)
class AssignSplits(beam.PTransform):
    """Gives each row without a split train, valid or test: all rows connected by a sentence one.

    Rows that share a sentence with a corpus that is held out become rejects (`held_out/1`).

        {"pairs": pairs, "mono": sentences} | AssignSplits(config)

    Attributes:
        config: the shares.
    """

    config: SplitConfig = field(default_factory=SplitConfig)

    @no_annotations
    def expand(self, rows: dict[str, AnyRows]) -> dict[str, TrackedRows]:
        """Returns rows of all kinds given, under the same names, with `split` filled."""
        # A sentence of a pair may stand alone in another corpus, so all kinds are one graph.
        edges = [
            kept_of(of_kind)
            | f"ListEdges{name.title()}" >> beam.Map(edges_of).with_output_types(pa.RecordBatch)
            for name, of_kind in rows.items()
        ]
        drawn = (
            edges[0].pipeline
            | "Once" >> beam.Create([None])
            | "DrawSplits"
            >> beam.Map(
                _draw, *(beam.pvalue.AsList(of_kind) for of_kind in edges), config=self.config
            ).with_output_types(pa.RecordBatch)
        )
        kernel = partial(assign_splits, config=self.config)
        sides = (beam.pvalue.AsSingleton(drawn),)
        return {
            name: of_kind | FilterBatches(kernel, f"AssignSplits{name.title()}", side_inputs=sides)
            for name, of_kind in rows.items()
        }


def _draw(_: None, *edges: list[pa.RecordBatch], config: SplitConfig) -> pa.RecordBatch:
    return draw_splits(chain.from_iterable(edges), config=config)
