"""Word alignment in a pipeline: one fit per language key, its model applied to every batch."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsDict
from pyarrow import fs

from bitextile.kernels.align import engine as wordlinks
from bitextile.kernels.align.engine import (
    AlignConfig,
    FittedConfig,
    HmmConfig,
    Model,
    draw_sample,
    fit_sample,
    fitted,
    link_words,
    segment_pairs,
)
from bitextile.kernels.sharding import split_by_language
from bitextile.schema.kinds import PAIRS
from bitextile.schema.storage import filesystem, is_local


@dataclass(eq=False)
class SegmentWords(beam.PTransform):
    """Turns rows of kind PAIRS into batches of one language pair each, with word spans.

    Attributes:
        config: names the segmenter.
    """

    config: AlignConfig

    def expand(self, pairs: beam.PCollection) -> beam.PCollection:
        """Returns batches as `kernels.align.engine.segment_pairs` makes them."""
        cut = beam.Map(partial(segment_pairs, config=self.config))
        return (
            pairs
            | "PartKeys" >> beam.FlatMap(_parts).with_output_types(pa.RecordBatch)
            | "SegmentWords" >> cut.with_output_types(pa.RecordBatch)
        )


@dataclass(eq=False)
class AlignWords(beam.PTransform):
    """Turns rows of kind PAIRS into rows of kind ALIGNED.

    For each language key an aligner is fitted on a sample that depends on ids only, saved under
    `models`, loaded once in each worker process, and applied to all rows of that key.

    Attributes:
        models: folder or URI that all workers reach; KEY/ is written into it.
        rows: of each language key, as the manifest gives them; the sample's rate follows.
        config: of aligner and sample.
        lexicons: known translations of language keys, of `kernels.align.engine.lexicon_of`.

    Counters: `AlignWords/pairs`, `AlignWords/links`, `FitAligner/pairs`.
    """

    models: str
    rows: dict[str, int]
    config: FittedConfig = field(default_factory=HmmConfig)
    lexicons: dict[str, pa.Table] = field(default_factory=dict)

    def expand(self, pairs: beam.PCollection) -> beam.PCollection:
        """Returns the aligned batches."""
        segmented = pairs | "Segment" >> SegmentWords(self.config)
        draw = beam.FlatMap(_sample, rows=self.rows, config=self.config)
        models = (
            segmented
            | "DrawSample" >> draw.with_output_types(tuple[str, pa.RecordBatch])
            | "GroupSample" >> beam.GroupByKey()
            | "FitAligner"
            >> beam.Map(_fit, folder=self.models, config=self.config, lexicons=self.lexicons)
        )
        link = beam.ParDo(_Apply(self.config), AsDict(models)).with_output_types(pa.RecordBatch)
        return segmented | "LinkWords" >> link


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yields parts of one language pair in one direction each."""
    for _, rows in split_by_language(batch, PAIRS):
        first = rows.column("src_lang")[0]
        forward = pa.compute.equal(rows.column("src_lang"), first)
        for part in (rows.filter(forward), rows.filter(pa.compute.invert(forward))):
            if part.num_rows:
                yield part


def _key(batch: pa.RecordBatch) -> str:
    return next(split_by_language(batch, PAIRS))[0]


def _sample(
    batch: pa.RecordBatch, *, rows: dict[str, int], config: FittedConfig
) -> Iterator[tuple[str, pa.RecordBatch]]:
    key = _key(batch)
    drawn = draw_sample(batch, rows=rows[key], config=config)
    if drawn.num_rows:
        yield key, drawn


def _fit(
    group: tuple[str, Iterable[pa.RecordBatch]],
    *,
    folder: str,
    config: FittedConfig,
    lexicons: dict[str, pa.Table],
) -> tuple[str, tuple[str, str]]:
    key, samples = group
    batches = list(samples)
    Metrics.counter("FitAligner", "pairs").inc(sum(batch.num_rows for batch in batches))
    place = f"{folder}/{key}"
    model = fit_sample(batches, config=config, lexicon=lexicons.get(key))
    save_model(model, place)
    return key, (place, model.digest)


class _Apply(beam.DoFn):
    def __init__(self, config: FittedConfig) -> None:
        self.config = config

    def process(self, batch: pa.RecordBatch, models: dict[str, tuple[str, str]]) -> Iterator[Any]:
        model = load_model(*models[_key(batch)], self.config)
        aligned = link_words(batch, fitted(model, self.config))
        Metrics.counter("AlignWords", "pairs").inc(aligned.num_rows)
        Metrics.counter("AlignWords", "links").inc(len(aligned.column("links").flatten()))
        yield aligned


def save_model(model: Model, place: str) -> None:
    """Saves a model to a folder or URI."""
    if is_local(place):
        model.save(place)
        return
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        target, path = filesystem(place)
        fs.copy_files(folder, path, destination_filesystem=target)


@lru_cache(maxsize=8)
def load_model(place: str, digest: str, config: FittedConfig) -> Model:
    """Loads a model from a folder or URI, once in a process; `digest` tells runs apart."""
    if is_local(place):
        return wordlinks.load_model(place, config)
    source, path = filesystem(place)
    with tempfile.TemporaryDirectory() as folder:
        fs.copy_files(path, folder, source_filesystem=source)
        return wordlinks.load_model(folder, config)
