"""Models over batches through Beam's RunInference: pseudo translations, switching candidates.

Importable in pipelines of one's own: `rows | RunModel(engine)`, for any engine of
`kernels.backtranslate.Engine`. It knows no torch; the engine imports what it needs when loaded.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.backtranslate import Engine, InferenceFn, draw_targets
from bitextile.kernels.filters.translation import TranslationFilterConfig, filter_translations
from bitextile.kernels.model_digest import model_digest
from bitextile.kernels.progress import count
from bitextile.kernels.rejects import Filtered
from bitextile.schema.errors import ConfigError
from bitextile.transforms.batches import (
    REJECTS_TAG,
    AnyRows,
    FilterBatches,
    MapBatches,
    TrackedRows,
    track,
    type_outputs,
)

M = TypeVar("M")
R = TypeVar("R")

_MODEL_LOCK = threading.Lock()
"""Some runners call a worker's one model from several threads; models use all cores themselves."""
SHUFFLE_ROWS = 1_024
"""Rows that are sent to a worker at once: some seconds of a mini model on a core."""


class BatchHandler(ModelHandler[pa.RecordBatch, R, M]):
    """What handlers of models over batches share.

    Batches are the rows' own, never regrouped by Beam: their size decides the last bits of sums,
    and they are the same on any runner.
    """

    def __init__(self, folder: str, digest: str) -> None:
        """Keeps which model it is.

        Args:
            folder: of the model, which every worker must have.
            digest: of its files where the pipeline was built; a worker checks its own.
        """
        # RunInference batches elements by timing. An element is a record batch already; batches of
        # one keep what is computed together independent of the runner.
        super().__init__(min_batch_size=1, max_batch_size=1)
        self.folder = folder
        self.digest = digest

    # Compared where the model is loaded: a folder of the same name on another machine may hold
    # another checkpoint, whose rows would then carry this digest.
    def check(self) -> None:
        """Raises ConfigError if this worker's files are others."""
        if (found := model_digest(self.folder)) != self.digest:
            raise ConfigError(
                f"model {self.folder}: is {found} on this worker, expected "
                f"{self.digest}; put the same files there"
            )

    # RunInference counts bytes for its metrics; by default by pickling the whole batch.
    def get_num_bytes(self, batch: Sequence[pa.RecordBatch]) -> int:
        """Returns the size of batches, without pickling them."""
        return sum(rows.nbytes for rows in batch)


class EngineHandler(BatchHandler[Filtered, InferenceFn]):
    """Loads an engine once in each worker process and runs batches through it."""

    def __init__(self, engine: Engine, namespace: str) -> None:
        """Keeps what to load.

        Args:
            engine: picklable.
            namespace: of the counters `in`, `kept` and `rejected`, in rows.
        """
        super().__init__(engine.folder, engine.digest)
        self.engine = engine
        self.namespace = namespace

    def load_model(self) -> InferenceFn:
        """Returns the model; raises ConfigError if this worker's files are others."""
        self.check()
        return self.engine.load()

    def run_inference(
        self,
        batch: Sequence[pa.RecordBatch],
        model: InferenceFn,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Filtered]:
        """Yields what the model makes of each batch."""
        for rows in batch:
            with _MODEL_LOCK:
                made = model(rows)
            count(self.namespace, rows.num_rows)
            counts = {"in": rows, "kept": made.kept, "rejected": made.rejects}
            for name, part in counts.items():
                Metrics.counter(self.namespace, name).inc(part.num_rows)
            yield made


@dataclass(eq=False)
class RunModel(beam.PTransform):
    """Runs rows through a model that is loaded once in each worker process.

    Attributes:
        engine: which model, and how it runs.

    Counters: `RunModel/in`, `RunModel/kept`, `RunModel/rejected`, and those of RunInference.
    """

    engine: Engine

    @no_annotations
    def expand(self, rows: AnyRows) -> TrackedRows:
        """Returns the batches the model made, and the rejects."""
        run = RunInference(EngineHandler(self.engine, "RunModel"))
        part = beam.FlatMap(_with_rejects).with_output_types(pa.RecordBatch)
        rows = track(rows)
        out = (
            rows.kept
            # A read batch holds 8,192 rows, so a small dataset would be a few elements, and few
            # workers would get any.
            | "CutBatches" >> beam.FlatMap(_cut).with_output_types(pa.RecordBatch)
            # Without it Beam fuses reading with inference, and one worker would run a whole row
            # group.
            | "ShuffleBatches" >> beam.Reshuffle()
            # `Filtered` is a tuple of batches, which no coder but pickle takes; it is split again
            # at once, in the same stage, so it is not encoded.
            | "RunInference" >> run.with_output_types(Any)
            | "SplitRejects" >> part.with_outputs(REJECTS_TAG, main="kept")
        )
        type_outputs(out, {REJECTS_TAG: pa.RecordBatch})
        # Not `FilterBatches`, whose DoFn calls a kernel itself: here RunInference calls it.
        return rows._replace(kept=out.kept, rejects=(*rows.rejects, out[REJECTS_TAG]))


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    return (batch.slice(at, SHUFFLE_ROWS) for at in range(0, batch.num_rows, SHUFFLE_ROWS))


def _with_rejects(made: Filtered) -> Iterator[Any]:
    if made.kept.num_rows:
        yield made.kept
    if made.rejects.num_rows:
        yield beam.pvalue.TaggedOutput(REJECTS_TAG, made.rejects)


@dataclass(eq=False)
class Backtranslate(beam.PTransform):
    """Writes pseudo translations of sentences: rows of MONO to rows of PSEUDO.

    Attributes:
        engine: the generator.
        weights: of the target languages; one is sampled for each sentence, keyed by its id.
        translation_filter: limits of what is kept.
        seed: of the draw of languages.

    Counters: those of `RunModel`; `FilterTranslations/in`, `/kept`, `/rejected/RULE`.
    """

    engine: Engine
    weights: Mapping[str, float]
    translation_filter: TranslationFilterConfig
    seed: int = 0

    @no_annotations
    def expand(self, sentences: AnyRows) -> TrackedRows:
        """Returns the pseudo rows and the rejects of model and filter."""
        # By id, so a bundle that is retried draws the same languages.
        draw = partial(draw_targets, weights=self.weights, seed=self.seed)
        keep = partial(filter_translations, config=self.translation_filter)
        return (
            sentences
            | MapBatches(draw, "DrawLanguages")
            | "Generate" >> RunModel(self.engine)
            | FilterBatches(keep, "FilterTranslations")
        )


@dataclass(eq=False)
class FindCandidates(beam.PTransform):
    """Finds words that a model would put in a word's place: rows of MONO to CANDIDATES.

    Attributes:
        engine: the model, and which candidates it keeps.

    Counters: those of `RunModel`.
    """

    engine: Engine

    @no_annotations
    def expand(self, sentences: AnyRows) -> TrackedRows:
        """Returns rows of CANDIDATES, and the rejects of the model."""
        return sentences | "Score" >> RunModel(self.engine)
