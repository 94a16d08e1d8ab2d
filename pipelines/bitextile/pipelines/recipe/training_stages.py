"""The stages of a recipe's `pretrain`, and what must be so that one can supply the next.

    pretrain:
      - {steps: 2000, language_embeddings: true, objectives: {mlm: 1, tlm: 1, camlm: 2}}
      - {steps: 1000, objectives: {mlm: 1, tlm: 1, camlm: 1, btmlm: 1}}
    backtranslate: {to: {de: 1, fr: 1}}

is ERNIE-M's schedule (arXiv 2012.15674, section 3): the model of the first stage writes the pseudo
translations that the second one, which begins with that model, learns from too.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitextile.kernels.model_digest import check_encoder
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.schema.config_problems import Place
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError

if TYPE_CHECKING:
    from bitextile.pipelines.recipe.models import Backtranslate, CandidatesPart
    from bitextile.trainer.config import PretrainConfig

DEFAULT_OBJECTIVES = {"mlm": 1.0, "tlm": 1.0, "weam": 1.0}
"""Weights in the mixture where a recipe names no objectives."""


@dataclass(frozen=True, kw_only=True)
class TrainingStage:
    """One pre-training of a run."""

    number: int
    """From 1."""
    settings: dict[str, Any]
    """Of `pretrain`, without paths and objectives."""
    objectives: dict[str, Any]
    """Name to weight, or to options such as {weight: 2}."""

    @property
    def name(self) -> str:
        """What the stage is called when it begins."""
        return "pretrain" if self.number == 1 else f"pretrain, stage {self.number}"

    @property
    def folder(self) -> str:
        """Of the model: the first keeps its name when a recipe gets more stages."""
        return model_folder(self.number)


def model_folder(number: int) -> str:
    """Returns the folder of the model of a stage; that of stage 0 is the one all began with.

    >>> [model_folder(number) for number in range(3)]
    ['initial', 'model', 'model-2']
    """
    return ("initial", "model")[number] if number < 2 else f"model-{number}"


def training_stages(recipe: Recipe) -> tuple[TrainingStage, ...]:
    """Returns the stages; what one does not say is as in the stage before it.

    But for `model`, which is that of the stage before, and `seed`, which counts up: with the same
    one a stage would see the same sentences under the same masks once more.

    Raises:
        ConfigError: a later stage names a model, or objectives are no mapping.
    """
    stages: list[TrainingStage] = []
    for number, given in enumerate(recipe.pretrain, 1):
        # A copy, since `pop` below would empty the frozen recipe's own mapping.
        settings = dict(given)
        objectives = settings.pop(
            "objectives", stages[-1].objectives if stages else DEFAULT_OBJECTIVES
        )
        if not isinstance(objectives, dict):
            raise ConfigError(
                f"pretrain.objectives is {objectives!r}, expected a weight, or options such as "
                "{weight: 2}, by name"
            )
        if stages:
            settings = _inherited(stages[-1], settings)
        stages.append(TrainingStage(number=number, settings=settings, objectives=objectives))
    return tuple(stages)


def _inherited(before: TrainingStage, settings: dict[str, Any]) -> dict[str, Any]:
    if "model" in settings:
        raise ConfigError(
            f"stage {before.number + 1} of `pretrain` names a model, but it goes on with that of "
            "the stage before it; leave it out"
        )
    # Later stages inherit the architecture through the checkpoint, not through `model`.
    kept = {name: value for name, value in before.settings.items() if name != "model"}
    seed = before.settings.get("seed", 0)
    # What the stage itself says wins, a seed included.
    return kept | ({"seed": seed + 1} if isinstance(seed, int) else {}) | settings


def stages_before_backtranslation(stages: tuple[TrainingStage, ...]) -> int:
    """Returns how many stages are done when pseudo translations are generated.

    All before the first that learns from them; every stage, if none does.
    """
    return next((s.number - 1 for s in stages if _learns_from_pseudo(s)), len(stages))


def stage_config(stage: TrainingStage, recipe: Recipe, folder: Path, out: str) -> "PretrainConfig":
    """Returns the trainer's configuration of a stage, on the datasets and models of a run.

    Args:
        stage: of the recipe.
        recipe: says whether there is monolingual text.
        folder: what the recipe's paths are relative to.
        out: folder of the run.

    Raises:
        ConfigError: an unknown key or a wrong value.
    """
    from bitextile.trainer.config import PretrainConfig
    from bitextile.trainer.config_file import parse_config

    # Relative paths in the trainer's configuration count from the recipe's folder; `out` counts
    # from where the command runs.
    here = out if "://" in out else os.path.abspath(out)
    mono = bool(recipe.mono)
    data = [_entry(name, value, here, mono=mono) for name, value in stage.objectives.items()]
    # The recipe's settings come last, so they may name another tokenizer or other data.
    content = {"tokenizer": f"{here}/tokenizer", "data": data, **stage.settings}
    if stage.number > 1:
        content["model"] = {"checkpoint": f"{here}/{model_folder(stage.number - 1)}"}
    number = f", stage {stage.number}" if len(recipe.pretrain) > 1 else ""
    # The entries of the mixture are the recipe's `objectives`.
    renamed: dict[Place, Place] = (
        {}
        if "data" in stage.settings
        else {("data", i): ("objectives", name) for i, name in enumerate(stage.objectives)}
    )
    where = f"the recipe's `pretrain`{number}"
    return parse_config(PretrainConfig, content, base=folder, where=where, renamed=renamed)


def _entry(name: str, value: Any, out: str, *, mono: bool) -> dict[str, Any]:
    """Returns an entry of the mixture on the run's datasets."""
    from bitextile.trainer.objectives.config import OBJECTIVE_SETTINGS

    options = value if isinstance(value, dict) else {"weight": value}
    known = OBJECTIVE_SETTINGS.get(name)
    with_lexicon = known is not None and "lexicon" in known.model_fields
    lexicon = {"lexicon": f"{out}/lexicon"} if with_lexicon else {}
    return {"objective": name, "dataset": f"{out}/{_dataset(name, mono=mono)}"} | lexicon | options


def _dataset(name: str, *, mono: bool) -> str:
    """Returns which dataset of a run an objective learns from: the first of a kind it reads."""
    from bitextile.trainer.objectives.config import OBJECTIVE_SETTINGS

    # `mono` before `aligned`: single sentences are what it is there for. Without any, those of
    # pairs will do, which are text like any other.
    made = ("pseudo", "mono", "aligned") if mono else ("pseudo", "aligned")
    # An unknown name is left for the trainer to refuse, which lists the known ones.
    known = OBJECTIVE_SETTINGS.get(name)
    kinds = {kind.name for kind in known.kinds} if known else {"aligned"}
    return next(kind for kind in made if kind in kinds)


def _learns_from_pseudo(stage: TrainingStage) -> bool:
    return any(_dataset(name, mono=False) == "pseudo" for name in stage.objectives)


def check_training(recipe: Recipe, folder: Path, out: str) -> None:
    """Raises ConfigError, before anything runs, where a stage or what it needs could not be made.

    Args:
        recipe: names the corpora and stages.
        folder: what its paths are relative to.
        out: folder of the run.
    """
    stages = training_stages(recipe)
    # All of them, before the first stage trains: a misspelt key in the third would show only when
    # its turn comes.
    configs = [stage_config(stage, recipe, folder, out) for stage in stages]
    _check_models(configs)
    backtranslate, candidates = recipe.backtranslate, recipe.candidates
    if backtranslate is None and any(_learns_from_pseudo(stage) for stage in stages):
        raise ConfigError(
            "btmlm learns from pseudo translations, and the recipe makes none; add "
            "`backtranslate: {to: LANGUAGE}`"
        )
    if backtranslate is not None:
        _check_text(recipe, "backtranslate")
        _check_directions(recipe, backtranslate, folder)
        if not backtranslate.model:
            _check_camlm(stages, configs)
    if candidates is not None:
        _check_candidates(recipe, candidates, folder)


def _check_models(configs: "list[PretrainConfig]") -> None:
    """Raises ConfigError for the configuration or checkpoint of a model that cannot be used."""
    for config in configs[:1]:  # later stages go on with the model of the first
        if config.model.config is not None:
            # In here: it takes transformers, which few recipes need for their check.
            from bitextile.trainer.model.config_keys import check_model_config

            check_model_config(config.model.config)
        if config.model.checkpoint is not None:
            check_encoder(config.model.checkpoint)


def _check_text(recipe: Recipe, command: str) -> None:
    """Raises ConfigError unless there are monolingual sentences that training may see."""
    if not any(entry.split in ("", "train") for entry in recipe.mono):
        held = ", but for held-out ones" if recipe.mono else ""
        raise ConfigError(f"`{command}` needs sentences, and the recipe names no `mono`{held}")


def _check_camlm(stages: tuple[TrainingStage, ...], configs: "list[PretrainConfig]") -> None:
    """Raises ConfigError unless the model of the run can write when it is asked to."""
    done = stages_before_backtranslation(stages)
    if not stages:
        raise ConfigError("`backtranslate` has no model: add `pretrain`, or name a `model` in it")
    if not done:
        raise ConfigError(
            "the first stage of `pretrain` has btmlm, but there is no model yet to generate its "
            "pseudo translations; make it a second stage, or name a `model` in `backtranslate`"
        )
    # Of the stage that writes, and no earlier one: what that learned may be gone by now.
    if "camlm" not in stages[done - 1].objectives:
        raise ConfigError(
            f"`backtranslate` uses the model of stage {done} of `pretrain`, which has no "
            "camlm among its objectives; add it, as in {mlm: 1, tlm: 1, camlm: 1}"
        )
    # Of the parsed configuration, not the settings: it may be inherited.
    if not configs[done - 1].language_embeddings:
        raise ConfigError(
            f"`backtranslate` uses the model of stage {done} of `pretrain`, which has no "
            "language embeddings to choose the target language by; add `language_embeddings: true`"
        )


def _check_directions(recipe: Recipe, part: "Backtranslate", folder: Path) -> None:
    """Raises ConfigError where a sentence could get a language that is not to be written."""
    pairs = {frozenset(entry.languages) for entry in recipe.bitext}
    known = {lang for pair in pairs for lang in pair}
    if strange := sorted(set(part.to) - known):
        raise ConfigError(
            f"backtranslate: to {strange[0]}, but no `bitext` has it; there is "
            f"{', '.join(sorted(known))}"
        )
    sources = sorted({entry.language for entry in recipe.mono})
    directions = {(src, tgt) for src in sources for tgt in part.to if src != tgt}
    if alone := sorted(set(sources) - {src for src, _ in directions}):
        raise ConfigError(
            f"backtranslate: `mono` has sentences in {alone[0]}, and `to` names no other language; "
            "a sentence is never translated into its own language"
        )
    _check_engine(part, directions, pairs, folder)


def _check_engine(
    part: "Backtranslate",
    directions: set[tuple[str, str]],
    pairs: set[frozenset[str]],
    folder: Path,
) -> None:
    from bitextile.trainer.generate.checkpoint import check_languages, check_objective
    from bitextile.trainer.generate.engines import translator_engine

    model = existing_model(folder, part.model, "backtranslate")
    if part.engine != "camlm":
        # The digest is taken when the step runs; here only the languages matter.
        translator_engine(model, digest="", config=part).check(directions)
        return
    known = [pair for pair in directions if frozenset(pair) in pairs or pair in part.length_ratios]
    if missing := sorted(directions - set(known)):
        src, tgt = missing[0]
        raise ConfigError(
            f"backtranslate: a sentence in {src} may be translated into {tgt}, but no `bitext` has "
            f"both, on which the ratio of their lengths could be measured; leave one of them out, "
            f"or give `length_ratios: {{'{src},{tgt}': 1.1}}`"
        )
    if model:
        check_objective(model, "camlm")
        check_languages(model, [tag for direction in directions for tag in direction])


def _check_candidates(recipe: Recipe, asked: "CandidatesPart", folder: Path) -> None:
    """Raises ConfigError where nobody or nothing could be asked for candidates."""
    _check_text(recipe, "candidates")
    existing_model(folder, asked.model, "candidates")
    if not asked.model and not recipe.pretrain:
        raise ConfigError("`candidates` has no model: add `pretrain`, or name a `model` in it")
    known = {lang for entry in recipe.bitext for lang in entry.languages}
    sources = {entry.language for entry in recipe.mono}
    if strange := sorted(set(asked.languages) - known - sources):
        raise ConfigError(
            f"candidates: the recipe has no text of {strange[0]} to find its words in"
        )
    if alone := sorted(lang for lang in sources if {*asked.languages} == {lang}):
        raise ConfigError(
            f"candidates: `mono` has sentences in {alone[0]}; name another language as well"
        )


def existing_model(folder: Path, model: str, part: str) -> str:
    """Returns the path of a model that a part names, "" for none; raises ConfigError if absent."""
    if model:
        refuse_outside(folder / model)
    if model and not (folder / model / "config.json").is_file():
        raise ConfigError(f"{folder / model}: no model there; check the recipe's `{part}`")
    return str(folder / model) if model else ""
