"""The recipe: a YAML file that names the corpora and everything done to them.

Each part is the configuration of a command. Unknown keys are errors.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bitextile.kernels.align.engine import AlignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.filters.rules import FilterConfig
from bitextile.kernels.splits import SplitConfig
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.recipe.corpora import Bitext, Mono
from bitextile.pipelines.recipe.models import BacktranslatePart, CandidatesPart
from bitextile.pipelines.recipe.parts import ChosenBy, Several, Strict
from bitextile.pipelines.recipe.variants import AlignmentSwitch, Derives, Switches
from bitextile.schema.errors import BitextileError, ConfigError

Model = TypeVar("Model", bound=BaseModel)


Align = Annotated[AlignConfig, ChosenBy("aligner")]


class RetrievalSet(Strict):
    """Two line-aligned files whose sentences must find each other."""

    name: str
    """Of the metrics."""
    files: tuple[str, str]
    """Paths, relative to the recipe."""


class AlignmentSet(Strict):
    """Gold word alignments of pairs that are among the recipe's corpora."""

    name: str
    """Of the metrics."""
    gold: str
    """JSON lines, relative to the recipe; see README, «Gold links»."""


class Evaluate(Strict):
    """What is measured; retrieval on the pairs' own test split always is."""

    retrieval: tuple[RetrievalSet, ...] = ()
    alignment: tuple[AlignmentSet, ...] = ()


class Recipe(Strict):
    """A whole chain: corpora, and the settings of each command; every part has a default.

    `ingest` reads the same file and takes what concerns it.
    """

    bitext: tuple[Bitext, ...] = ()
    mono: tuple[Mono, ...] = ()
    filters: FilterConfig = FilterConfig()
    splits: SplitConfig = SplitConfig()
    align: Align = HmmConfig()
    lexicon: LexiconConfig = LexiconConfig()
    exchange: ExchangeConfig = ExchangeConfig()
    codeswitch: Switches = (AlignmentSwitch(),)
    derive: Derives = ()
    tokenizer: TokenizerConfig = TokenizerConfig()
    pretrain: Annotated[tuple[dict[str, Any], ...], Several] = ()
    """Settings of `pretrain`, with `objectives` (name to weight); or a list of stages."""
    backtranslate: BacktranslatePart | None = None
    candidates: CandidatesPart | None = None
    evaluate: Evaluate = Evaluate()


def load_yaml(path: str) -> dict[str, Any]:
    """Reads a YAML file that holds a mapping.

    Raises:
        ConfigError: it is missing, not YAML, or no mapping.
    """
    try:
        # safe_load builds plain values only; `load` would run what a tag such as !!python/object
        # asks for.
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; give the path of a recipe") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        first = " ".join(str(error).split())
        raise ConfigError(f"{path}: not readable as YAML: {first}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds {type(content).__name__}, expected a mapping of keys")
    return content


_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def parse(model: type[Model], content: dict[str, Any], where: str) -> Model:
    """Returns the content as a model.

    Raises:
        ConfigError: an unknown key or a wrong value; one is named, keys first, the others counted.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # A misspelt key is unknown and leaves another one missing: the first tells what to do.
        first, *more = sorted(error.errors(), key=lambda found: found["type"] not in _UNKNOWN)
        place = ".".join(str(part) for part in first["loc"]) or "the recipe"
        if first["type"] in _UNKNOWN:
            sentence = f"unknown key {place!r}"
        else:
            sentence = f"{place}: {first['msg']}, got {first['input']!r}"
        rest = f" (and {len(more)} more)" if more else ""
        raise ConfigError(f"{where}: {sentence}{rest}; see README, «The recipe»") from error
    # A configuration's own __post_init__ raises ConfigError, which pydantic passes through as it
    # is.
    except BitextileError as error:
        raise ConfigError(f"{where}: {error}") from error


def load_recipe(path: str) -> Recipe:
    """Reads a recipe of the whole chain.

    Raises:
        ConfigError: it is missing, not YAML, has an unknown key or a wrong value.
    """
    return parse(Recipe, load_yaml(path), path)
