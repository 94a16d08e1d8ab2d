"""A limit on files that are read whole: dictionaries, task data, gold links.

They are of some megabytes, and take several times their size in memory. A small compressed file has
no claim to it, and no file may take more than a machine has.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from bitextile.kernels.readers.archives import packed_bytes
from bitextile.schema.errors import InputError

MAX_BYTES = 1 << 29
"""The largest in use, a German treebank, has 270 MB."""
FREE_BYTES = 1 << 26
MAX_RATIO = 20
"""Bytes of text for a byte of a compressed file, beyond FREE_BYTES: text has no more than 10."""
_LINE_BYTES = 64
"""What a line takes beside its text."""

T = TypeVar("T")


def most_bytes(path: str) -> int:
    """Returns how many bytes of a file, unpacked, may be held.

    Args:
        path: of the file, or of a member of an archive.
    """
    return min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * packed_bytes(path)))


def limited(lines: Iterable[T], path: str) -> Iterator[T]:
    """Yields the lines of a file, as many as may be held at once.

    Args:
        lines: of text; what has no length counts for a line without text.
        path: of the file.

    Raises:
        InputError: there are more.
    """
    left = limit = most_bytes(path)
    for line in lines:
        left -= _LINE_BYTES + (len(line) if isinstance(line, str) else 0)
        if left < 0:
            raise too_large(path, limit)
        yield line


def too_large(path: str, limit: int) -> InputError:
    """Returns what a file that is larger than it may be is refused by."""
    return InputError(
        f"{path}: more than {limit >> 20} MiB, unpacked, of a file that is read whole; "
        "split it into parts"
    )
