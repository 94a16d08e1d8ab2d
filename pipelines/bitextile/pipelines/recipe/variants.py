"""The parts of a recipe that ask for switched sentences and derived languages."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Discriminator, Field, Tag

from bitextile.kernels.derive.rows import DeriveConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.core import SwitchConfig
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_tag

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
Language = Annotated[str, BeforeValidator(language_tag)]
Pair = tuple[Language, Language]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]
Stage = Literal["mono", "pairs", "aligned"]


@dataclass(frozen=True, kw_only=True)
class _Part:
    name: Name = ""
    """Of the folder, behind codeswitch- or derive-; needed where two parts would share one."""


@dataclass(frozen=True, kw_only=True)
class AlignmentSwitch(_Part, AlignmentSwitchConfig):
    """Words replaced by the words they are linked to."""

    method: Literal["alignment"] = "alignment"


@dataclass(frozen=True, kw_only=True)
class MultilingualSwitch(_Part, MultilingualSwitchConfig):
    """Words replaced by links into all translations of a sentence, mixed; has `pivot`."""

    method: Literal["alignment"] = "alignment"
    weights: dict[Language, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DictionaryFile:
    """A dictionary that is a file."""

    languages: Pair
    """Of the words that are looked up, and of their translations."""
    file: str
    """Path, relative to the recipe."""
    columns: str = "auto"
    """As in `DictionarySource`."""
    format: str = "auto"
    """As in `DictionarySource`."""
    pos: tuple[str, ...] = ()
    """As in `DictionarySource`."""


@dataclass(frozen=True, kw_only=True)
class DictionarySwitch(_Part, DictionarySwitchConfig):
    """Words replaced by dictionary: files, and the lexicon that the same recipe makes."""

    method: Literal["dictionary"]
    of: Stage = "aligned"
    """Whose sentences; aligned ones have their words already."""
    dictionaries: tuple[DictionaryFile, ...] = ()
    """Files."""
    lexicon: tuple[Pair, ...] = ()
    """Language pairs, words first, that the recipe's own lexicon is to serve."""
    min_count: int = 0
    """Fewest links of an entry of the lexicon."""
    min_probability: float = 0.0
    """Lowest p of an entry of the lexicon."""
    weights: dict[Language, float] = field(default_factory=dict)
    """Language to how often it is taken among those that know a word; others count 1."""

    def __post_init__(self) -> None:
        """Raises ConfigError without any dictionary, or for a weight of a language of none."""
        super().__post_init__()
        languages = [entry.languages[1] for entry in self.dictionaries]
        languages += [pair[1] for pair in self.lexicon]
        if not languages:
            raise ConfigError("codeswitch by dictionary: name `dictionaries`, `lexicon` or both")
        if unknown := sorted(set(self.weights) - set(languages)):
            into = ", ".join(sorted(set(languages)))
            raise ConfigError(f"a weight is given for {unknown[0]}, dictionaries are into {into}")


@dataclass(frozen=True, kw_only=True)
class TaskFieldSwitch(_Part, TaskFieldSwitchConfig):
    """Whole fields of task data replaced by their translations."""

    method: Literal["task-field"]
    task: Literal["nli", "qa"]
    language: Language
    """Of `file`."""
    file: str
    """Path, relative to the recipe."""
    translations: dict[Language, str]
    """Language to the path of the translated file."""
    weights: dict[Language, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CandidatesSwitch(_Part, SwitchConfig):
    """Words replaced by what a model suggested."""

    method: Literal["candidates"]
    candidates: str = ""
    """Folder of a candidates dataset, relative to the recipe; empty takes those the run makes."""


def _method(value: Any) -> str:
    """Returns which of the switches a part is; alignment goes without saying."""
    given = value if isinstance(value, dict) else vars(value)
    method = str(given.get("method", "alignment"))
    return "multilingual" if method == "alignment" and "pivot" in given else method


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


AnySwitch = (
    AlignmentSwitch | MultilingualSwitch | DictionarySwitch | TaskFieldSwitch | CandidatesSwitch
)
Switch = Annotated[
    Annotated[AlignmentSwitch, Tag("alignment")]
    | Annotated[MultilingualSwitch, Tag("multilingual")]
    | Annotated[DictionarySwitch, Tag("dictionary")]
    | Annotated[TaskFieldSwitch, Tag("task-field")]
    | Annotated[CandidatesSwitch, Tag("candidates")],
    Discriminator(
        _method,
        custom_error_type="method",
        custom_error_message="expected method alignment, dictionary, candidates or task-field",
    ),
]
Switches = Annotated[tuple[Switch, ...], BeforeValidator(_several)]
"""One part, or a list of parts."""


@dataclass(frozen=True, kw_only=True)
class DerivePart(_Part, DeriveConfig):
    """A derived language."""

    of: Stage = "mono"
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


Derives = Annotated[tuple[DerivePart, ...], BeforeValidator(_several)]


def plain(kind: type[Config], part: Any) -> Config:
    """Returns the verb's own configuration that a part of a recipe carries."""
    return kind(**{entry.name: getattr(part, entry.name) for entry in fields(kind)})


def folder_of(part: AnySwitch | DerivePart) -> str:
    """Returns the name of the folder that a part's dataset gets.

    >>> folder_of(AlignmentSwitch()), folder_of(DerivePart(transforms=("invert", "permute")))
    ('codeswitch', 'derive-invert-permute')
    """
    if isinstance(part, DerivePart):
        return f"derive-{part.name or '-'.join(part.transforms)}"
    if part.name:
        return f"codeswitch-{part.name}"
    method = "multilingual" if isinstance(part, MultilingualSwitch) else part.method
    return "codeswitch" if method == "alignment" else f"codeswitch-{method}"
