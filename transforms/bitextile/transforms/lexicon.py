"""A bilingual lexicon from the links of a corpus, counted across all its batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.bitext.lexicon import (
    LexiconConfig,
    count_links,
    join_spellings,
    lexicon_rows,
    merge_counts,
)
from bitextile.kernels.rejects import Filtered
from bitextile.kernels.sharding import split_by_language
from bitextile.schema.kinds import LEXICON, SplitChoice
from bitextile.transforms.batches import AnyRows, FilterBatches, TrackedRows, kept_of

_BATCHES_BEFORE_MERGE = 16


@dataclass(eq=False)
class CountLexicon(beam.PTransform):
    """Counts linked words per language pair: rows of ALIGNED to rows of LEXICON.

    Attributes:
        config: which entries stay.
    """

    config: LexiconConfig = field(default_factory=LexiconConfig)

    @no_annotations
    def expand(self, aligned: AnyRows) -> TrackedRows:
        """Returns the entries kept and rejected; read are the distinct linked word pairs."""
        entries = (
            # The rejects and counts of the pairs end here: from now on rows are word pairs, and
            # read = kept + rejected is about these.
            kept_of(aligned)
            | "CountLinks"
            >> beam.FlatMap(_counts, split=self.config.split).with_output_types(
                tuple[str, pa.RecordBatch]
            )
            # CombinePerKey sums on each worker before the shuffle, so what is sent is distinct word
            # pairs, not links.
            | "MergeCounts" >> beam.CombinePerKey(_MergeCounts())
            | "DropKeys" >> beam.Values()
        )
        return entries | FilterBatches(partial(_keep, config=self.config), "KeepEntries")


def _counts(batch: pa.RecordBatch, split: SplitChoice) -> Iterator[tuple[str, pa.RecordBatch]]:
    if split != "all":
        batch = batch.filter(pc.equal(batch.column("split"), split))
    counts = count_links(batch)
    # A batch without links has no language pair to be keyed by.
    if counts.num_rows:
        yield from split_by_language(counts, LEXICON)


def _keep(counts: pa.RecordBatch, *, config: LexiconConfig) -> Filtered:
    return lexicon_rows(pa.Table.from_batches([counts]), config=config)


class _MergeCounts(beam.CombineFn):
    """Adds up count batches; merged now and then, so that partial sums stay small."""

    def create_accumulator(self) -> list[pa.RecordBatch]:
        return []

    def add_input(
        self, accumulator: list[pa.RecordBatch], batch: pa.RecordBatch
    ) -> list[pa.RecordBatch]:
        accumulator.append(batch)
        # Merged every time, each batch would sort all entries so far again; never, the list would
        # hold every batch of the corpus.
        return _merged(accumulator) if len(accumulator) > _BATCHES_BEFORE_MERGE else accumulator

    def merge_accumulators(
        self, accumulators: Iterable[list[pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        return _merged([batch for accumulator in accumulators for batch in accumulator])

    def extract_output(self, accumulator: list[pa.RecordBatch]) -> pa.RecordBatch:
        # What is counted as read from here on are words, whatever their case.
        return join_spellings(merge_counts(accumulator))


def _merged(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    # Beam merges accumulators that saw no input, too.
    return [merge_counts(batches)] if batches else []
