"""The HMMs as an Aligner."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from bitextile.kernels.align.alignment import Alignment
from bitextile.kernels.align.engine import Runtime
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.align.hmm.model import HmmModel


@dataclass(frozen=True)
class HmmAligner:
    """Posterior decoding with two fitted HMMs.

    Attributes:
        model: what was fitted.
        config: the symmetrisation.
        runtime: threads and progress.
    """

    pairs_per_call: ClassVar[int | None] = 20_000

    model: HmmModel
    config: HmmConfig
    runtime: Runtime

    @classmethod
    def fit(
        cls,
        src: pa.ListArray,
        tgt: pa.ListArray,
        *,
        config: HmmConfig,
        runtime: Runtime,
        lexicon: pa.Table | None = None,
    ) -> "HmmAligner":
        """Fits the HMMs to sentence pairs; see `Aligner.fit`."""
        model = fit(
            src,
            tgt,
            config=config.model,
            lexicon=lexicon,
            progress=runtime.progress,
            n_threads=runtime.n_threads,
        )
        return cls(model, config, runtime)

    @classmethod
    def load(cls, folder: str, *, config: HmmConfig, runtime: Runtime) -> "HmmAligner":
        """Reads a saved model; see `Aligner.load`."""
        return cls(HmmModel.load(folder), config, runtime)

    def save(self, folder: str) -> str:
        """Writes the model to a local folder and returns its digest."""
        return self.model.save(folder)

    @property
    def digest(self) -> str:
        """Of the model."""
        return self.model.digest

    def align(self, src: pa.ListArray, tgt: pa.ListArray) -> Alignment:
        """Returns the word alignment of sentence pairs."""
        return align_pairs(
            self.model,
            src,
            tgt,
            symmetrize=self.config.symmetrize,
            threshold=self.config.threshold,
            # One unless told otherwise: there is a Beam worker for each core already.
            n_threads=self.runtime.n_threads or 1,
        )

    def training_alignment(self) -> None:
        """None: fitting stores no posteriors."""
        return None
