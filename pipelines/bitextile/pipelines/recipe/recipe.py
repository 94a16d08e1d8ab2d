"""The recipe: a YAML file that names the corpora and everything done to them.

Unknown keys are errors. Paths are relative to the recipe's folder.
"""

import glob
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bitextile.kernels.align.engine import AlignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.filters.rules import FilterConfig
from bitextile.kernels.readers.formats import FORMATS, format_of
from bitextile.kernels.readers.lines import LINES
from bitextile.kernels.readers.source import CorpusSource, Format
from bitextile.kernels.readers.tsv import TSV
from bitextile.kernels.splits import SplitConfig
from bitextile.pipelines.recipe.models import BacktranslatePart, CandidatesPart
from bitextile.pipelines.recipe.parts import ChosenBy, Several
from bitextile.pipelines.recipe.variants import AlignmentSwitch, Derives, Language, Switches
from bitextile.pipelines.tokenizer import TokenizerConfig
from bitextile.schema.errors import BitextileError, ConfigError

Model = TypeVar("Model", bound=BaseModel)


def _known_format(name: str) -> str:
    if name != "auto" and name not in FORMATS:
        raise ValueError(f"Input should be auto, {', '.join(FORMATS)}")
    return name


FormatName = Annotated[str, AfterValidator(_known_format)]
Split = Literal["", "train", "valid", "test"]


Align = Annotated[AlignConfig, ChosenBy("aligner")]


class Strict(BaseModel):
    """A part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bitext(Strict):
    """A parallel corpus: two line-aligned files, or one file that holds both languages."""

    corpus: str = Field(min_length=1, description="name the rows keep")
    languages: tuple[Language, Language] = Field(description="of the two sides, in file order")
    files: tuple[str, ...] = Field(description="two line-aligned files, or one")
    format: FormatName = Field("auto", description="auto goes by the file's ending")
    columns: tuple[str | int, str | int] | None = Field(
        None,
        description="TSV: numbers from 0, default 0 and 1; JSON lines and Parquet: names, "
        "default the language tags",
    )
    header: bool = Field(False, description="the first line of a TSV holds names")
    split: Split = Field("", description="of every row; empty draws it by id")


class Mono(Strict):
    """A monolingual corpus; files may be patterns such as mono/*.de.gz."""

    corpus: str = Field(min_length=1, description="name the rows keep")
    language: Language
    files: tuple[str, ...] = Field(min_length=1)
    format: FormatName = "auto"
    column: str | int | None = None
    header: bool = False
    split: Split = ""


@dataclass(frozen=True)
class Sources:
    """The files of a recipe, found."""

    bitext: tuple[CorpusSource, ...]
    mono: tuple[CorpusSource, ...]


class RetrievalSet(Strict):
    """Two line-aligned files whose sentences must find each other."""

    name: str
    files: tuple[str, str]


class AlignmentSet(Strict):
    """Gold word links of pairs that are among the recipe's corpora."""

    name: str
    gold: str = Field(description="JSON lines; see README, «Gold links»")


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
    pretrain: Annotated[tuple[dict[str, Any], ...], Several] = Field(
        (), description="settings of `pretrain`, with `objectives` (name to weight); or stages"
    )
    backtranslate: BacktranslatePart | None = None
    candidates: CandidatesPart | None = None
    evaluate: Evaluate = Evaluate()


def load_yaml(path: str) -> dict[str, Any]:
    """Reads a YAML file that holds a mapping.

    Raises:
        ConfigError: it is missing, not YAML, or no mapping.
    """
    try:
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
    except BitextileError as error:
        raise ConfigError(f"{where}: {error}") from error


def load_recipe(path: str) -> Recipe:
    """Reads a recipe of the whole chain.

    Raises:
        ConfigError: it is missing, not YAML, has an unknown key or a wrong value.
    """
    return parse(Recipe, load_yaml(path), path)


def sources_of(recipe: Recipe, folder: Path) -> Sources:
    """Returns the sources a recipe names, patterns expanded and formats settled.

    Args:
        recipe: names the corpora.
        folder: what its paths are relative to.

    Raises:
        ConfigError: a pattern without a file, a wrong number of files or columns, no corpus at all.
    """
    bitext = tuple(_bitext(entry, folder) for entry in recipe.bitext)
    mono = tuple(source for entry in recipe.mono for source in _mono(entry, folder))
    if not bitext and not mono:
        raise ConfigError("the recipe names no corpus; add one under `bitext` or `mono`")
    return Sources(bitext, mono)


def _bitext(entry: Bitext, folder: Path) -> CorpusSource:
    format = _format(entry.format, entry.files, 2)
    _refuse_unused(entry.corpus, format, columns=entry.columns is not None, header=entry.header)
    expected = format.files_per_bitext
    if len(entry.files) != expected:
        raise ConfigError(
            f"corpus {entry.corpus}: {len(entry.files)} files of format {format.name}, "
            f"expected {expected}"
        )
    if entry.languages[0] == entry.languages[1]:
        raise ConfigError(f"corpus {entry.corpus}: both languages are {entry.languages[0]}")
    default: tuple[str | int, ...] = (0, 1) if format.columns == "numbers" else entry.languages
    columns = _columns(entry.corpus, format, entry.columns or default)
    files = tuple(_resolved(name, folder) for name in entry.files)
    return CorpusSource(
        corpus=entry.corpus,
        languages=entry.languages,
        files=files,
        names=entry.files,
        format=format.name,
        columns=columns,
        header=entry.header,
        split=entry.split,
    )


def _mono(entry: Mono, folder: Path) -> list[CorpusSource]:
    found = []
    for pattern in entry.files:
        names = sorted(glob.glob(pattern, root_dir=folder)) if "*" in pattern else [pattern]
        if not names:
            raise ConfigError(f"corpus {entry.corpus}: no file matches {pattern!r} in {folder}")
        found += names
    sources = []
    for name in found:
        format = _format(entry.format, (name,), 1)
        _refuse_unused(entry.corpus, format, columns=entry.column is not None, header=entry.header)
        default: str | int = 0 if format.columns == "numbers" else "text"
        column = default if entry.column is None else entry.column
        sources.append(
            CorpusSource(
                corpus=entry.corpus,
                languages=(entry.language,),
                files=(_resolved(name, folder),),
                names=(name,),
                format=format.name,
                columns=_columns(entry.corpus, format, (column,)),
                header=entry.header,
                split=entry.split,
            )
        )
    return sources


def _resolved(name: str, folder: Path) -> str:
    return name if "://" in name else str(folder / name)


def _refuse_unused(corpus: str, format: Format, *, columns: bool, header: bool) -> None:
    if header and not format.header:
        raise ConfigError(
            f"corpus {corpus}: header is for TSV, its format is {format.name}; leave it out"
        )
    if columns and format.columns == "none":
        raise ConfigError(
            f"corpus {corpus}: format {format.name} has no columns to name; leave them out"
        )


def _columns(corpus: str, format: Format, columns: tuple[str | int, ...]) -> tuple[str, ...]:
    if format.columns == "numbers" and not all(isinstance(c, int) and c >= 0 for c in columns):
        raise ConfigError(f"corpus {corpus}: TSV columns are numbers from 0, got {list(columns)}")
    return tuple(str(column) for column in columns)


def _format(given: str, files: tuple[str, ...], sides: int) -> Format:
    if given != "auto":
        return FORMATS[given]
    # One plain text file cannot hold a line-aligned bitext, so it is a TSV (Tatoeba's fra.txt).
    return format_of(files[0], default=TSV if sides == 2 and len(files) == 1 else LINES)


def as_config(model: Any) -> dict[str, Any]:
    """Returns a configuration object as plain values, for a manifest."""
    return model.model_dump(mode="json") if isinstance(model, BaseModel) else asdict(model)
