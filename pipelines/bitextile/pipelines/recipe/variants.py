"""The parts of a recipe that ask for switched sentences and derived languages."""

from dataclasses import dataclass
from typing import Annotated, Literal

from bitextile.kernels.bitext.dictionary.source import DictionaryFormat, LexiconLimits
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.kernels.switch.core import check_weights
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.pipelines.recipe.parts import ChosenBy, Name, Part, Several
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language, LanguagePair

RunDataset = Literal["mono", "pairs", "aligned"]
"""Datasets of a run whose sentences a variant can be made of."""


@dataclass(frozen=True, kw_only=True)
class VariantPart(Part):
    """Base of the parts that give a dataset each."""

    name: Name = ""
    """Of the folder, behind codeswitch- or derive-; needed where two parts would share one."""


@dataclass(frozen=True, kw_only=True)
class AlignmentSwitch(VariantPart, AlignmentSwitchConfig):
    """Words replaced by the words they are linked to."""


@dataclass(frozen=True, kw_only=True)
class MultilingualSwitch(VariantPart, MultilingualSwitchConfig):
    """Words replaced by those they are linked to in all translations of a sentence, mixed."""


@dataclass(frozen=True, kw_only=True)
class DictionaryFile(DictionaryFormat):
    """A dictionary that is a file."""

    languages: LanguagePair
    """Of the words that are looked up, and of their translations."""
    file: str
    """Path, relative to the recipe."""


@dataclass(frozen=True, kw_only=True)
class DictionarySwitch(VariantPart, DictionarySwitchConfig, LexiconLimits):
    """Words replaced by dictionary: files, and the lexicon that the same recipe makes."""

    dataset: RunDataset = "aligned"
    """Whose sentences; aligned ones have their words already."""
    dictionaries: tuple[DictionaryFile, ...] = ()
    """Files."""
    lexicon: tuple[LanguagePair, ...] = ()
    """Language pairs, words first, that the recipe's own lexicon is to serve."""

    def __post_init__(self) -> None:
        """Raises ConfigError without any dictionary, or for a weight of a language of none."""
        super().__post_init__()
        # The language that is written into sentences; weights are about this one.
        languages = [entry.languages[1] for entry in self.dictionaries]
        languages += [pair[1] for pair in self.lexicon]
        if not languages:
            raise ConfigError("codeswitch by dictionary: name `dictionaries`, `lexicon` or both")
        check_weights(self.weights, languages)


@dataclass(frozen=True, kw_only=True)
class CandidatesSwitch(VariantPart, CandidatesSwitchConfig):
    """Words replaced by what a model suggested."""

    candidates: str = ""
    """Folder of a candidates dataset, relative to the recipe; empty takes those the run makes."""


@dataclass(frozen=True, kw_only=True)
class TaskFieldSwitch(VariantPart, TaskFieldSwitchConfig, TaskFiles):
    """Whole fields of task data replaced by their translations; paths relative to the recipe."""


AnySwitch = (
    AlignmentSwitch | MultilingualSwitch | DictionarySwitch | CandidatesSwitch | TaskFieldSwitch
)
Switches = Annotated[tuple[Annotated[AnySwitch, ChosenBy("method")], ...], Several]
"""One part, or a list of parts."""


@dataclass(frozen=True, kw_only=True)
class DerivePart(VariantPart, DeriveConfig):
    """A derived language."""

    dataset: RunDataset = "mono"
    """Whose sentences are derived."""
    file: str = ""
    """A CoNLL-U file instead, relative to the recipe; `syntax` needs one."""
    language: Language = "en"
    """Of `file`."""

    def __post_init__(self) -> None:
        """Raises ConfigError for `syntax` without a file."""
        super().__post_init__()
        if "syntax" in self.transforms and not self.file:
            raise ConfigError("derive by syntax: name the CoNLL-U `file` that has the parses")


Derives = Annotated[tuple[DerivePart, ...], Several]


def folder_of(part: AnySwitch | DerivePart) -> str:
    """Returns the name of the folder that a part's dataset gets.

    >>> folder_of(AlignmentSwitch()), folder_of(DerivePart(transforms=("invert", "permute")))
    ('codeswitch', 'derive-invert-permute')
    """
    if isinstance(part, DerivePart):
        return f"derive-{part.name or '-'.join(part.transforms)}"
    method = "" if part.method == "alignment" else part.method
    return "-".join(filter(None, ["codeswitch", part.name or method]))
