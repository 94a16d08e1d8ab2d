"""Code-switching in a pipeline: words, or whole fields, replaced by their translations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.bitext.dictionary.source import DictionarySource
from bitextile.kernels.randomness import hash64
from bitextile.kernels.sharding import split_by_bucket
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig, switch_by_candidates
from bitextile.kernels.switch.core import SwitchOutput
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
from bitextile.schema.dataset import BATCH_ROWS
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO, SIDES, Kind
from bitextile.transforms.batches import (
    COUNTERS_TAG,
    REJECTS_TAG,
    AnyRows,
    FilterBatches,
    TrackedRows,
    counter_batch,
    kept_of,
    type_outputs,
)


@dataclass(eq=False)
class SwitchByAlignment(beam.PTransform):
    """Replaces words by their linked words: rows of ALIGNED to rows of CODESWITCH.

    Attributes:
        config: rates, sides, how many variants.
    """

    config: AlignmentSwitchConfig = field(default_factory=AlignmentSwitchConfig)

    @no_annotations
    def expand(self, aligned: AnyRows) -> TrackedRows:
        """Returns switched sentences: a row or a reject for each sentence and variant."""
        kernel = partial(switch_by_alignment, config=self.config)
        # Each sentence is its own row, or its own reject, in each variant.
        n = self.config.variants * len(SIDES[self.config.sides])
        return aligned | FilterBatches(kernel, "SwitchByAlignment", outputs_per_row=n)


@dataclass(eq=False)
class SwitchByDictionary(beam.PTransform):
    """Replaces words by dictionary: rows of MONO, PAIRS or ALIGNED to rows of CODESWITCH.

    Attributes:
        sources: dictionaries, as `read_dictionary` returns them; each worker process reads them
            once, so they must lie where workers can read.
        config: rates, sides, how many variants.
        kind: of the rows.
    """

    sources: tuple[DictionarySource, ...]
    config: DictionarySwitchConfig = field(default_factory=DictionarySwitchConfig)
    kind: Kind = MONO

    @no_annotations
    def expand(self, rows: AnyRows) -> TrackedRows:
        """Returns switched sentences: a row or a reject for each sentence and variant."""
        kernel = partial(_by_dictionary, sources=self.sources, config=self.config)
        # A monolingual row has one sentence, whatever `sides` says.
        sides = ("text",) if self.kind is MONO else SIDES[self.config.sides]
        n = self.config.variants * len(sides)
        return rows | FilterBatches(kernel, "SwitchByDictionary", outputs_per_row=n)


def _by_dictionary(
    batch: pa.RecordBatch,
    *,
    sources: tuple[DictionarySource, ...],
    config: DictionarySwitchConfig,
) -> SwitchOutput:
    # Sources are small and picklable; the index is built in the worker, once for the same ones.
    return switch_by_dictionary(batch, index=load_index(sources), config=config)


@dataclass(eq=False)
class SwitchByCandidates(beam.PTransform):
    """Replaces words by what a model suggested: rows of CANDIDATES to rows of CODESWITCH.

    Attributes:
        config: rates, how many variants.
    """

    config: CandidatesSwitchConfig = field(default_factory=CandidatesSwitchConfig)

    @no_annotations
    def expand(self, candidates: AnyRows) -> TrackedRows:
        """Returns switched sentences: a row or a reject for each sentence and variant."""
        kernel = partial(switch_by_candidates, config=self.config)
        n = self.config.variants
        return candidates | FilterBatches(kernel, "SwitchByCandidates", outputs_per_row=n)


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
    def expand(self, aligned: AnyRows) -> TrackedRows:
        """Returns switched sentences; read are the distinct sentences, once for each variant."""
        # All pairs of a sentence must meet in one batch, from every language pair's shards.
        split = beam.FlatMap(_by_sentence, pivot=self.config.pivot, n_buckets=self.n_buckets)
        groups = (
            kept_of(aligned)
            | "ShuffleSentences" >> split.with_output_types(tuple[int, pa.RecordBatch])
            | "GroupSentences" >> beam.GroupByKey()
            # The order of a group's batches is the runner's; the kernel sorts by id.
            | "JoinPairs" >> beam.MapTuple(_joined).with_output_types(pa.RecordBatch)
        )
        # Pairs went in, sentences come out: several pairs make one row, so the count begins again
        # here.
        count = partial(_n_sentences, pivot=self.config.pivot, variants=self.config.variants)
        sentences = TrackedRows(groups, (), groups | "CountSentences" >> beam.Map(count))
        kernel = partial(switch_multilingual, config=self.config)
        return sentences | FilterBatches(kernel, "SwitchMultilingual")


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
        """Returns rows of CODESWITCH with fields and labels."""
        read = beam.FlatMap(_task, variants=self.config.variants).with_output_types(pa.RecordBatch)
        task = (
            root
            | "ListTask" >> beam.Create([self.files])
            | "ReadTask" >> read.with_outputs(REJECTS_TAG, COUNTERS_TAG, "read", main="kept")
        )
        types = {REJECTS_TAG: pa.RecordBatch, COUNTERS_TAG: pa.RecordBatch, "read": int}
        type_outputs(task, types)
        rows = TrackedRows(task.kept, (task[REJECTS_TAG],), task.read, (task[COUNTERS_TAG],))
        kernel = partial(switch_task_fields, config=self.config)
        return rows | FilterBatches(kernel, "SwitchTaskFields")


def _task(files: TaskFiles, *, variants: int) -> Iterator[Any]:
    """Yields a task's rows, its rejects, what was counted, and how many rows are to come out."""
    examples = read_task(files)
    for at in range(0, examples.kept.num_rows, BATCH_ROWS):
        yield examples.kept.slice(at, BATCH_ROWS)
    # Each example is switched `variants` times; a duplicate is rejected once, before that.
    expected = examples.kept.num_rows * variants + examples.rejects.num_rows
    yield beam.pvalue.TaggedOutput("read", expected)
    yield beam.pvalue.TaggedOutput(REJECTS_TAG, examples.rejects)
    yield beam.pvalue.TaggedOutput(COUNTERS_TAG, counter_batch(examples.counters))
