"""The corpora of a recipe, and the files they are.

Paths are relative to the recipe's folder.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bitextile.kernels.readers.encodings import check_encoding
from bitextile.kernels.readers.formats import FORMATS, format_of
from bitextile.kernels.readers.lines import LINES
from bitextile.kernels.readers.source import CorpusSource, Format
from bitextile.kernels.readers.tsv import TSV
from bitextile.pipelines.recipe.parts import Strict
from bitextile.schema.config_problems import did_you_mean, listed
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language


def _known_format(name: str) -> str:
    if name != "auto" and name not in FORMATS:
        known = ("auto", *FORMATS)
        raise ValueError(f"expected {listed(known)}{did_you_mean(name, known)}")
    return name


FormatName = Annotated[str, AfterValidator(_known_format)]
Columns = tuple[str | int, ...]
Split = Literal["", "train", "valid", "test"]
OnError = Literal["fail", "reject"]
Encoding = Annotated[str, AfterValidator(check_encoding)]


_OPTIONS = {
    "header": "TSV and CSV",
    "quoted": "TSV",
    "encoding": "text files",
    "on_error": "TMX (other formats reject a row that they cannot read)",
}
"""Fields of a recipe's corpus that not every format has, and which have them."""


class Bitext(Strict):
    """A parallel corpus: two line-aligned files, or one file that holds both languages."""

    corpus: str = Field(min_length=1)
    """Name that the rows keep."""
    languages: tuple[Language, Language]
    """Of the two sides, in file order."""
    files: tuple[str, ...]
    """Two line-aligned files, or one."""
    format: FormatName = "auto"
    """Format of the files. auto goes by the file's ending."""
    columns: tuple[str | int, str | int] | None = None
    """Numbers from 0 or names. TSV: by default 0 and 1, and names need a header. CSV, JSON lines
    and Parquet: by default the language tags; of nested ones a path such as translation.de."""
    header: bool | None = None
    """Whether the first row of a TSV or CSV holds names. By default that of a CSV does if its
    columns are named."""
    quoted: bool = False
    """Whether cells of a TSV may stand in quotes, as those of a CSV do."""
    encoding: Encoding = ""
    """Of text files without a byte order mark, such as windows-1252. Empty for UTF-8; TMX says it
    itself."""
    on_error: OnError = "fail"
    """What a unit of a TMX file does that is not well-formed. fail ends the run, reject leaves the
    unit out."""
    split: Split = ""
    """Of every row; empty draws it. valid and test hold the corpus out: other corpora lose the rows
    that share a sentence with it."""


class Mono(Strict):
    """A monolingual corpus."""

    corpus: str = Field(min_length=1)
    """Name that the rows keep."""
    language: Language
    """Of every sentence."""
    files: tuple[str, ...] = Field(min_length=1)
    """Files, or patterns such as mono/*.de.gz."""
    format: FormatName = "auto"
    """Format of the files. auto goes by the file's ending."""
    column: str | int | None = None
    """Number from 0 or name. TSV: by default 0, and a name needs a header. CSV, JSON lines and
    Parquet: by default `text`."""
    header: bool | None = None
    """Whether the first row of a TSV or CSV holds names. By default that of a CSV does if its
    column is named."""
    quoted: bool = False
    """Whether cells of a TSV may stand in quotes, as those of a CSV do."""
    encoding: Encoding = ""
    """Of text files without a byte order mark, such as windows-1252. Empty for UTF-8; TMX says it
    itself."""
    on_error: OnError = "fail"
    """What a unit of a TMX file does that is not well-formed. fail ends the run, reject leaves the
    unit out."""
    split: Split = ""
    """Of every row; empty draws it. valid and test hold the corpus out: other corpora lose the rows
    that share a sentence with it."""


@dataclass(frozen=True)
class CorpusFiles:
    """The files of a recipe, found."""

    bitext: tuple[CorpusSource, ...]
    mono: tuple[CorpusSource, ...]


def find_files(bitext: Sequence[Bitext], mono: Sequence[Mono], folder: Path) -> CorpusFiles:
    """Returns the files of a recipe's corpora, patterns expanded and formats determined.

    Args:
        bitext: the parallel corpora.
        mono: the monolingual ones.
        folder: what its paths are relative to.

    Raises:
        ConfigError: a pattern without a file, a wrong number of files or columns, no corpus at all.
    """
    if not bitext and not mono:
        raise ConfigError("the recipe names no corpus; add one under `bitext` or `mono`")
    return CorpusFiles(
        bitext=tuple(_bitext(entry, folder) for entry in bitext),
        mono=tuple(source for entry in mono for source in _mono(entry, folder)),
    )


def _bitext(entry: Bitext, folder: Path) -> CorpusSource:
    format = _format(entry.format, entry.files, 2)
    expected = format.files_per_bitext
    if len(entry.files) != expected:
        raise ConfigError(
            f"corpus {entry.corpus}: {len(entry.files)} files of format {format.name}, "
            f"expected {expected}"
        )
    if entry.languages[0] == entry.languages[1]:
        raise ConfigError(f"corpus {entry.corpus}: both languages are {entry.languages[0]}")
    # JSON lines and Parquet of parallel corpora name their columns by language (Hugging Face's
    # `translation`); tables without a header have only numbers.
    default: tuple[str | int, ...] = (0, 1) if format.columns == "numbers" else entry.languages
    return CorpusSource(
        corpus=entry.corpus,
        languages=entry.languages,
        files=tuple(_resolved(name, folder) for name in entry.files),
        names=entry.files,
        format=format.name,
        split=entry.split,
        **_reading(entry, format, entry.columns, default),
    )


def _mono(entry: Mono, folder: Path) -> list[CorpusSource]:
    names = []
    for pattern in entry.files:
        # Sorted, as file systems list in orders of their own, which would reach the manifest.
        refuse_outside(folder / pattern.split("*")[0])
        found = sorted(glob.glob(pattern, root_dir=folder)) if "*" in pattern else [pattern]
        if not found:
            raise ConfigError(f"corpus {entry.corpus}: no file matches {pattern!r} in {folder}")
        names += found
    return [_mono_file(entry, name, folder) for name in names]


def _mono_file(entry: Mono, name: str, folder: Path) -> CorpusSource:
    format = _format(entry.format, (name,), 1)
    default: str | int = 0 if format.columns == "numbers" else "text"
    # Not `entry.column or ...`: column 0 is a column.
    columns = None if entry.column is None else (entry.column,)
    return CorpusSource(
        corpus=entry.corpus,
        languages=(entry.language,),
        files=(_resolved(name, folder),),
        names=(name,),
        format=format.name,
        split=entry.split,
        **_reading(entry, format, columns, (default,)),
    )


def _reading(
    entry: Bitext | Mono,
    format: Format,
    columns: Columns | None,
    default: Columns,
) -> dict[str, Any]:
    """Returns the fields of a source that say how its format is read.

    Raises:
        ConfigError: the format has no such option, or a column is not named as it wants it.
    """
    given = {name: getattr(entry, name) for name in _OPTIONS}
    for name, value in given.items():
        # `header: false` asks for nothing that a format without headers could not do.
        unused = (False, type(entry).model_fields[name].default)
        if value not in unused and name not in format.options:
            raise ConfigError(
                f"corpus {entry.corpus}: {name} is for {_OPTIONS[name]}, its format is "
                f"{format.name}; leave it out"
            )
    if columns is not None and format.columns == "none":
        raise ConfigError(
            f"corpus {entry.corpus}: format {format.name} has no columns to name; leave them out"
        )
    # Checked above with what the user gave, from here on with what will be read.
    columns = columns or default
    # A CSV whose columns are named must have names; of one whose columns are numbered the first row
    # is data, unless the recipe says so.
    if entry.header is None:
        named = any(isinstance(column, str) for column in columns)
        given["header"] = format.columns == "names" and "header" in format.options and named
    if "header" in format.options:
        _check_columns(entry.corpus, format, columns, header=given["header"])
    return given | {"columns": columns}


def _check_columns(corpus: str, format: Format, columns: Columns, *, header: bool) -> None:
    if not all(header if isinstance(column, str) else column >= 0 for column in columns):
        raise ConfigError(
            f"corpus {corpus}: {format.name.upper()} columns are numbers from 0, or names if the "
            f"first row holds them (`header: true`), got {list(columns)}"
        )


def _resolved(name: str, folder: Path) -> str:
    # A URI does not depend on where the recipe lies.
    return name if "://" in name else str(folder / name)


def _format(given: str, files: tuple[str, ...], sides: int) -> Format:
    if given != "auto":
        return FORMATS[given]
    # One plain text file cannot hold a line-aligned bitext, so it is a TSV (Tatoeba's fra.txt).
    return format_of(files[0], default=TSV if sides == 2 and len(files) == 1 else LINES)
