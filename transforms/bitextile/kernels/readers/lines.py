"""Text files: one sentence a line, or two files of which line n translates line n."""

import codecs
import itertools
from collections.abc import Iterator

from bitextile.kernels.readers.archives import open_bytes, read_block
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow, join_sides
from bitextile.schema.errors import InputError

MAX_LINE_BYTES = 1 << 20
"""A longer line is no sentence; it becomes a reject, and memory stays bounded."""


def read_lines(source: CorpusSource) -> Iterator[Row]:
    """Reads one text file, or two of which line n translates line n."""
    columns = [text_lines(file) for file in source.files]
    missing = object()
    for line, sides in enumerate(itertools.zip_longest(*columns, fillvalue=missing), start=1):
        if missing in sides:
            raise _unequal_lengths(source, line, sides.index(missing))
        yield join_sides(sides)


LINES = Format(name="lines", read=read_lines, files_per_bitext=2)


def _unequal_lengths(source: CorpusSource, line: int, short: int) -> InputError:
    longer = sum(1 for _ in text_lines(source.files[1 - short]))
    return InputError(
        f"{source.names[short]} has {line - 1} lines, {source.names[1 - short]} has {longer}; "
        "line n of one must translate line n of the other: "
        "find the missing lines, or leave these files out"
    )


def text_lines(file: str) -> Iterator[str | UnreadableRow]:
    """Yields each line without its end, or an UnreadableRow where it is not UTF-8 or too long."""
    for lines, cut in _byte_lines(file):
        # Nearly all blocks are valid and of short lines: these are decoded in one go, which is what
        # makes reading cheap; only the others are looked at line by line.
        try:
            if cut + max(map(len, lines)) <= MAX_LINE_BYTES:
                yield from b"\n".join(lines).decode().split("\n")
                continue
        except UnicodeDecodeError:
            pass
        yield decode_line(lines[0], cut)
        yield from map(decode_line, lines[1:])


def decode_line(line: bytes, cut: int = 0) -> str | UnreadableRow:
    r"""Returns a line's text, or an UnreadableRow if it is not UTF-8 or too long.

    Args:
        line: its first bytes.
        cut: bytes that were left out after them.

    >>> decode_line("سلام".encode()), decode_line(b"caf\xe9").rule
    ('سلام', 'invalid_utf8/1')
    """
    size = len(line) + cut
    if size > MAX_LINE_BYTES:
        shown = line[:1000].decode(errors="backslashreplace")
        return UnreadableRow(
            "line_bytes/1", size, f"a line of more than {MAX_LINE_BYTES} bytes", shown
        )
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raw = line.decode(errors="backslashreplace")
        return UnreadableRow(
            "invalid_utf8/1", error.start, f"byte 0x{line[error.start]:02x} at {error.start}", raw
        )


def _byte_lines(file: str) -> Iterator[tuple[list[bytes], int]]:
    """Yields the lines of each block, and how many bytes were cut out of the first of them.

    Of a line that is too long only the beginning is held in memory.
    """
    rest, cut, mark = b"", 0, codecs.BOM_UTF8
    with open_bytes(file) as stream:
        while block := read_block(stream, file):
            *lines, rest = (rest + block).split(b"\n")
            if lines:
                lines[0] = lines[0].removeprefix(mark)
                yield [_without_return(line) for line in lines], cut
                cut, mark = 0, b""
            # One byte more than allowed is kept, so that what is too long still measures as such.
            cut += max(0, len(rest) - MAX_LINE_BYTES - 1)
            rest = rest[: MAX_LINE_BYTES + 1]
    if rest := rest.removeprefix(mark):
        yield [_without_return(rest)], cut


def _without_return(line: bytes) -> bytes:
    # A carriage return before the newline is Windows' line end, not text.
    return line[:-1] if line.endswith(b"\r") else line
