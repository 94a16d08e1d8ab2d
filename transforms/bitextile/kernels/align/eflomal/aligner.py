"""eflomal as an Aligner: train once, apply everywhere.

A sample is aligned, its links are counted into priors, and batches are aligned with these.
"""

from typing import ClassVar

import pyarrow as pa

from bitextile.kernels.align.alignment import Alignment
from bitextile.kernels.align.eflomal.config import EflomalConfig
from bitextile.kernels.align.eflomal.links import (
    EflomalOutput,
    make_model,
    run_eflomal,
    symmetrize_output,
)
from bitextile.kernels.align.eflomal.model import EflomalModel
from bitextile.kernels.align.engine import Runtime
from bitextile.schema.errors import BitextileError


class EflomalAligner:
    """Alignment with saved priors, or the links that eflomal drew in training itself.

    The priors are made when they are first needed: `align-text` without a model to save never
    needs any.
    """

    pairs_per_call: ClassVar[int | None] = None

    def __init__(
        self,
        config: EflomalConfig,
        runtime: Runtime,
        *,
        model: EflomalModel | None = None,
        training: EflomalOutput | None = None,
    ) -> None:
        """Takes the priors, or the run they can be made of."""
        self._config = config
        self._runtime = runtime
        self._model = model
        self._training = training

    @classmethod
    def fit(
        cls,
        src: pa.ListArray,
        tgt: pa.ListArray,
        *,
        config: EflomalConfig,
        runtime: Runtime,
        lexicon: pa.Table | None = None,
    ) -> "EflomalAligner":
        """Runs eflomal on sentence pairs; see `Aligner.fit`."""
        # The lexicon is not used; `takes_lexicon` keeps callers from giving one.
        aligner = cls(config, runtime)
        aligner._training = aligner._run(src, tgt)
        return aligner

    @classmethod
    def load(cls, folder: str, *, config: EflomalConfig, runtime: Runtime) -> "EflomalAligner":
        """Reads saved priors; see `Aligner.load`."""
        return cls(config, runtime, model=EflomalModel.load(folder))

    def save(self, folder: str) -> str:
        """Writes the priors to a local folder and returns their digest."""
        return self._priors().save(folder)

    @property
    def digest(self) -> str:
        """Of the priors; empty before they are made."""
        return self._model.digest if self._model else ""

    def align(self, src: pa.ListArray, tgt: pa.ListArray) -> Alignment:
        """Returns the word alignment of sentence pairs, drawn anew with the priors."""
        output = self._run(src, tgt, self._priors())
        return symmetrize_output(output, symmetrize=self._config.symmetrize)

    def training_alignment(self) -> Alignment | None:
        """Returns the links of training; None after `load`."""
        if self._training is None:
            return None
        return symmetrize_output(self._training, symmetrize=self._config.symmetrize)

    def _priors(self) -> EflomalModel:
        if self._model is None:
            if self._training is None:
                raise BitextileError("eflomal was neither fitted nor loaded")
            self._model = make_model(self._training, options=self._config.options)
        return self._model

    def _run(
        self, src: pa.ListArray, tgt: pa.ListArray, model: EflomalModel | None = None
    ) -> EflomalOutput:
        self._runtime.progress(f"eflomal: {len(src):,} pairs; it shows no progress of its own")
        output = run_eflomal(
            src,
            tgt,
            options=self._config.options,
            model=model,
            n_threads=self._runtime.n_threads,
        )
        if n_cut := output.statistics["pairs_in_windows"]:
            self._runtime.progress(
                f"eflomal: {n_cut:,} pairs too long for it were cut into windows"
            )
        return output
