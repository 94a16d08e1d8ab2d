"""Files as bytes, uncompressed by their ending; a member of an archive as a file of its own."""

import bz2
import contextlib
import gzip
import io
import itertools
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Any, Protocol

import pyarrow as pa

from bitextile.kernels.readers.expansion import Expansion
from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Endings of compressed files."""
DAMAGED = (
    *(EOFError, OSError, zlib.error, lzma.LZMAError, ValueError),
    *(zipfile.BadZipFile, tarfile.TarError, NotImplementedError),
)
"""What reading a damaged file raises, over all compressions and archives."""
_BLOCK_BYTES = 1 << 20
_SHORT = {".tgz": ".gz", ".tbz": ".bz2", ".tbz2": ".bz2", ".txz": ".xz", ".tzst": ".zst"}
_TAR = re.compile(r"\.tar(\.gz|\.bz2|\.xz|\.zst)?$|\.tgz$|\.tbz2?$|\.txz$|\.tzst$", re.IGNORECASE)
_MEMBER = re.compile(
    r"(?P<archive>.*?\.(?:zip|tar|tar\.gz|tar\.bz2|tar\.xz|tar\.zst|tgz|tbz2?|txz|tzst))"
    r"#(?P<member>.*)",
    re.IGNORECASE | re.DOTALL,
)
_LISTED = 20
"""Members that a message names at most."""
_MAX_HEADER_BYTES = 1 << 20
_XZ_MEMORY = 256 << 20
"""Bytes a file may ask of its decoder; `xz -9` asks for 65 MiB, but a header may ask for 4 GiB."""


class Readable(Protocol):
    """What can be read to its end."""

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes, none at the end."""
        ...


@contextlib.contextmanager
def open_bytes(file: str) -> Iterator["Readable"]:
    """Opens a file as bytes, uncompressed by its ending; closes all that it opened.

    Args:
        file: a path or URI; `archive.zip#member` or `archive.tar.gz#member` for a member of an
            archive, which may be compressed itself.

    Raises:
        InputError: the file or the member is not there, or it is damaged at its beginning. Reading
            raises it, too, where the file unpacks to far more than it is (`Expansion`).
    """
    path, member = archive_member(file)
    with contextlib.ExitStack() as stack:
        try:
            filesystem_, place = filesystem(path)
            stream: Any = stack.enter_context(filesystem_.open_input_file(place))
            expansion = Expansion(path, stream.size())
            if _ending(path) == ".zip":
                zipped = stack.enter_context(zipfile.ZipFile(stream))
                stream = stack.enter_context(zipped.open(_zip_member(zipped, path, member)))
            elif _TAR.search(path):
                stream = stack.enter_context(_decompressed(stream, path))
                archive = tarfile.TarFile(fileobj=_Forward(stream))
                stream = stack.enter_context(_tar_member(archive, path, member))
            stream = stack.enter_context(_decompressed(stream, member or path))
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; check its name") from error
        except (*DAMAGED, RuntimeError) as error:  # zipfile's, for an encrypted member
            raise InputError(f"{path}: cannot be opened ({error}); fetch it again") from error
        yield _Counted(stream, expansion)


def read_block(stream: "Readable", file: str) -> bytes:
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
    """Returns the path of a file, and which member of it is meant, if it is an archive.

    >>> archive_member("a/web.zip#de.txt"), archive_member("c#1/de.txt")
    (('a/web.zip', 'de.txt'), ('c#1/de.txt', ''))
    >>> archive_member("news.tar.gz#news/zh.txt.xz")
    ('news.tar.gz', 'news/zh.txt.xz')
    """
    found = _MEMBER.fullmatch(file)
    return (found["archive"], found["member"]) if found else (file, "")


def packed_bytes(file: str) -> int:
    """Returns the size of a file as it lies there; of an archive's member, that of the archive.

    It is 0 if nothing is there: whoever opens it says so.
    """
    filesystem_, place = filesystem(archive_member(file)[0])
    return filesystem_.get_file_info(place).size or 0


def _ending(path: str) -> str:
    return PurePath(path).suffix.lower()


def _decompressed(raw: Any, path: str) -> Any:
    suffix = _ending(path)
    suffix = _SHORT.get(suffix, suffix)
    # Dumps are often several streams one after another (pigz, `cat a.gz b.gz`); Python's readers go
    # on to the next one, and so does Arrow's of Zstandard (test_archives).
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return _Xz(raw)
    if suffix == ".zst":
        return pa.CompressedInputStream(raw, "zstd")
    return raw


def _zip_member(archive: zipfile.ZipFile, path: str, member: str) -> str:
    names = archive.namelist()
    if member not in names:
        raise _no_member(path, member, (name for name in names if not name.endswith("/")))
    return member


def _tar_member(archive: tarfile.TarFile, path: str, member: str) -> IO[bytes]:
    """Returns a member of a tar file, which is read from its beginning to there."""
    names: list[str] = []
    while entry := archive.next():
        archive.members = []  # type: ignore[attr-defined]  # it would remember every header
        if entry.name == member and not entry.isdir():
            if not entry.isfile():
                raise InputError(f"{path}: member {member!r} is a link; name the file it leads to")
            stream = archive.extractfile(entry)
            assert stream is not None  # None only for what is no file
            return stream
        if entry.isfile() and len(names) <= _LISTED:
            names.append(entry.name)
    raise _no_member(path, member, names)


def _no_member(path: str, member: str, names: Iterator[str] | list[str]) -> InputError:
    first = list(itertools.islice(names, _LISTED + 1))
    shown = ", ".join(first[:_LISTED]) + (", ..." if len(first) > _LISTED else "")
    got = f"no member {member!r}" if member else "an archive of which no member is named"
    holds = f"write {path}#NAME with one of {shown}" if shown else "it holds no file"
    return InputError(f"{path}: {got}; {holds}")


class _Forward(io.RawIOBase):
    """A stream that tarfile may read from its beginning to its end, skipping ahead.

    Compressed streams cannot go back, and a header may claim any size: what it is made of is read
    at once, so that is bounded here.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._at = stream, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        content = b""
        while len(content) < size and (more := self._stream.read(size - len(content))):
            content += more
        self._at += len(content)
        return content

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._at:
            raise tarfile.ReadError(f"byte {offset:,} lies before byte {self._at:,}")
        while self._at < offset and self.read(min(_MAX_HEADER_BYTES, offset - self._at)):
            pass
        return self._at


class _Counted:
    """A stream whose bytes count as unpacked from a file."""

    def __init__(self, stream: IO[bytes], expansion: Expansion) -> None:
        self._stream, self._expansion = stream, expansion

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._expansion.add(len(content))
        return content


class _Xz(io.RawIOBase):
    """An xz file as `lzma.LZMAFile` reads it, but with a limit on the memory it may ask for."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._decoder = packed, lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int = -1) -> bytes:
        while True:
            content = b""
            if self._decoder.eof:
                # Streams may follow one another, with NUL bytes between them.
                content = self._decoder.unused_data.lstrip(b"\0")
                while not content and (block := self._packed.read(_BLOCK_BYTES)):
                    content = block.lstrip(b"\0")
                if not content:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._decoder.needs_input and not (content := self._packed.read(_BLOCK_BYTES)):
                raise EOFError("it ends before its end-of-stream marker")
            if unpacked := self._decoder.decompress(content, size):
                return unpacked
