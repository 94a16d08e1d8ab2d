"""The recipe: a YAML file that names the corpora and everything done to them.

Each part is the configuration of a command. Unknown keys are errors.
"""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError

from bitextile.kernels.align.engine import AlignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.config_file import read_config_file
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.filters.rules import FilterConfig
from bitextile.kernels.splits import SplitConfig
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.recipe.corpora import Bitext, Mono
from bitextile.pipelines.recipe.models import BacktranslatePart, CandidatesPart
from bitextile.pipelines.recipe.parts import ChosenBy, Several, Strict
from bitextile.pipelines.recipe.variants import AlignmentSwitch, Derives, Switches
from bitextile.schema.config_problems import problems
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
    """JSON lines, relative to the recipe; see docs/recipe.md, «Gold links»."""


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
    """Reads a YAML file that holds a recipe's mapping.

    Raises:
        ConfigError: it is missing, not YAML, no mapping, or a configuration of the trainer.
    """
    return read_config_file(path, command="run", keys=("bitext", "mono"))


def parse(model: type[Model], content: dict[str, Any], where: str) -> Model:
    """Returns the content as a model.

    Raises:
        ConfigError: an unknown key, named with the nearest right one, or a wrong value.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = problems(error.errors(), model, elsewhere=_training_keys())
        raise ConfigError(f"{where}: {found}; see README, «The recipe»") from error
    # A configuration's own __post_init__ raises ConfigError, which pydantic passes through as it
    # is.
    except BitextileError as error:
        raise ConfigError(f"{where}: {error}") from error


def _training_keys() -> dict[str, str]:
    """Returns the keys of `pretrain`, which only the trainer knows, and where they belong."""
    from bitextile.trainer.config import PretrainConfig

    return dict.fromkeys([*PretrainConfig.model_fields, "objectives"], "pretrain")


def load_recipe(path: str) -> Recipe:
    """Reads a recipe of the whole chain.

    Raises:
        ConfigError: it is missing, not YAML, has an unknown key or a wrong value.
    """
    return parse(Recipe, load_yaml(path), path)
