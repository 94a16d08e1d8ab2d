"""What the configurations of all aligners have in common; light to import."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from bitextile.schema.errors import ConfigError

# For annotations only: `--help` builds every configuration, and must not wait for numba.
if TYPE_CHECKING:
    from bitextile.kernels.align.engine import Aligner
    from bitextile.kernels.bitext.dictionary.source import DictionarySource
    from bitextile.kernels.text.segment import Choice

Heuristic = Literal["intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and"]
"""Symmetrisations over the best link of each word in each direction."""
Symmetrization = Literal[
    "intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and", "posterior"
]
"""The heuristics, and a threshold on posteriors."""


class FitSample(NamedTuple):
    """How many pairs of a language pair an aligner is fitted on, and the seed they are drawn by."""

    pairs: int
    seed: int


class AlignerConfig(ABC):
    """Base of the configurations, a frozen dataclass each: what pipelines ask of any aligner.

    What is asked here decides how a pipeline is built, so that no pipeline has to know which
    aligners there are.
    """

    takes_lexicon: ClassVar[bool] = False
    """Whether fitting makes use of known translations."""
    reproducible: ClassVar[bool] = True
    """Whether two runs give the same bytes."""

    @property
    @abstractmethod
    def aligner(self) -> str:
        """Name of the aligner in recipes and commands."""

    @property
    @abstractmethod
    def segmenter(self) -> "Choice":
        """How unspaced scripts are cut into words."""

    @abstractmethod
    def aligner_class(self) -> "type[Aligner]":
        """Returns the aligner this configures; what it is made of is imported here, not before."""

    @property
    def fit_sample(self) -> FitSample | None:
        """What is fitted on; None for an aligner that is not fitted."""
        return None

    @property
    def encoders(self) -> tuple[str, ...]:
        """Folders of the encoders that fitting or aligning loads, on every worker."""
        return ()

    def lexicon_sources(self) -> "dict[str, DictionarySource]":
        """Returns the known translations of each language pair."""
        return {}

    def with_encoder_defaults(self) -> Self:
        """Returns the configuration with defaults that follow from its encoders set in."""
        return self

    def resolve_paths(self, folder: Path) -> Self:
        """Returns the configuration with its paths taken to be relative to `folder`."""
        return self

    def check_installed(self) -> None:  # noqa: B027 - most need nothing
        """Raises ConfigError if a program or library that the aligner needs is not installed."""


def check_ranges(config: AlignerConfig, **holds: bool) -> None:
    """Raises ConfigError for the first field whose condition does not hold."""
    for name, in_range in holds.items():
        if not in_range:
            raise ConfigError(
                f"align: {name} is {getattr(config, name)!r}, out of its range; "
                f"see {type(config).__name__}"
            )


def check_choices(config: AlignerConfig, **choices: tuple[str, ...]) -> None:
    """Raises ConfigError for the first field that is none of its choices.

    Command options and recipes are checked already; this is for callers in Python.
    """
    for name, known in choices.items():
        if (got := getattr(config, name)) not in known:
            raise ConfigError(f"align: {name} is {got!r}, expected one of {', '.join(known)}")
