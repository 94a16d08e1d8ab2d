"""The parts of a recipe that ask a model for data: pseudo translations, switching candidates.

Their settings are those of the trainer's engines, so reading them takes torch: `run` does so before
anything else, `ingest`, which reads the same file, never.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from bitextile.kernels.backtranslate import parse_weights
from bitextile.kernels.filters.translation import TranslationFilterConfig
from bitextile.pipelines.recipe.recipe import Recipe, Strict, parse
from bitextile.pipelines.recipe.variants import Language, plain
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_tag
from bitextile.trainer.generate.config import (
    CamlmConfig,
    CandidatesConfig,
    Ctranslate2Config,
    Seq2seqConfig,
)


def _weights(value: Any) -> Any:
    """Returns `to` as --to takes it, `de:2,fr`, or as a mapping, checked alike."""
    if isinstance(value, Mapping):
        value = ",".join(f"{tag}:{weight}" for tag, weight in value.items())
    return parse_weights(value) if isinstance(value, str) else value


def _codes(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


def _directions(value: Any) -> Any:
    """Returns `{"de,en": 1.1}` as --length-ratio takes it, by (source, target)."""
    if not isinstance(value, Mapping):
        return value
    found = {}
    for name, ratio in value.items():
        tags = [language_tag(tag) for tag in str(name).split(",")]
        if len(tags) != 2:
            raise ConfigError(f"length_ratios has {name!r}, expected SRC,TGT, as de,en")
        found[tags[0], tags[1]] = ratio
    return found


@dataclass(frozen=True, kw_only=True)
class _Part:
    to: Annotated[dict[Language, float], BeforeValidator(_weights)]
    """Target languages with their weights, as a mapping or as `de:2,fr`."""
    model: str = ""
    """Folder of a model, relative to the recipe; empty takes the one the run has just trained."""
    translation_filter: TranslationFilterConfig = field(default_factory=TranslationFilterConfig)
    """Limits of what is kept; scripts are found in the run's own text."""

    def __post_init__(self) -> None:
        """Raises ConfigError for scripts that would not be read."""
        if self.translation_filter.scripts:
            raise ConfigError(
                "backtranslate.translation_filter: scripts are found in the text; leave them out"
            )


@dataclass(frozen=True, kw_only=True)
class CamlmPart(_Part, CamlmConfig):
    """A CAMLM checkpoint writes."""

    engine: Literal["camlm"] = "camlm"
    length_ratios: Annotated[dict[tuple[str, str], float], BeforeValidator(_directions)] = field(
        default_factory=dict
    )
    """`{"de,fr": 1.1}`, subwords for a subword, of languages without pairs; others are measured."""

    def __post_init__(self) -> None:
        """Checks both halves."""
        _Part.__post_init__(self)
        CamlmConfig.__post_init__(self)


Codes = Annotated[tuple[tuple[Language, str], ...], BeforeValidator(_codes)]
"""Language to the tokenizer's code, where that is another: `{de: deu_Latn}`."""


@dataclass(frozen=True, kw_only=True)
class Seq2seqPart(_Part, Seq2seqConfig):
    """A local encoder-decoder of transformers translates."""

    engine: Literal["seq2seq"]
    codes: Codes = ()

    def __post_init__(self) -> None:
        """Checks both halves."""
        _check_translator(self)
        Seq2seqConfig.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class Ctranslate2Part(_Part, Ctranslate2Config):
    """A model that CTranslate2 has converted translates."""

    engine: Literal["ctranslate2"]
    codes: Codes = ()

    def __post_init__(self) -> None:
        """Checks both halves."""
        _check_translator(self)
        Ctranslate2Config.__post_init__(self)


def _check_translator(part: "Seq2seqPart | Ctranslate2Part") -> None:
    """Raises ConfigError without a model: the run trains none that translates."""
    _Part.__post_init__(part)
    if not part.model:
        raise ConfigError(f"backtranslate by {part.engine}: name the folder of the `model`")


@dataclass(frozen=True, kw_only=True)
class CandidatesPart(CandidatesConfig):
    """An encoder is asked for the words of other languages that fit in a word's place."""

    languages: tuple[Language, ...]
    model: str = ""
    """Folder of a model, relative to the recipe; empty takes the one the run has trained last."""


def _engine(value: Any) -> str:
    given = value if isinstance(value, dict) else vars(value)
    return str(given.get("engine", "camlm"))


Backtranslate = Annotated[
    Annotated[CamlmPart, Tag("camlm")]
    | Annotated[Seq2seqPart, Tag("seq2seq")]
    | Annotated[Ctranslate2Part, Tag("ctranslate2")],
    Discriminator(
        _engine,
        custom_error_type="engine",
        custom_error_message="expected engine camlm, seq2seq or ctranslate2",
    ),
]


class Supplies(Strict):
    """What models supply in a run."""

    backtranslate: Backtranslate | None = None
    candidates: CandidatesPart | None = None


def supplies_of(recipe: Recipe) -> Supplies:
    """Returns what a recipe asks of models.

    Raises:
        ConfigError: an unknown key or a wrong value.
    """
    asked = {"backtranslate": recipe.backtranslate, "candidates": recipe.candidates}
    return parse(Supplies, asked, "the recipe")


def engine_of(part: Backtranslate) -> CamlmConfig | Seq2seqConfig | Ctranslate2Config:
    """Returns the engine's configuration that a part carries."""
    if isinstance(part, CamlmConfig):
        return plain(CamlmConfig, part)
    if isinstance(part, Seq2seqConfig):
        return plain(Seq2seqConfig, part)
    return plain(Ctranslate2Config, part)
