"""Text files: one sentence a line, or two files of which line n translates line n."""

import itertools
from collections.abc import Iterator

from bitextile.kernels.readers.encodings import UNKNOWN_BYTES, utf8_blocks
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow, join_sides
from bitextile.schema.errors import InputError

MAX_LINE_BYTES = 1 << 20
"""A longer line is no sentence; it becomes a reject, and memory stays bounded."""
_MOST_NULS = 0.1
"""A line with a larger share is not UTF-8: in UTF-16 every second byte of Latin script is a NUL."""


def read_lines(source: CorpusSource) -> Iterator[Row]:
    """Reads one text file, or two of which line n translates line n."""
    columns = [text_lines(file, source.encoding) for file in source.files]
    missing = object()
    for line, sides in enumerate(itertools.zip_longest(*columns, fillvalue=missing), start=1):
        if missing in sides:
            raise _unequal_lengths(source, line, sides.index(missing))
        yield join_sides(sides)


LINES = Format(name="lines", read=read_lines, files_per_bitext=2, options=("encoding",))


def _unequal_lengths(source: CorpusSource, line: int, short: int) -> InputError:
    longer = sum(1 for _ in text_lines(source.files[1 - short], source.encoding))
    return InputError(
        f"{source.names[short]} has {line - 1} lines, {source.names[1 - short]} has {longer}; "
        "line n of one must translate line n of the other: "
        "find the missing lines, or leave these files out"
    )


def text_lines(file: str, encoding: str = "") -> Iterator[str | UnreadableRow]:
    """Yields each line without its end, or an UnreadableRow where it cannot be read.

    Args:
        file: as `archives.open_bytes` takes it.
        encoding: as in `encodings.utf8_blocks`.
    """
    for lines, cut in _byte_lines(file, encoding):
        # Nearly all blocks are valid and of short lines: these are decoded in one go, which is what
        # makes reading cheap; only the others are looked at line by line.
        try:
            if cut + max(map(len, lines)) <= MAX_LINE_BYTES:
                whole = b"\n".join(lines)
                if b"\0" not in whole:
                    yield from whole.decode().split("\n")
                    continue
        except UnicodeDecodeError:
            pass
        yield decode_line(lines[0], cut)
        yield from map(decode_line, lines[1:])


def decode_line(line: bytes, cut: int = 0) -> str | UnreadableRow:
    r"""Returns a line's text, or an UnreadableRow if it is no text or too long.

    Args:
        line: its first bytes, UTF-8.
        cut: bytes that were left out after them.

    >>> decode_line("سلام".encode()), decode_line(b"caf\xe9").rule, decode_line(b"\0n\0o").rule
    ('سلام', 'invalid_utf8/1', 'nul_bytes/1')
    """
    size = len(line) + cut
    if size > MAX_LINE_BYTES:
        shown = line[:1000].decode(errors="backslashreplace")
        return UnreadableRow(
            "line_bytes/1", size, f"a line of more than {MAX_LINE_BYTES} bytes", shown
        )
    if (nuls := line.count(0)) > _MOST_NULS * size:
        shown = line.decode(errors="backslashreplace")
        return UnreadableRow("nul_bytes/1", nuls, "NUL bytes, as in UTF-16", shown)
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        return _undecodable(line, error.start)


def _undecodable(line: bytes, at: int) -> UnreadableRow:
    if line.startswith(UNKNOWN_BYTES, at):
        raw = line.replace(UNKNOWN_BYTES, "\ufffd".encode()).decode(errors="backslashreplace")
        detail = f"bytes that the file's encoding does not have, at {at}"
        return UnreadableRow("invalid_encoding/1", at, detail, raw)
    raw = line.decode(errors="backslashreplace")
    return UnreadableRow("invalid_utf8/1", at, f"byte 0x{line[at]:02x} at {at}", raw)


def _byte_lines(file: str, encoding: str) -> Iterator[tuple[list[bytes], int]]:
    """Yields the lines of each block, and how many bytes were cut out of the first of them.

    Of a line that is too long only the beginning is held in memory.
    """
    rest, cut = b"", 0
    for block in utf8_blocks(file, encoding):
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            yield [_without_return(line) for line in lines], cut
            cut = 0
        # One byte more than allowed is kept, so that what is too long still measures as such.
        cut += max(0, len(rest) - MAX_LINE_BYTES - 1)
        rest = rest[: MAX_LINE_BYTES + 1]
    if rest:
        yield [_without_return(rest)], cut


def _without_return(line: bytes) -> bytes:
    # A carriage return before the newline is Windows' line end, not text.
    return line[:-1] if line.endswith(b"\r") else line
