"""Options of the HMM aligner, and why their defaults are what they are; light to import."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from bitextile.kernels.align.config import (
    AlignerConfig,
    FitSample,
    Symmetrization,
    check_choices,
    check_ranges,
)
from bitextile.kernels.text.segment import Choice
from bitextile.schema.errors import ConfigError

if TYPE_CHECKING:
    from bitextile.kernels.align.engine import Aligner
    from bitextile.kernels.bitext.dictionary.source import DictionarySource


@dataclass(frozen=True, kw_only=True)
class HmmModelConfig:
    """How the two HMMs are fitted; part of the model and of its hash.

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
    """Weight of the null word in IBM model 1, against a weight of 1 per real word. Flat from 0.05
    to 1."""
    p_null: float = 0.2
    """Probability that a word is not aligned, before its own null probability is learned.
    Och and Ney (2003) use 0.2; 0.1 to 0.4 change the AER by at most 2 %."""
    null_smoothing: float = 0.01
    """Share of the word's own frequency in its learned null probability, so that none is zero."""
    min_association: float = 0.5
    """Word pairs seen together less often than this times what chance expects get no parameter.
    0.5 finds the same links as 0.2 with less memory; 1 raises the AER by 0.1 points and would
    leave nothing of a corpus that repeats one sentence."""
    max_singleton_frequency: int = 20
    """Word pairs seen together only once get no parameter where both words occur more often than
    this. Chance is the likelier reason then; 20 costs 0.4 % of AER for the memory, 5 would cost
    2 %."""
    min_translation: float = 1e-5
    """After IBM model 1, word pairs with a smaller probability in both directions are dropped.
    1e-5 keeps one pair in five; 1e-4 raises the mean AER by 1 %, 1e-3 by 5 %."""
    class_letters: int = 4
    """Rare words are backed off to those that share their first letters, this many. 4 is best over
    these sets; 3 and 5 are 1 to 2 % worse."""
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
    """How many links the class estimate counts as much as. Flat from 5 to 40. 0 turns classes off
    and raises the AER by 5 % (KFTT) to 25 % (Hansards with 447 pairs)."""
    same_word_weight: float = 1.0
    """Links assumed between a word and itself on the other side (names, numbers, punctuation),
    where both occur together. 1 takes 2 to 10 % off the AER of small corpora."""
    same_prefix_weight: float = 0.1
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
    """How many positions a shared long jump is assumed to cover."""
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
            "max_singleton_frequency": self.max_singleton_frequency >= 0,
            "min_translation": 0 <= self.min_translation < 1,
            "class_letters": self.class_letters >= 1,
            "class_ideographs": self.class_ideographs >= 1,
            "class_syllables": self.class_syllables >= 1,
            "class_isolating": self.class_isolating >= 1,
            "class_weight": self.class_weight >= 0,
            "same_word_weight": self.same_word_weight >= 0,
            "same_prefix_weight": self.same_prefix_weight >= 0,
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
    def from_json(cls, values: dict[str, Any]) -> "HmmModelConfig":
        """Returns the configuration that `to_json` wrote.

        Raises:
            ConfigError: a field is unknown to this version.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"aligner: unknown field {unknown[0]!r}; written by a newer version?")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class HmmConfig(AlignerConfig):
    """Word alignment by two hidden Markov models, fitted once per language pair."""

    takes_lexicon: ClassVar[bool] = True

    aligner: Literal["hmm"] = "hmm"
    """Two HMMs, fitted on the corpus itself."""
    model: HmmModelConfig = field(default_factory=HmmModelConfig, metadata={"option": False})
    """How the HMMs are fitted."""
    symmetrize: Symmetrization = "posterior"
    """How both directions become one alignment. `posterior` takes every link whose mean posterior
    exceeds the threshold, the others are heuristics over the best link of each word."""
    threshold: float | None = None
    """Least mean posterior of a link. By default 0.5 for `posterior` and 0 for the heuristics."""
    sample_pairs: int = 2_000_000
    """Pairs per language pair to fit on, at most. 2 M pairs of 24 words a side took 2.3 GB in all
    (tests/benchmarks/align_memory.py)."""
    lexicons: tuple[str, ...] = ()
    """Known translations, as SRC,TGT=PATH. Any format that `kernels.bitext.dictionary` reads; an
    entry counts as one link seen before."""
    segmenter: Choice = "auto"
    """How unspaced scripts are cut into words; see `kernels.text.segment.segmenter_for`."""
    seed: int = 0
    """Seed of the sample."""

    def __post_init__(self) -> None:
        """Raises ConfigError where a field is out of its range or a lexicon is not as described."""
        check_ranges(
            self,
            threshold=self.threshold is None or 0 <= self.threshold < 1,
            sample_pairs=self.sample_pairs >= 1,
        )
        check_choices(self, symmetrize=get_args(Symmetrization))
        self.lexicon_sources()

    @property
    def fit_sample(self) -> FitSample:
        """What the HMMs are fitted on."""
        return FitSample(self.sample_pairs, self.seed)

    def aligner_class(self) -> "type[Aligner]":
        """Returns HmmAligner."""
        from bitextile.kernels.align.hmm.aligner import HmmAligner

        return HmmAligner

    def lexicon_sources(self) -> "dict[str, DictionarySource]":
        """Returns the known translations of each language pair.

        Raises:
            ConfigError: an entry is not SRC,TGT=PATH, or a language pair has two.

        >>> HmmConfig(lexicons=("en,de=en-de.txt",)).lexicon_sources()["de-en"].src_lang
        'en'
        """
        if not self.lexicons:
            return {}
        # Its imports take 50 ms.
        from bitextile.kernels.align.known_translations import parse_sources

        return parse_sources(self.lexicons)

    def resolve_paths(self, folder: Path) -> Self:
        """Returns the configuration with the lexicons' paths taken to be relative to `folder`."""
        entries = (entry.partition("=") for entry in self.lexicons)
        lexicons = tuple(f"{tags}={folder / path}" for tags, _, path in entries)
        return replace(self, lexicons=lexicons)
