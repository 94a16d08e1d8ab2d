"""Variants of sentences and pairs: words exchanged, words switched into other languages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.bitext.dictionary.source import DictionarySource
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.randomness import hash64
from bitextile.kernels.sharding import split_by_bucket
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.kernels.switch.candidates import switch_by_candidates
from bitextile.kernels.switch.core import SwitchConfig, SwitchOutput
from bitextile.kernels.switch.dictionary import (
    DictionarySwitchConfig,
    load_index,
    switch_by_dictionary,
)
from bitextile.kernels.switch.pivot import (
    MultilingualSwitchConfig,
    pivot_texts,
    switch_multilingual,
)
from bitextile.kernels.switch.task_field import (
    TaskFieldSwitchConfig,
    TaskFiles,
    read_task,
    switch_task_fields,
)
from bitextile.kernels.text.truecase import EMPTY_CASING, Casing
from bitextile.schema.dataset import BATCH_ROWS
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import SIDES
from bitextile.transforms.batches import (
    COUNTERS_TAG,
    REJECTS_TAG,
    FilterBatches,
    FilterOutput,
    TrackedRows,
    counter_batch,
)


@dataclass(eq=False)
class ExchangeWords(beam.PTransform):
    """Swaps linked words between the two sentences: rows of ALIGNED to rows of EXCHANGE.

    Attributes:
        config: rate, which links, how many variants.
        casing: with `recase`, what `casing_of` counted; what it has not seen keeps its capital.
    """

    config: ExchangeConfig = field(default_factory=ExchangeConfig)
    casing: Casing = EMPTY_CASING

    @property
    def outputs_per_row(self) -> int:
        """Rows, kept or rejected, that one pair becomes."""
        return self.config.variants

    @no_annotations
    def expand(self, aligned: beam.PCollection) -> FilterOutput:
        """Returns kept and rejected batches."""
        kernel = partial(exchange, config=self.config, casing=self.casing)
        return aligned | FilterBatches(kernel, "ExchangeWords")


@dataclass(eq=False)
class SwitchByAlignment(beam.PTransform):
    """Replaces words by their linked words: rows of ALIGNED to rows of CODESWITCH.

    Attributes:
        config: rates, sides, how many variants.
    """

    config: AlignmentSwitchConfig = field(default_factory=AlignmentSwitchConfig)

    @property
    def outputs_per_row(self) -> int:
        """Rows, kept or rejected, that one pair becomes."""
        return self.config.variants * len(SIDES[self.config.sides])

    @no_annotations
    def expand(self, aligned: beam.PCollection) -> FilterOutput:
        """Returns kept and rejected batches."""
        kernel = partial(switch_by_alignment, config=self.config)
        return aligned | FilterBatches(kernel, "SwitchByAlignment", tallied=True)


@dataclass(eq=False)
class SwitchByDictionary(beam.PTransform):
    """Replaces words by dictionary: rows of MONO, PAIRS or ALIGNED to rows of CODESWITCH.

    Attributes:
        sources: dictionaries, as `read_dictionary` settled them; each worker process reads them
            once, so they must lie where workers can read.
        config: rates, sides, how many variants.
        sides: sentences of a row: 1 of monolingual rows, of pairs as `config.sides` says.
    """

    sources: tuple[DictionarySource, ...]
    config: DictionarySwitchConfig = field(default_factory=DictionarySwitchConfig)
    sides: int = 1

    @property
    def outputs_per_row(self) -> int:
        """Rows, kept or rejected, that one row becomes."""
        return self.config.variants * self.sides

    @no_annotations
    def expand(self, rows: beam.PCollection) -> FilterOutput:
        """Returns kept and rejected batches, and what was drawn."""
        kernel = partial(_by_dictionary, sources=self.sources, config=self.config)
        return rows | FilterBatches(kernel, "SwitchByDictionary", tallied=True)


def _by_dictionary(
    batch: pa.RecordBatch,
    *,
    sources: tuple[DictionarySource, ...],
    config: DictionarySwitchConfig,
) -> SwitchOutput:
    return switch_by_dictionary(batch, index=load_index(sources), config=config)


@dataclass(eq=False)
class SwitchByCandidates(beam.PTransform):
    """Replaces words by what a model suggested: rows of CANDIDATES to rows of CODESWITCH.

    Attributes:
        config: rates, how many variants.
    """

    config: SwitchConfig = field(default_factory=SwitchConfig)

    @property
    def outputs_per_row(self) -> int:
        """Rows, kept or rejected, that one sentence becomes."""
        return self.config.variants

    @no_annotations
    def expand(self, candidates: beam.PCollection) -> FilterOutput:
        """Returns kept and rejected batches, and what was drawn."""
        kernel = partial(switch_by_candidates, config=self.config)
        return candidates | FilterBatches(kernel, "SwitchByCandidates", tallied=True)


@dataclass(eq=False)
class SwitchMultilingual(beam.PTransform):
    """Replaces words by links into all translations of a sentence: ALIGNED to CODESWITCH.

    Attributes:
        config: rates, the shared language, weights.
        n_buckets: groups that the sentences are dealt into; each must fit in a worker's memory.
    """

    config: MultilingualSwitchConfig = field(default_factory=MultilingualSwitchConfig)
    n_buckets: int = 64

    @no_annotations
    def expand(self, aligned: beam.PCollection) -> TrackedRows:
        """Returns its own TrackedRows: read are the distinct sentences, once for each variant."""
        deal = beam.FlatMap(_by_sentence, pivot=self.config.pivot, n_buckets=self.n_buckets)
        groups = (
            aligned
            | "DealSentences" >> deal.with_output_types(tuple[int, pa.RecordBatch])
            | "GroupSentences" >> beam.GroupByKey()
            | "JoinPairs" >> beam.MapTuple(_joined).with_output_types(pa.RecordBatch)
        )
        count = partial(_n_sentences, pivot=self.config.pivot, variants=self.config.variants)
        read = groups | "CountSentences" >> beam.Map(count)
        kernel = partial(switch_multilingual, config=self.config)
        filtered = groups | FilterBatches(kernel, "SwitchMultilingual", tallied=True)
        return TrackedRows(filtered.kept, (filtered.rejects,), read, filtered.counters)


def _by_sentence(
    batch: pa.RecordBatch, *, pivot: str, n_buckets: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    ids = text_ids(pivot, pivot_texts(batch, pivot))
    yield from split_by_bucket(batch, hash64(ids), n_buckets)


def _joined(_: int, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(list(batches))


def _n_sentences(batch: pa.RecordBatch, *, pivot: str, variants: int) -> int:
    return len(np.unique(hash64(text_ids(pivot, pivot_texts(batch, pivot))))) * variants


@dataclass(eq=False)
class SwitchTaskFields(beam.PTransform):
    """Reads task data in several languages and replaces fields by their translations.

    Attributes:
        files: the data set, at paths that workers can read.
        config: rates, weights, how many variants.
    """

    files: TaskFiles
    config: TaskFieldSwitchConfig = field(default_factory=TaskFieldSwitchConfig)

    @no_annotations
    def expand(self, root: beam.Pipeline) -> TrackedRows:
        """Returns rows of CODESWITCH with fields and labels, as a TrackedRows of their own."""
        tags = (REJECTS_TAG, COUNTERS_TAG, "read")
        task = (
            root
            | "ListTask" >> beam.Create([self.files])
            | "ReadTask"
            >> beam.FlatMap(_task, variants=self.config.variants)
            .with_output_types(pa.RecordBatch)
            .with_outputs(*tags, main="kept")
        )
        filtered = task.kept | FilterBatches(
            partial(switch_task_fields, config=self.config), "SwitchTaskFields", tallied=True
        )
        rejects = (task[REJECTS_TAG], filtered.rejects)
        counters = (task[COUNTERS_TAG], *filtered.counters)
        read = task.read | "CountRead" >> beam.Map(lambda batch: batch.num_rows)
        return TrackedRows(filtered.kept, rejects, read, counters)


def _task(files: TaskFiles, *, variants: int) -> Iterator[Any]:
    """Yields a task's rows, its rejects, what was counted, and a batch for each draw read."""
    examples = read_task(files)
    for at in range(0, examples.kept.num_rows, BATCH_ROWS):
        part = examples.kept.slice(at, BATCH_ROWS)
        yield part
        for _ in range(variants):
            yield beam.pvalue.TaggedOutput("read", part.select(["text_id"]))
    yield beam.pvalue.TaggedOutput("read", examples.rejects)
    yield beam.pvalue.TaggedOutput(REJECTS_TAG, examples.rejects)
    yield beam.pvalue.TaggedOutput(COUNTERS_TAG, counter_batch(examples.counters))
