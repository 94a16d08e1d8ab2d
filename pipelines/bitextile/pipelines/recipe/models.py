"""The parts of a recipe that ask a model for data: pseudo translations, switching candidates."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bitextile.pipelines.backtranslate import Engine, PseudoConfig
from bitextile.pipelines.recipe.parts import ChosenBy, Part, base_config
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import (
    CamlmConfig,
    CandidatesConfig,
    Ctranslate2Config,
    Seq2seqConfig,
)

ModelFolder = Annotated[
    str,
    Field(description="relative to the recipe; empty takes the model the run has trained last"),
]


@dataclass(frozen=True, kw_only=True)
class CamlmPart(Part, PseudoConfig, CamlmConfig):
    """A CAMLM checkpoint translates."""

    model: ModelFolder = ""


@dataclass(frozen=True, kw_only=True)
class _TranslatorPart(Part):
    model: ModelFolder = ""
    """Required: the run trains no model that translates."""

    def __post_init__(self) -> None:
        """Raises ConfigError without a model."""
        super().__post_init__()
        # CAMLM is among the objectives of `pretrain`; no objective trains an encoder-decoder.
        if not self.model:
            # A field of the subclasses, which this base does not declare.
            engine = vars(self)["engine"]
            raise ConfigError(f"backtranslate by {engine}: name the folder of the `model`")


@dataclass(frozen=True, kw_only=True)
class Seq2seqPart(_TranslatorPart, PseudoConfig, Seq2seqConfig):
    """A local encoder-decoder of transformers translates."""


@dataclass(frozen=True, kw_only=True)
class Ctranslate2Part(_TranslatorPart, PseudoConfig, Ctranslate2Config):
    """A model that CTranslate2 has converted translates."""


@dataclass(frozen=True, kw_only=True)
class CandidatesPart(Part, CandidatesConfig):
    """A masked language model is asked for words of other languages that fit in a word's place."""

    model: ModelFolder = ""


Backtranslate = CamlmPart | Seq2seqPart | Ctranslate2Part
BacktranslatePart = Annotated[Backtranslate, ChosenBy("engine")]


def engine_of(part: Backtranslate) -> Engine:
    """Returns the engine's configuration that a part carries."""
    if isinstance(part, CamlmConfig):
        return base_config(CamlmConfig, part)
    if isinstance(part, Seq2seqConfig):
        return base_config(Seq2seqConfig, part)
    return base_config(Ctranslate2Config, part)
