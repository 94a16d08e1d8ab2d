"""What can be set about the statistical aligner, and why it is set as it is."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from bitextile.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AlignerConfig:
    """How an aligner is fitted; part of the model and of its hash.

    The defaults were chosen on several data sets at once, never on one alone; what they give is
    remade by tests/benchmarks/align_text.py. The effects quoted below are of experiments made
    while building, which no script remakes.
    """

    ibm1_iterations: int = 2
    """Rounds of IBM model 1 before the HMM. Two: with more, two models that agree commit too early
    and the AER of Hansards, CzEnAli and KFTT rises by 3 to 12 % (Liang et al. 2006 used five)."""
    hmm_iterations: int = 2
    """Rounds of the HMM. Two: with classes of words a third costs time and gains nothing (mean AER
    of 13 sets 1 % higher; Hansards 3 % lower, the embedded sample's en-de 8 % higher); Liang et al.
    used five without classes."""
    null_start: float = 0.2
    """Weight of the null word in model 1, against a weight of 1 per real word; flat 0.05 to 1."""
    p_null: float = 0.2
    """Probability that a word has no counterpart, before its own null probability is learned.
    Och and Ney (2003) use 0.2; 0.1 to 0.4 change the AER by at most 2 %."""
    null_smoothing: float = 0.01
    """Share of the word's own frequency in its learned null probability, so that none is zero."""
    min_association: float = 0.5
    """Word pairs seen together less often than this times what chance expects are no candidates.
    0.5 finds the same links as 0.2 with less memory; 1 raises the AER by 0.1 points and would
    leave nothing of a corpus that repeats one sentence."""
    often: int = 20
    """Word pairs seen together only once are no candidates where both words occur more often than
    this: chance is the likelier reason. 20 costs 0.4 % of AER for the memory, 5 would cost 2 %."""
    min_translation: float = 1e-5
    """After model 1, word pairs with a smaller probability in both directions are dropped.
    1e-5 keeps one pair in five; 1e-4 raises the mean AER by 1 %, 1e-3 by 5 %."""
    class_letters: int = 4
    """Words are backed by those that share their first letters, this many. 4 is best on the seven
    sets; 3 and 5 are 1 to 2 % worse."""
    class_ideographs: int = 1
    """The same for words that begin with a Chinese character or kana. 1 is 3 % better than 4."""
    class_syllables: int = 2
    """The same for scripts with a character per syllable (Hangul, Ethiopic, Cherokee, Canadian
    Aboriginal, Yi, Vai), each worth about two letters; Korean stems before their particles mostly
    have two. Our choice, not measured: no gold in such a script was at hand."""
    class_isolating: int = 8
    """The same for Thai, Lao, Khmer and Burmese letters, whose languages have no endings to cut off
    but many words that begin with the same syllable (Thai khwam-, kan-); so nearly the whole word.
    Our choice, not measured."""
    class_weight: float = 10.0
    """Links that the class estimate counts as much as; flat from 5 to 40. 0 turns classes off and
    raises the AER by 5 % (KFTT) to 25 % (Hansards with 447 pairs)."""
    same_word_weight: float = 1.0
    """Links assumed between a word and itself on the other side (names, numbers, punctuation),
    where the two are seen together. 1 takes 2 to 10 % off the AER of small corpora."""
    same_beginning_weight: float = 0.1
    """Links assumed between words of which only the class characters are the same (minister,
    ministre). 0.05 to 0.3 alike; takes another 1 to 6 % off the AER where languages are related."""
    floor: float = 1e-7
    """Emission probability of a pair outside the table, so that any sentence can be aligned."""
    jump_window: int = 10
    """Jumps (words between two linked words) up to this length have each their own weight, longer
    ones share one per side. 5 is too small for ja-en (+4 AER), 20 no better."""
    jump_smoothing: float = 30.0
    """Added to the expected count of each jump. 30 steadies corpora of hundreds of pairs (1 % less
    AER on KFTT's 582 pairs) and is nothing to large ones."""
    jump_reach: float = 8.0
    """How many positions a shared long jump is taken to stand for."""
    state_cut: float = 1e-3
    """Forward-backward does not extend states below this share of the strongest's mass. 1e-3
    doubles the speed and changes no AER by more than 0.05 points; 0 is exact."""
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
            "often": self.often >= 0,
            "min_translation": 0 <= self.min_translation < 1,
            "class_letters": self.class_letters >= 1,
            "class_ideographs": self.class_ideographs >= 1,
            "class_syllables": self.class_syllables >= 1,
            "class_isolating": self.class_isolating >= 1,
            "class_weight": self.class_weight >= 0,
            "same_word_weight": self.same_word_weight >= 0,
            "same_beginning_weight": self.same_beginning_weight >= 0,
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
