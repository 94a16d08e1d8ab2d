"""The corpora of a recipe, and the files they are.

Paths are relative to the recipe's folder.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bitextile.kernels.readers.formats import FORMATS, format_of
from bitextile.kernels.readers.lines import LINES
from bitextile.kernels.readers.source import CorpusSource, Format
from bitextile.kernels.readers.tsv import TSV
from bitextile.pipelines.recipe.parts import Strict
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language


def _known_format(name: str) -> str:
    if name != "auto" and name not in FORMATS:
        raise ValueError(f"Input should be auto, {', '.join(FORMATS)}")
    return name


FormatName = Annotated[str, AfterValidator(_known_format)]
Split = Literal["", "train", "valid", "test"]


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
    """TSV: numbers from 0, by default 0 and 1; JSON lines and Parquet: names, by default the
    language tags."""
    header: bool = False
    """Whether the first line of a TSV holds names."""
    split: Split = ""
    """Of every row; empty draws it by id."""


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
    """TSV: a number from 0, by default 0; JSON lines and Parquet: a name, by default `text`."""
    header: bool = False
    """Whether the first line of a TSV holds names."""
    split: Split = ""
    """Of every row; empty draws it by id."""


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
        # Sorted, as file systems list in orders of their own, which would reach the manifest.
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
