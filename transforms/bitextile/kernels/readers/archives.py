"""Files as bytes, uncompressed by their ending; a member of a zip file as a file of its own."""

import bz2
import contextlib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Any

import pyarrow as pa

from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Endings of compressed files."""
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)
"""What reading a damaged file raises, over all compressions."""
_BLOCK_BYTES = 1 << 20


@contextlib.contextmanager
def open_bytes(file: str) -> Iterator[IO[bytes]]:
    """Opens a file as bytes, uncompressed by its ending; closes all that it opened.

    Args:
        file: a path or URI; `archive.zip#member` for a member of a zip file.

    Raises:
        InputError: the file or the member is not there, or it is damaged at its beginning.
    """
    path, member = archive_member(file)
    with contextlib.ExitStack() as stack:
        try:
            filesystem_, place = filesystem(path)
            raw = stack.enter_context(filesystem_.open_input_file(place))
            stream: Any = raw
            if PurePath(path).suffix == ".zip":
                stream = stack.enter_context(zipfile.ZipFile(raw).open(_member(raw, path, member)))
            else:
                stream = stack.enter_context(_decompressed(raw, PurePath(path).suffix))
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; check its name") from error
        except (*DAMAGED, RuntimeError) as error:  # zipfile's, for an encrypted member
            raise InputError(f"{path}: cannot be opened ({error}); fetch it again") from error
        yield stream


def read_block(stream: IO[bytes], file: str) -> bytes:
    """Returns the next megabyte of an opened file, empty at its end.

    Raises:
        InputError: what follows is cut short or damaged.
    """
    try:
        return stream.read(_BLOCK_BYTES)
    except DAMAGED as error:
        raise InputError(
            f"{file}: cannot be read to its end ({error}); "
            "it is cut short or damaged: fetch it again"
        ) from error


def archive_member(file: str) -> tuple[str, str]:
    """Returns the path of a file, and which member of it is meant, if it is a zip file.

    >>> archive_member("a/web.zip#de.txt"), archive_member("c#1/de.txt")
    (('a/web.zip', 'de.txt'), ('c#1/de.txt', ''))
    """
    path, mark, member = file.partition(".zip#")
    return (f"{path}.zip", member) if mark else (file, "")


def _decompressed(raw: Any, suffix: str) -> Any:
    # Dumps are often several streams one after another (pigz, `cat a.gz b.gz`); Python's readers go
    # on to the next one, and so does Arrow's of Zstandard (test_archives).
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return lzma.LZMAFile(raw)
    if suffix == ".zst":
        return pa.CompressedInputStream(raw, "zstd")
    return raw


def _member(raw: Any, path: str, member: str) -> str:
    names = zipfile.ZipFile(raw).namelist()
    if member not in names:
        raise InputError(f"{path}: no member {member!r}; write {path}#NAME with one of {names}")
    return member
