"""The options of each objective: an entry of a run's mixture.

What must be known of an objective before torch is loaded stands here too: recipes ask which of
their datasets it reads. A new one is a file beside this one with its formula, its class here, and a
line in each of `AnyObjectiveSettings` below and `build.py`; nothing else goes by its name.
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from bitextile.schema.kinds import ALIGNED, EXCHANGE, MONO, PAIRS, PSEUDO, Kind
from bitextile.trainer.settings import Count, FilePath, Fraction, Positive, Settings

Pooling = Literal["mean", "cls", "projection"]
"""The vector of a sentence: the mean of its subwords', that of the first special token, or the
projection of the latter as `moco` compares it."""


class EntrySettings(Settings):
    """The settings of every entry of the mixture."""

    kinds: ClassVar[tuple[Kind, ...]]
    """Dataset kinds the objective can learn from."""

    pooling: ClassVar[Pooling | None] = None
    """How it makes the vector of a sentence, if it trains any; `evaluate` then does the same."""

    dataset: FilePath
    """Folder of a finished dataset."""
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    """Share of the micro-batches relative to the other entries; 1 makes all equal."""

    @property
    def encoder_passes(self) -> int:
        """Forward passes through the encoder, with gradient, that its loss on a batch takes."""
        return 1

    @property
    def trains_head(self) -> bool:
        """Whether it learns the head of masked language modelling."""
        return True


class MlmSettings(EntrySettings):
    """Masked language modelling of single sentences, from mono, pairs or aligned."""

    kinds: ClassVar[tuple[Kind, ...]] = (MONO, PAIRS, ALIGNED)
    objective: Literal["mlm"]


class TlmSettings(EntrySettings):
    """Masked language modelling of pairs, from pairs, aligned or exchange."""

    kinds: ClassVar[tuple[Kind, ...]] = (PAIRS, ALIGNED, EXCHANGE)
    objective: Literal["tlm"]
    random_pair_order: bool = False
    """A coin per pair and epoch decides which sentence comes first, as in PPA (our choice: off, the
    order of the dataset, which WEAM has too)."""
    reset_positions: bool = False
    """Positions start again at 0 in the second sentence, as in XLM; else they go on (PPA)."""


class CamlmSettings(EntrySettings):
    """Each sentence predicted from its translation alone, from pairs, aligned or exchange."""

    kinds: ClassVar[tuple[Kind, ...]] = TlmSettings.kinds
    objective: Literal["camlm"]
    mask_rate: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Share of positions to predict; None for the run's."""
    random_pair_order: bool = True
    """A coin per pair and epoch decides which sentence comes first, so that the model can generate
    either language behind the other (our choice: on); else the order is that of the dataset."""


class BtmlmSettings(EntrySettings):
    """Masked language modelling beside pseudo translations, from pseudo."""

    kinds: ClassVar[tuple[Kind, ...]] = (PSEUDO,)
    objective: Literal["btmlm"]


class WeamSettings(EntrySettings):
    """Prediction from exchanged vectors, from aligned or exchange."""

    kinds: ClassVar[tuple[Kind, ...]] = (ALIGNED, EXCHANGE)
    objective: Literal["weam"]
    exchange_layer: bool = False
    """An extra linear layer between the exchanged vectors and the head (our choice: off, one
    shared head)."""
    first_subword_only: bool = False
    """Exchange the first subword of each word, not the mean of all (our choice: the mean)."""
    one_to_one_only: bool = False
    """Exchange only where both words have no other link (our choice: every link)."""


class MocoSettings(EntrySettings):
    """Contrast of sentences with a momentum queue, from pairs or aligned."""

    kinds: ClassVar[tuple[Kind, ...]] = (PAIRS, ALIGNED)
    pooling: ClassVar[Pooling | None] = "projection"
    objective: Literal["moco"]
    queue: Positive = 32_000
    """Keys that serve as negatives; 32,000 (our choice)."""
    momentum: Fraction = 0.999
    """Momentum of the key encoder; 0.999 (our choice)."""
    temperature: Annotated[float, Field(gt=0.0)] = 0.05
    """Temperature of the similarities; 0.05 (our choice)."""
    projection: Positive = 128
    """Size of the compared vectors; 128 (our choice)."""
    tlm: bool = True
    """Add TLM on the same pairs, which makes it PPA's whole loss."""

    @property
    def encoder_passes(self) -> int:
        """Two with TLM: the sentence alone, and the pair."""
        # The key encoder is a copy that no rank shards.
        return 2 if self.tlm else 1

    @property
    def trains_head(self) -> bool:
        """Only TLM predicts words."""
        return self.tlm


class AlignMlmSettings(EntrySettings):
    """MLM with a pull between the embeddings of dictionary pairs, from mono, pairs or aligned."""

    kinds: ClassVar[tuple[Kind, ...]] = MlmSettings.kinds
    objective: Literal["align_mlm"]
    lexicon: FilePath
    """Folder of a lexicon dataset."""
    alpha: Annotated[float, Field(ge=0.0)] = 10.0
    """Weight of the pull; 10 in the paper."""
    sample: Count = 0
    """Dictionary pairs per micro-batch; 0 takes all, as the paper does."""
    lexicon_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Fraction of the dictionary to use; 0.25, 0.5 and 1 in the paper."""


class DictMlmSettings(EntrySettings):
    """MLM in which dictionary words stand for their translations, from mono, pairs or aligned."""

    kinds: ClassVar[tuple[Kind, ...]] = MlmSettings.kinds
    objective: Literal["dict_mlm"]
    lexicon: FilePath
    """Folder of a lexicon dataset."""
    variant: Literal["predict_synonym", "from_synonym"] = "predict_synonym"
    """What is replaced: predict_synonym (the label is the translation) or from_synonym (the input
    is)."""
    rate: Fraction = 0.5
    """Probability that a selected dictionary word is translated; 0.5 in the paper."""
    swap_language: bool = False
    """A translated position gets the language embedding of the translation, as in the released code
    (our choice: off, that of its sentence)."""
    random_rows: Positive | None = None
    """Random tokens come from so many first rows of the vocabulary; in the released code from its
    first half, where the second holds the derived language. None for all of it."""
    lexicon_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Fraction of the dictionary to use."""


# A union by name, not a registry that modules fill: which objectives there are must not depend on
# what has been imported, and pydantic lists them in its messages.
AnyObjectiveSettings = (
    MlmSettings
    | TlmSettings
    | WeamSettings
    | CamlmSettings
    | BtmlmSettings
    | MocoSettings
    | AlignMlmSettings
    | DictMlmSettings
)
"""One entry of the mixture: what is learned from which dataset, and how often."""

DATASET_FIELDS = frozenset({"dataset", "lexicon"})
"""Fields of an entry that name a dataset: a resumed run compares the digests of what they name."""


def objective_name(settings: type[EntrySettings]) -> str:
    """Returns the name of an objective, as the key `objective` gives it.

    >>> objective_name(WeamSettings)
    'weam'
    """
    return str(get_args(settings.model_fields["objective"].annotation)[0])


OBJECTIVE_SETTINGS: dict[str, type[EntrySettings]] = {
    objective_name(settings): settings for settings in get_args(AnyObjectiveSettings)
}
"""The same as classes, by the name of the objective."""
