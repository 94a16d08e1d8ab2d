"""Word alignment in a pipeline: one fit per language pair, its model applied to every batch."""

import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict
from apache_beam.typehints.decorators import no_annotations
from pyarrow import fs

from bitextile.kernels.align.batches import (
    align_batch,
    draw_sample,
    join_samples,
    reject_uncountable,
    segment_pairs,
)
from bitextile.kernels.align.config import AlignerConfig, FitSample
from bitextile.kernels.align.engine import Aligner, Runtime, ready
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.progress import count, note
from bitextile.kernels.sharding import split_by_language
from bitextile.kernels.text.segment import Choice
from bitextile.schema.kinds import PAIRS
from bitextile.schema.storage import filesystem, is_local
from bitextile.transforms.align_encoder import load_encoder
from bitextile.transforms.batches import (
    AnyRows,
    ApplyToKept,
    FilterBatches,
    MapBatches,
    TrackedRows,
    track,
)

Digests = tuple[tuple[str, str], ...]
_ENCODER_LOCK = threading.Lock()
"""Some runners call a worker from several threads; an encoder uses all cores itself."""


@dataclass(eq=False)
class SegmentWords(beam.PTransform):
    """Turns rows of kind PAIRS into batches of one language pair each, with word spans.

    Attributes:
        segmenter: how unspaced scripts are cut into words.
    """

    segmenter: Choice = "auto"

    @no_annotations
    def expand(self, pairs: AnyRows) -> TrackedRows:
        """Returns batches as `kernels.align.batches.segment_pairs` makes them.

        A pair with a side of more words than links can number is a reject.
        """
        # A segmenter is chosen by language and the aligner's order by the batch's first row, so a
        # batch may hold neither two pairs nor two directions of one.
        split = beam.FlatMap(_by_direction).with_output_types(pa.RecordBatch)
        return (
            track(pairs)
            | ApplyToKept("SplitByDirection" >> split)
            | MapBatches(partial(segment_pairs, segmenter=self.segmenter), "SegmentWords")
            # Before the sample is drawn: links are int16, so such a pair could be neither fitted on
            # nor linked.
            | FilterBatches(reject_uncountable, "RejectUncountable")
        )


@dataclass(eq=False)
class AlignWords(beam.PTransform):
    """Turns rows of kind PAIRS into rows of kind ALIGNED.

    An aligner that is fitted is so once per language pair, on a sample that depends on ids only; it
    is saved under `models`, loaded once in each worker process and applied to all rows of that
    language pair. One that is not fitted is made ready once in each worker.

    Attributes:
        models: folder or URI that all workers reach; KEY/ is written into it.
        rows: of each language pair, as the manifest gives them; the sample's rate follows.
        config: of aligner and sample.
        lexicons: known translations of language pairs, of
            `kernels.align.known_translations.word_translations`.
        encoder_digests: of the folders of `config.encoders`; workers compare theirs.

    Counters: `AlignWords/pairs`, `AlignWords/links`, `FitAligner/pairs`.
    """

    models: str
    rows: dict[str, int]
    config: AlignerConfig = field(default_factory=HmmConfig)
    lexicons: dict[str, pa.Table] = field(default_factory=dict)
    encoder_digests: dict[str, str] = field(default_factory=dict)

    @no_annotations
    def expand(self, pairs: AnyRows) -> TrackedRows:
        """Returns the aligned batches, and as rejects the pairs that `SegmentWords` rejects."""
        segmented = pairs | "Segment" >> SegmentWords(self.config.segmenter)
        sample, digests = self.config.fit_sample, tuple(self.encoder_digests.items())
        # As a side input the models hold the rows back until every language pair is fitted. What
        # travels is where a model lies and its digest, not the model: Beam would pickle it for each
        # worker.
        models: Any = {} if sample is None else AsDict(self._fit(segmented.kept, sample, digests))
        link = beam.ParDo(_AlignBatch(self.config, digests), models)
        return segmented | ApplyToKept("LinkWords" >> link.with_output_types(pa.RecordBatch))

    def _fit(
        self, segmented: beam.PCollection, sample: FitSample, digests: Digests
    ) -> beam.PCollection:
        """Returns the place and digest of each language pair's model."""
        # The rate follows from the manifest's row counts. Counting here would need a pass over all
        # rows before the first could be drawn.
        draw = beam.FlatMap(_sample, rows=self.rows, sample=sample)
        fit = partial(
            _fit,
            folder=self.models,
            config=self.config,
            lexicons=self.lexicons,
            runtime=_runtime(digests),
        )
        return (
            segmented
            | "DrawSample" >> draw.with_output_types(tuple[str, pa.RecordBatch])
            # A fit sees its whole sample at once, in one worker's memory; `sample_pairs` bounds it.
            | "GroupSample" >> beam.GroupByKey()
            | "FitAligner" >> beam.Map(fit)
        )


def _by_direction(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yields the rows of each language pair in each direction."""
    for _, rows in split_by_language(batch, PAIRS):
        first = rows.column("src_lang")[0]
        # Of one language pair a row has one of two directions, so its source tells which.
        forward = pc.equal(rows.column("src_lang"), first)
        for part in (rows.filter(forward), rows.filter(pc.invert(forward))):
            if part.num_rows:
                yield part


def _key(batch: pa.RecordBatch) -> str:
    # Its only one, since `_by_direction`.
    return next(split_by_language(batch, PAIRS))[0]


def _sample(
    batch: pa.RecordBatch, *, rows: dict[str, int], sample: FitSample
) -> Iterator[tuple[str, pa.RecordBatch]]:
    key = _key(batch)
    drawn = draw_sample(batch, rows=rows[key], sample=sample)
    if drawn.num_rows:
        yield key, drawn


def _runtime(digests: Digests) -> Runtime:
    return Runtime(load_encoder=partial(load_encoder, digests=digests))


def _fit(
    group: tuple[str, Iterable[pa.RecordBatch]],
    *,
    folder: str,
    config: AlignerConfig,
    lexicons: dict[str, pa.Table],
    runtime: Runtime,
) -> tuple[str, tuple[str, str]]:
    key, samples = group
    # GroupByKey yields batches in whatever order workers finished; `join_samples` sorts them by id.
    src, tgt = join_samples(samples)
    Metrics.counter("FitAligner", "pairs").inc(len(src))
    step = f"FitAligner {key}"
    note(step, f"{len(src):,} pairs")
    aligner = config.aligner_class().fit(
        src,
        tgt,
        config=config,
        runtime=replace(runtime, progress=partial(note, step)),
        lexicon=lexicons.get(key),
    )
    digest = save_aligner(aligner, f"{folder}/{key}")
    note(step, "fitted")
    return key, (f"{folder}/{key}", digest)


class _AlignBatch(beam.DoFn):
    def __init__(self, config: AlignerConfig, digests: Digests) -> None:
        self._config = config
        self._digests = digests
        self._ready: Aligner | None = None

    # Once for a DoFn instance, not for a bundle: an encoder takes seconds to load. `ready` cannot
    # run in __init__, whose result would be pickled with the pipeline.
    def setup(self) -> None:
        if self._config.fit_sample is None:
            self._ready = ready(self._config, runtime=_runtime(self._digests))

    def process(self, batch: pa.RecordBatch, models: dict[str, tuple[str, str]]) -> Iterator[Any]:
        # Not in `setup`: side inputs are there only when `process` runs, and a worker need not meet
        # every language pair.
        aligner = self._ready or load_aligner(
            *models[_key(batch)], self._config, digests=self._digests
        )
        with _ENCODER_LOCK if self._config.encoders else nullcontext():
            aligned = align_batch(batch, aligner)
        # Counters are shown while a job runs and may count a retried bundle twice; what the
        # manifest says is counted from the shards.
        Metrics.counter("AlignWords", "pairs").inc(aligned.num_rows)
        count("AlignWords", aligned.num_rows)
        Metrics.counter("AlignWords", "links").inc(len(aligned.column("links").flatten()))
        yield aligned


def save_aligner(aligner: Aligner, place: str) -> str:
    """Saves a fitted aligner to a folder or URI and returns its digest."""
    # Aligners know folders only. `path` is without the scheme: a folder named "file:" would be made
    # of file:///tmp otherwise.
    target, path = filesystem(place)
    if is_local(place):
        return aligner.save(path)
    with tempfile.TemporaryDirectory() as folder:
        digest = aligner.save(folder)
        fs.copy_files(folder, path, destination_filesystem=target)
    return digest


# Batches of many language pairs reach a worker in turn. Eight models stay; a corpus of more pairs
# loads some again rather than hold them all.
@lru_cache(maxsize=8)
def load_aligner(
    place: str, digest: str, config: AlignerConfig, *, digests: Digests = ()
) -> Aligner:
    """Loads an aligner from a folder or URI, once in a process.

    Args:
        place: where `save_aligner` put it.
        digest: what that returned; tells runs apart that used the same place.
        config: of the aligner.
        digests: of the encoders it needs.
    """
    aligner_class, runtime = config.aligner_class(), _runtime(digests)
    source, path = filesystem(place)
    if is_local(place):
        return aligner_class.load(path, config=config, runtime=runtime)
    with tempfile.TemporaryDirectory() as folder:
        fs.copy_files(path, folder, source_filesystem=source)
        return aligner_class.load(folder, config=config, runtime=runtime)
