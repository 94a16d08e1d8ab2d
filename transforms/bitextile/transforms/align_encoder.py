"""Word alignment in a pipeline by an encoder, through Beam's RunInference.

Kept apart from inference.py, since importing RunInference loads torch wherever that is installed
(Beam 2.77, model_manager.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import RunInference

from bitextile.kernels.align.engine import SimalignConfig, link_words
from bitextile.transforms.align import SegmentWords
from bitextile.transforms.encoder_model import EncoderAligner
from bitextile.transforms.generation import BatchHandler


class EncoderHandler(BatchHandler[pa.RecordBatch, EncoderAligner]):
    """Loads an encoder once in each worker process and links batches with it."""

    def __init__(self, config: SimalignConfig, digest: str) -> None:
        """Notes what to load.

        Args:
            config: names the encoder, whose folder every worker must have, and the matching.
            digest: of the encoder's files where the pipeline was built; a worker checks its own.
        """
        super().__init__(config.encoder, digest)
        self.config = config

    def load_model(self) -> EncoderAligner:
        """Returns the aligner; raises ConfigError if this worker's files are others."""
        self.check()
        return EncoderAligner(self.config.encoder, layer=self.config.layer)

    def run_inference(
        self,
        batch: Sequence[pa.RecordBatch],
        model: EncoderAligner,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[pa.RecordBatch]:
        """Yields segmented batches as kind ALIGNED."""
        matcher = self.config.matcher
        for rows in batch:
            aligned = link_words(rows, lambda a, b: model.align(a, b, matcher=matcher))
            Metrics.counter("AlignWords", "pairs").inc(aligned.num_rows)
            Metrics.counter("AlignWords", "links").inc(len(aligned.column("links").flatten()))
            yield aligned


@dataclass(eq=False)
class AlignWordsByEncoder(beam.PTransform):
    """Turns rows of kind PAIRS into rows of kind ALIGNED by an encoder's vectors.

    Attributes:
        config: encoder and matching.
        digest: of the encoder's files, from `modelfiles.encoder_digest`; workers compare theirs.

    Counters: `AlignWords/pairs`, `AlignWords/links`, and those of Beam's RunInference.
    """

    config: SimalignConfig
    digest: str

    def expand(self, pairs: beam.PCollection) -> beam.PCollection:
        """Returns the aligned batches."""
        run = RunInference(EncoderHandler(self.config, self.digest))
        return (
            pairs
            | "Segment" >> SegmentWords(self.config)
            | "RunEncoder" >> run.with_output_types(pa.RecordBatch)
        )
