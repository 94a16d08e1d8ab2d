"""The recipe: a YAML file that names the corpora and everything done to them.

Unknown keys are errors. Paths are relative to the recipe's folder.
"""

import glob
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from bitextile.kernels.align.engine import EflomalConfig, HmmConfig, SimalignConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.filters.pairs import FilterConfig
from bitextile.kernels.readers.corpus import Source, archive_member
from bitextile.kernels.splits import SplitConfig
from bitextile.pipelines.recipe.variants import AlignmentSwitch, Derives, Language, Switches
from bitextile.pipelines.tokenizer import TokenizerConfig
from bitextile.schema.errors import BitextileError, ConfigError

Model = TypeVar("Model", bound=BaseModel)
Format = Literal["auto", "lines", "tsv", "tmx", "jsonl", "parquet"]
Split = Literal["", "train", "valid", "test"]

_ENDINGS = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".tmx": "tmx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def _aligner(value: Any) -> str:
    """Returns the engine an `align` part is of; the statistical one goes without saying."""
    return str(
        value.get("aligner", "hmm") if isinstance(value, dict) else getattr(value, "aligner", "")
    )


Align = Annotated[
    Annotated[HmmConfig, Tag("hmm")]
    | Annotated[EflomalConfig, Tag("eflomal")]
    | Annotated[SimalignConfig, Tag("simalign")],
    Discriminator(_aligner),
]


class Strict(BaseModel):
    """A part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bitext(Strict):
    """A parallel corpus: two line-aligned files, or one file that holds both languages."""

    corpus: str = Field(min_length=1, description="name the rows keep")
    languages: tuple[Language, Language] = Field(description="of the two sides, in file order")
    files: tuple[str, ...] = Field(description="two line-aligned files, or one")
    format: Format = Field("auto", description="auto goes by the file's ending")
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
    format: Format = "auto"
    column: str | int | None = None
    header: bool = False
    split: Split = ""


@dataclass(frozen=True)
class Sources:
    """The files of a recipe, found."""

    bitext: tuple[Source, ...]
    mono: tuple[Source, ...]


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


def _stages(value: Any) -> Any:
    """Returns the stages of `pretrain`: none, one that stands alone, or a list."""
    if value is None:
        return ()
    return (value,) if isinstance(value, dict) else value


class Recipe(Strict):
    """A whole chain: corpora, and the settings of each verb; every part has a default.

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
    pretrain: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_stages)] = Field(
        (), description="settings of `pretrain`, with `objectives` (name to weight); or stages"
    )
    backtranslate: dict[str, Any] | None = Field(None, description="see recipe_models.py")
    candidates: dict[str, Any] | None = Field(None, description="see recipe_models.py")
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


def _bitext(entry: Bitext, folder: Path) -> Source:
    kind = _format(entry.format, entry.files, 2)
    _refuse_unused(entry.corpus, kind, columns=entry.columns is not None, header=entry.header)
    expected = 2 if kind == "lines" else 1
    if len(entry.files) != expected:
        raise ConfigError(
            f"corpus {entry.corpus}: {len(entry.files)} files of format {kind}, expected {expected}"
        )
    if entry.languages[0] == entry.languages[1]:
        raise ConfigError(f"corpus {entry.corpus}: both languages are {entry.languages[0]}")
    default: tuple[str | int, ...] = (0, 1) if kind == "tsv" else entry.languages
    columns = _columns(entry.corpus, kind, entry.columns or default)
    files = tuple(_resolved(name, folder) for name in entry.files)
    return Source(
        corpus=entry.corpus,
        languages=entry.languages,
        files=files,
        names=entry.files,
        format=kind,
        columns=columns,
        header=entry.header,
        split=entry.split,
    )


def _mono(entry: Mono, folder: Path) -> list[Source]:
    found = []
    for pattern in entry.files:
        names = sorted(glob.glob(pattern, root_dir=folder)) if "*" in pattern else [pattern]
        if not names:
            raise ConfigError(f"corpus {entry.corpus}: no file matches {pattern!r} in {folder}")
        found += names
    sources = []
    for name in found:
        kind = _format(entry.format, (name,), 1)
        _refuse_unused(entry.corpus, kind, columns=entry.column is not None, header=entry.header)
        default: str | int = 0 if kind == "tsv" else "text"
        column = default if entry.column is None else entry.column
        sources.append(
            Source(
                corpus=entry.corpus,
                languages=(entry.language,),
                files=(_resolved(name, folder),),
                names=(name,),
                format=kind,
                columns=_columns(entry.corpus, kind, (column,)),
                header=entry.header,
                split=entry.split,
            )
        )
    return sources


def _resolved(name: str, folder: Path) -> str:
    return name if "://" in name else str(folder / name)


def _refuse_unused(corpus: str, kind: str, *, columns: bool, header: bool) -> None:
    if header and kind != "tsv":
        raise ConfigError(f"corpus {corpus}: header is for TSV, its format is {kind}; leave it out")
    if columns and kind in ("lines", "tmx"):
        raise ConfigError(f"corpus {corpus}: format {kind} has no columns to name; leave them out")


def _columns(corpus: str, kind: str, columns: tuple[str | int, ...]) -> tuple[str, ...]:
    if kind == "tsv" and not all(isinstance(c, int) and c >= 0 for c in columns):
        raise ConfigError(f"corpus {corpus}: TSV columns are numbers from 0, got {list(columns)}")
    return tuple(str(column) for column in columns)


def _format(given: str, files: tuple[str, ...], sides: int) -> str:
    if given != "auto":
        return given
    name = archive_member(files[0])[1] or files[0]
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    # One plain text file cannot hold a line-aligned bitext, so it is a TSV (Tatoeba's fra.txt).
    plain = "tsv" if sides == 2 and len(files) == 1 else "lines"
    return _ENDINGS.get(Path(name).suffix.lower(), plain)


def as_config(model: Any) -> dict[str, Any]:
    """Returns a configuration object as plain values, for a manifest."""
    return model.model_dump(mode="json") if isinstance(model, BaseModel) else asdict(model)
