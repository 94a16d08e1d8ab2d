"""Corpus files for tests: how to write and read them, and what is in them."""

import bz2
import gzip
import lzma
import zipfile

import pyarrow as pa

from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

EN = ["The dog runs.", "A cat sleeps.", "", "We eat."]
AR = ["الكلب يركض.", "قطة نائمة.", "", "نحن نأكل."]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def zipped(path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.txt", content)


COMPRESSED = {
    ".txt": lambda c: c,
    ".txt.gz": gzip.compress,
    ".txt.bz2": bz2.compress,
    ".txt.xz": lzma.compress,
    ".txt.zst": zstd,
}


def source(tmp_path, *names: str, **fields) -> CorpusSource:
    files = tuple(str(tmp_path / name) for name in names)
    defaults = {"corpus": "c", "languages": ("en", "ar"), "format": "lines", "names": names}
    return CorpusSource(files=files, **defaults | fields)


def read(src: CorpusSource, **options) -> tuple[list[dict], list[dict]]:
    """Returns the rows kept and the rejects, checked to be of their kinds."""
    kept, rejects = [], []
    for part in read_corpus(src, **options):
        assert part.kept.schema == (PAIRS if len(src.languages) == 2 else MONO).schema
        assert part.rejects.schema == REJECTS.schema
        kept += part.kept.to_pylist()
        rejects += part.rejects.to_pylist()
    return kept, rejects


def texts(rows: list[dict]) -> list[tuple]:
    return [(r["line"], *(r[c] for c in ("src", "tgt", "text") if c in r)) for r in rows]


def mono(tmp_path, content: bytes, name: str = "m.txt", **fields) -> tuple[list[dict], list[dict]]:
    (tmp_path / name).write_bytes(content)
    return read(source(tmp_path, name, **{"languages": ("en",)} | fields))
