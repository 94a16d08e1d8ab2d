"""What can be set about the statistical aligner, and why it is set as it is."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from bitextile.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AlignerConfig:
    """How an aligner is fitted; part of the model and of its hash.

    The defaults were chosen on seven data sets at once (tests/benchmarks/align_text.py), never on
    one alone.
    """

    ibm1_iterations: int = 2
    """Rounds of IBM model 1 before the HMM. Two: with more, two models that agree commit too early
    and the AER of Hansards, CzEnAli and KFTT rises by 3 to 12 % (Liang et al. 2006 used five)."""
    hmm_iterations: int = 5
    """Rounds of the HMM. Five, as Liang, Taskar and Klein (2006); the AER is flat from 3 to 8."""
    null_start: float = 0.2
    """Weight of the null word in model 1, against a weight of 1 per real word; flat 0.05 to 1."""
    p_null: float = 0.2
    """Probability that a word has no counterpart, before its own null probability is learned.
    Och and Ney (2003) use 0.2; 0.1 to 0.4 change the AER by at most 2 %."""
    null_smoothing: float = 0.01
    """Share of the word's own frequency in its learned null probability, so that none is zero."""
    min_association: float = 0.25
    """Word pairs seen together less often than this times what chance expects are no candidates.
    0.25 leaves out one pair in five; 1 leaves out a third, but raises the AER by 0.1 points, and
    would leave nothing of a corpus that repeats one sentence."""
    min_translation: float = 1e-5
    """After model 1, word pairs with a smaller probability in both directions are dropped.
    1e-5 keeps one pair in five and costs nothing measurable against 1e-7."""
    floor: float = 1e-7
    """Emission probability of a pair outside the table, so that any sentence can be aligned."""
    jump_window: int = 10
    """Jumps (words between two linked words) up to this length have each their own weight, longer
    ones share one per side. 5 is too small for ja-en (+4 AER), 20 no better."""
    jump_smoothing: float = 1.0
    """Added to the expected count of each jump."""
    jump_reach: float = 8.0
    """How many positions a shared long jump is taken to stand for."""
    state_cut: float = 1e-4
    """Forward-backward does not extend states below this share of the strongest's mass. 1e-4
    doubles the speed and changes no AER by more than 0.02 points; 0 is exact."""
    max_words: int = 1000
    """Sentences longer than this are aligned in overlapping windows of this length, in words."""

    def __post_init__(self) -> None:
        """Raises ConfigError when a value cannot be worked with."""
        rules = {
            "ibm1_iterations": self.ibm1_iterations >= 1,
            "hmm_iterations": self.hmm_iterations >= 1,
            "null_start": self.null_start > 0,
            "p_null": 0 < self.p_null < 1,
            "null_smoothing": self.null_smoothing > 0,
            "min_association": self.min_association >= 0,
            "min_translation": 0 <= self.min_translation < 1,
            "floor": 1e-12 <= self.floor < 1e-2,
            "jump_window": 1 <= self.jump_window <= 1000,
            "jump_smoothing": self.jump_smoothing > 0,
            "jump_reach": self.jump_reach >= 1,
            "state_cut": 0 <= self.state_cut < 0.1,
            "max_words": 16 <= self.max_words <= 4000,
        }
        for name, holds in rules.items():
            if not holds:
                raise ConfigError(
                    f"aligner: {name} is {getattr(self, name)}, out of its range; "
                    f"the default is {type(self).__dataclass_fields__[name].default}"
                )

    def to_json(self) -> dict[str, Any]:
        """Returns the fields, in their order, as a manifest takes them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "AlignerConfig":
        """Returns the configuration that `to_json` wrote.

        Raises:
            ConfigError: a field is unknown to this version.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"aligner: unknown field {unknown[0]!r}; written by a newer version?")
        return cls(**values)
