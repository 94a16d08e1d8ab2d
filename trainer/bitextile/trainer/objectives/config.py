"""The options of each objective: an entry of a run's mixture. Read before torch is loaded.

A new objective is a file beside this one with its formula, its class here, and a line in each of
`AnyObjectiveSettings` below and `build.py`.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from bitextile.trainer.settings import Count, FilePath, Fraction, Positive, Settings


class EntrySettings(Settings):
    """What every entry of the mixture says.

    Attributes:
        dataset: folder of a finished dataset.
        weight: share of the micro-batches relative to the other entries; 1 makes all equal.
    """

    dataset: FilePath
    weight: Annotated[float, Field(gt=0.0)] = 1.0


class MlmSettings(EntrySettings):
    """Masked language modelling of single sentences, from mono, pairs or aligned."""

    objective: Literal["mlm"]


class TlmSettings(EntrySettings):
    """Masked language modelling of pairs, from pairs, aligned or exchange."""

    objective: Literal["tlm"]


class CamlmSettings(EntrySettings):
    """Each sentence predicted from its translation alone, from pairs, aligned or exchange.

    Attributes:
        mask_rate: share of positions to predict; None for the run's.
        random_pair_order: a coin per pair and epoch decides which sentence comes first, so that the
            model can write behind a sentence of either language (our choice: on); else the order
            is that of the dataset.
    """

    objective: Literal["camlm"]
    mask_rate: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    random_pair_order: bool = True


class BtmlmSettings(EntrySettings):
    """Masked language modelling beside pseudo translations, from pseudo."""

    objective: Literal["btmlm"]


class WeamSettings(EntrySettings):
    """Prediction from exchanged vectors, from aligned or exchange.

    Attributes:
        exchange_layer: an extra linear layer between the exchanged vectors and the head
            (our choice: off, one shared head).
        first_subword_only: exchange the first subword of each word, not the mean of all
            (our choice: the mean).
        one_to_one_only: exchange only where both words have no other link (our choice: every
            link).
    """

    objective: Literal["weam"]
    exchange_layer: bool = False
    first_subword_only: bool = False
    one_to_one_only: bool = False


class MocoSettings(EntrySettings):
    """Contrast of sentences with a momentum queue, from pairs or aligned.

    Attributes:
        queue: keys that serve as negatives; 32,000 (our choice).
        momentum: of the key encoder; 0.999 (our choice).
        temperature: of the similarities; 0.05 (our choice).
        projection: size of the compared vectors; 128 (our choice).
        tlm: add TLM on the same pairs, which makes it PPA's whole loss.
    """

    objective: Literal["moco"]
    queue: Positive = 32_000
    momentum: Fraction = 0.999
    temperature: Annotated[float, Field(gt=0.0)] = 0.05
    projection: Positive = 128
    tlm: bool = True


class AlignMlmSettings(EntrySettings):
    """MLM with a pull between the embeddings of dictionary pairs, from mono, pairs or aligned.

    Attributes:
        lexicon: folder of a lexicon dataset.
        alpha: weight of the pull; 10 in the paper.
        sample: dictionary pairs per micro-batch; 0 takes all, as the paper does.
        lexicon_fraction: of the dictionary to use; 0.25, 0.5 and 1 in the paper.
    """

    objective: Literal["align_mlm"]
    lexicon: FilePath
    alpha: Annotated[float, Field(ge=0.0)] = 10.0
    sample: Count = 0
    lexicon_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0


class DictMlmSettings(EntrySettings):
    """MLM in which dictionary words stand for their translations, from mono, pairs or aligned.

    Attributes:
        lexicon: folder of a lexicon dataset.
        variant: predict_synonym (the label is the translation) or from_synonym (the input is).
        rate: probability that a selected dictionary word is translated; 0.5 in the paper.
        lexicon_fraction: of the dictionary to use.
    """

    objective: Literal["dict_mlm"]
    lexicon: FilePath
    variant: Literal["predict_synonym", "from_synonym"] = "predict_synonym"
    rate: Fraction = 0.5
    lexicon_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0


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

OBJECTIVE_SETTINGS: tuple[type[EntrySettings], ...] = get_args(AnyObjectiveSettings)
"""The same as classes."""

DATASET_FIELDS = frozenset({"dataset", "lexicon"})
"""Fields of an entry that name a dataset: a resumed run compares the digests of what they name."""


def objective_name(settings: type[EntrySettings]) -> str:
    """Returns the name of an objective, as the key `objective` gives it.

    >>> objective_name(WeamSettings)
    'weam'
    """
    return str(get_args(settings.model_fields["objective"].annotation)[0])
