"""Options of the eflomal aligner; light to import."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self, get_args

from bitextile.kernels.align.config import (
    AlignerConfig,
    FitSample,
    Heuristic,
    check_choices,
    check_ranges,
)
from bitextile.kernels.text.segment import Choice

if TYPE_CHECKING:
    from bitextile.kernels.align.engine import Aligner


@dataclass(frozen=True, kw_only=True)
class EflomalOptions:
    """How eflomal's programs are run; the defaults are its own."""

    bin_dir: str = ""
    """Folder with eflomal-align and eflomal-makepriors; empty looks on PATH."""
    model: int = 3
    """1 is IBM model 1, 2 adds an HMM, 3 fertilities."""
    length: float = 1.0
    """Sampling iterations, relative to eflomal's own choice by the number of pairs."""
    null_prior: float = 0.2
    """Prior probability that a word is not aligned."""


@dataclass(frozen=True, kw_only=True)
class EflomalConfig(AlignerConfig):
    """Word alignment by eflomal, a program of its own that must be installed.

    Its priors are made once per language pair. It seeds itself from the system, so the same rows
    get another alignment in another run.
    """

    takes_lexicon: ClassVar[bool] = False
    reproducible: ClassVar[bool] = False

    aligner: Literal["eflomal"] = "eflomal"
    """eflomal's programs, which must be installed."""
    bin_dir: str = field(default="", metadata={"option": "eflomal_bin"})
    """Folder with eflomal-align and eflomal-makepriors, on every worker. Empty looks on PATH."""
    model: Literal[1, 2, 3] = field(default=3, metadata={"option": "eflomal_model"})
    """eflomal's model: 1 is IBM model 1, 2 adds an HMM, 3 fertilities. 3 as in eflomal."""
    length: float = 1.0
    """Sampling iterations, relative to eflomal's own choice by the number of pairs."""
    null_prior: float = 0.2
    """Prior probability that a word is not aligned. 0.2 as in eflomal."""
    symmetrize: Heuristic = "grow-diag"
    """How both directions become one alignment. eflomal gives no posteriors, so all methods but
    `posterior`; tests/benchmarks/align_text.py compares them on its sets."""
    sample_pairs: int = 2_000_000
    """Pairs per language pair that the priors are made of, at most."""
    segmenter: Choice = "auto"
    """How unspaced scripts are cut into words; see `kernels.text.segment.segmenter_for`."""
    seed: int = 0
    """Seed of the sample, not of eflomal."""

    def __post_init__(self) -> None:
        """Raises ConfigError where a field is out of its range."""
        check_ranges(
            self,
            model=self.model in (1, 2, 3),
            length=self.length > 0,
            null_prior=0 < self.null_prior < 1,
            sample_pairs=self.sample_pairs >= 1,
        )
        check_choices(self, symmetrize=get_args(Heuristic))

    @property
    def options(self) -> EflomalOptions:
        """How the programs are run."""
        return EflomalOptions(
            bin_dir=self.bin_dir,
            model=self.model,
            length=self.length,
            null_prior=self.null_prior,
        )

    @property
    def fit_sample(self) -> FitSample:
        """What the priors are made of."""
        return FitSample(self.sample_pairs, self.seed)

    def aligner_class(self) -> "type[Aligner]":
        """Returns EflomalAligner."""
        from bitextile.kernels.align.eflomal.aligner import EflomalAligner

        return EflomalAligner

    def resolve_paths(self, folder: Path) -> Self:
        """Returns the configuration with `bin_dir` taken to be relative to `folder`."""
        return replace(self, bin_dir=str(folder / self.bin_dir)) if self.bin_dir else self

    def check_installed(self) -> None:
        """Raises ConfigError if eflomal's programs are not there."""
        from bitextile.kernels.align.eflomal.programs import ALIGN, MAKE_PRIORS, find_program

        for program in (ALIGN, MAKE_PRIORS):
            find_program(program, self.options)
