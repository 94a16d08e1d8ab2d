"""Parts of a recipe: the fields of the commands' configurations and few of their own."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from bitextile.kernels.align.engine import ENGINES
from bitextile.kernels.bitext.dictionary.source import DictionaryFormat, LexiconLimits
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.pipelines.backtranslate import PseudoConfig
from bitextile.pipelines.cli.field_docs import field_docs
from bitextile.pipelines.recipe import models, variants
from bitextile.pipelines.recipe.parts import ChosenBy, Part, base_config, one_or_several
from bitextile.pipelines.recipe.recipe import Recipe, parse
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import (
    CamlmConfig,
    CandidatesConfig,
    Ctranslate2Config,
    Seq2seqConfig,
)

OWN = {
    variants.AlignmentSwitch: ((AlignmentSwitchConfig,), {"name"}),
    variants.MultilingualSwitch: ((MultilingualSwitchConfig,), {"name"}),
    variants.DictionarySwitch: (
        (DictionarySwitchConfig, LexiconLimits),
        {"name", "dataset", "dictionaries", "lexicon"},
    ),
    variants.DictionaryFile: ((DictionaryFormat,), {"languages", "file"}),
    variants.CandidatesSwitch: ((CandidatesSwitchConfig,), {"name", "candidates"}),
    variants.TaskFieldSwitch: ((TaskFieldSwitchConfig, TaskFiles), {"name"}),
    variants.DerivePart: ((DeriveConfig,), {"name", "dataset", "file", "language"}),
    models.CamlmPart: ((PseudoConfig, CamlmConfig), {"model"}),
    models.Seq2seqPart: ((PseudoConfig, Seq2seqConfig), {"model"}),
    models.Ctranslate2Part: ((PseudoConfig, Ctranslate2Config), {"model"}),
    models.CandidatesPart: ((CandidatesConfig,), {"model"}),
}
"""Part to the configurations it is made of and the keys that are the recipe's own."""


@pytest.mark.parametrize("part", OWN, ids=lambda part: part.__name__)
def test_the_keys_of_a_part_are_the_fields_of_its_configurations(part: type) -> None:
    configs, own = OWN[part]
    inherited = {field.name for config in configs for field in fields(config)}
    assert {field.name for field in fields(part)} == inherited | own
    assert not inherited & own
    assert inherited <= set(field_docs(part))


@dataclass(frozen=True, kw_only=True)
class Near:
    """An alternative with a check of its own."""

    where: Literal["near"] = "near"
    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps is {self.steps}")


@dataclass(frozen=True, kw_only=True)
class Far:
    """Another."""

    where: Literal["far"] = "far"
    miles: int = 9


@dataclass(frozen=True, kw_only=True)
class NamedNear(Part, Near):
    """A part made of it."""

    name: str = ""


Place = TypeAdapter(Annotated[Near | Far, ChosenBy("where")])


def test_alternatives_are_told_apart_by_a_field_and_the_first_goes_without_saying() -> None:
    assert Place.validate_python({}) == Near()
    assert Place.validate_python({"where": "far", "miles": 3}) == Far(miles=3)
    assert Place.validate_python(Far()) == Far()
    with pytest.raises(ValidationError, match="expected where near or far"):
        Place.validate_python({"where": "here"})
    with pytest.raises(ValidationError, match=r"far\.miles"):
        Place.validate_python({"where": "far", "miles": "many"})
    with pytest.raises(ValidationError):
        Place.validate_python("far")


def test_a_part_is_checked_as_its_configuration_is_and_gives_it_back() -> None:
    assert base_config(Near, NamedNear(name="x", steps=2)) == Near(steps=2)
    with pytest.raises(ConfigError, match="steps is 0"):
        NamedNear(steps=0)


def test_one_part_stands_for_a_list_of_one() -> None:
    assert one_or_several({"a": 1}) == ({"a": 1},)
    assert one_or_several(None) == ()
    assert one_or_several([1, 2]) == [1, 2]


@pytest.mark.parametrize("aligner", ENGINES)
def test_a_recipe_takes_the_fields_of_each_aligner(aligner: str) -> None:
    given = {"aligner": aligner} | ({"encoder": "e"} if aligner == "simalign" else {})
    config = parse(Recipe, {"align": given}, "r").align
    assert type(config) is ENGINES[aligner]
