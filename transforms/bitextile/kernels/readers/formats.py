"""The formats a corpus may have; a new reader is one new file and one line here."""

from pathlib import PurePath

from bitextile.kernels.readers.archives import COMPRESSED, archive_member
from bitextile.kernels.readers.csv import CSV
from bitextile.kernels.readers.jsonl import JSONL
from bitextile.kernels.readers.lines import LINES
from bitextile.kernels.readers.parquet import PARQUET
from bitextile.kernels.readers.source import Format
from bitextile.kernels.readers.tmx import TMX
from bitextile.kernels.readers.tsv import TSV

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        LINES,
        TSV,
        CSV,
        TMX,
        JSONL,
        PARQUET,
    )
}


def format_of(name: str, *, default: Format) -> Format:
    """Returns the format that a file's ending tells.

    Args:
        name: of a file or of a member of an archive.
        default: where the ending tells none.

    >>> format_of("web/corpus.TMX.gz", default=LINES).name, format_of("fra.txt", default=TSV).name
    ('tmx', 'tsv')
    """
    name = archive_member(name)[1] or name
    name = name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    ending = PurePath(name).suffix
    return next((f for f in FORMATS.values() if ending in f.endings), default)
