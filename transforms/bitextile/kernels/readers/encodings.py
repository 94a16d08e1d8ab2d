r"""Text files as UTF-8, whatever they are written in.

The encoding is that of the byte order mark, else the one the recipe names, else UTF-8:

    FF FE 41 04 0A 00    UTF-16, «с\n»
    EF BB BF D1 81 0A    UTF-8
    D1 81 0A             UTF-8, or what `encoding` says

Bytes that the encoding does not have stay invalid, so that their line becomes a reject.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import chain

from bitextile.kernels.readers.archives import open_bytes, read_block
from bitextile.schema.errors import ConfigError, InputError

# UTF-32's mark begins with that of UTF-16, so it is asked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_ENCODINGS = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
_HEAD_BYTES = 1 << 16
_BINARY = {
    b"\x1f\x8b": "gzip (.gz)",
    b"\xfd7zXZ\0": "xz (.xz)",
    b"\x28\xb5\x2f\xfd": "Zstandard (.zst)",
    b"PK\3\4": "zip (.zip; a spreadsheet is one, too)",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x1f\x9d": "compress (.Z)",
    b"PAR1": "Parquet (.parquet)",
    b"%PDF-": "PDF",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Word or Excel file",
}
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_TAR_MAGIC = slice(257, 262)
_MOST_CONTROLS = 0.01
_FEWEST_CONTROLS = 8
_HANDLER = "bitextile.unknown_bytes"
UNKNOWN_BYTES = "\udcff".encode(errors="surrogatepass")
"""Stands for bytes that an encoding does not have; invalid UTF-8."""


def check_encoding(name: str) -> str:
    """Returns the name of a text encoding; "" stays "".

    Raises:
        ConfigError: Python has no such encoding, or it is none of text files.

    >>> check_encoding("windows-1256"), check_encoding("Shift_JIS")
    ('windows-1256', 'Shift_JIS')
    """
    if name and canonical_encoding(name) is None:
        raise ConfigError(
            f"encoding {name!r} is not known; expected a name such as utf-8, utf-16, "
            "windows-1252, shift_jis or gb18030"
        )
    return name


def canonical_encoding(name: str) -> str | None:
    """Returns Python's name of an encoding, None for what is none of text files.

    >>> canonical_encoding("Latin1"), canonical_encoding("UTF8"), canonical_encoding("rot13")
    ('iso8859-1', 'utf-8', None)
    """
    try:
        found = codecs.lookup(name)
        "\n".encode(found.name)
    except (LookupError, ValueError):
        return None
    if found.name in _NO_ENCODINGS or found.incrementaldecoder is None:
        return None
    return "utf-8" if found.name == "utf-8-sig" else found.name


def utf8_blocks(
    file: str, encoding: str = "", *, declared: Callable[[bytes], str] | None = None
) -> Iterator[bytes]:
    """Yields a text file's content in blocks of about a megabyte, as UTF-8 without a mark.

    Args:
        file: as `archives.open_bytes` takes it.
        encoding: of a file without a byte order mark; empty for UTF-8.
        declared: returns what the head of a file without a mark says of its encoding, which counts
            where `encoding` is empty.

    Raises:
        InputError: it is missing or damaged; it is no text: compressed without an ending that says
            so, or full of NUL bytes or C1 controls, as text in another encoding is.
    """
    with open_bytes(file) as stream:
        head = b""
        while len(head) < _HEAD_BYTES and (block := read_block(stream, file)):
            head += block
        _refuse_binary(head, file)
        mark, found = encoding_of(head, encoding)
        if not mark and not encoding and declared is not None:
            mark, found = encoding_of(head, declared(head))
        rest = iter(lambda: read_block(stream, file), b"")
        blocks: Iterator[bytes] = chain([head[len(mark) :]], rest)
        if found != "utf-8":
            blocks = _transcoded(blocks, found)
        first = next(blocks)
        _refuse_controls(first[:_HEAD_BYTES], file, found)
        yield from chain([first], blocks)


def encoding_of(head: bytes, default: str = "") -> tuple[bytes, str]:
    r"""Returns the byte order mark a file begins with, and the encoding it is read in.

    Args:
        head: its first bytes.
        default: encoding of a file without a mark; empty for UTF-8.

    >>> encoding_of("\ufeffслово".encode("utf-16-be")), encoding_of(b"word", "Latin1")
    ((b'\xfe\xff', 'utf-16-be'), (b'', 'iso8859-1'))
    >>> encoding_of("два слова".encode("utf-16-be"), "UTF-16")
    (b'', 'utf-16-be')
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    encoding = canonical_encoding(default) or "utf-8"
    if encoding in ("utf-16", "utf-32"):
        # White space and digits have NULs on one side: that of the more significant bytes.
        width = 2 if encoding == "utf-16" else 4
        big, little = head[::width].count(0), head[width - 1 :: width].count(0)
        encoding += "-be" if big > little else "-le"
    return b"", encoding


def _transcoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors=_HANDLER)
    for block in blocks:
        yield decoder.decode(block).encode(errors="surrogatepass")
    yield decoder.decode(b"", final=True).encode(errors="surrogatepass")


def _as_surrogate(error: UnicodeError) -> tuple[str, int]:
    """Returns what becomes UNKNOWN_BYTES, and where decoding goes on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNKNOWN_BYTES.decode(errors="surrogatepass"), error.end


codecs.register_error(_HANDLER, _as_surrogate)


def _refuse_binary(head: bytes, file: str) -> None:
    kind = next((kind for magic, kind in _BINARY.items() if head.startswith(magic)), "")
    if _BZIP2.match(head):
        kind = "bzip2 (.bz2)"
    elif head[_TAR_MAGIC] == b"ustar":
        kind = "a tar archive (.tar.gz)"
    if kind:
        raise InputError(
            f"{file}: expected text, got {kind}; give the file the ending that says so, "
            "or unpack it"
        )


def _refuse_controls(head: bytes, file: str, encoding: str) -> None:
    """Refuses what has NUL or C1 controls in bulk: no text has, but text decoded wrongly does."""
    least = max(_FEWEST_CONTROLS, _MOST_CONTROLS * len(head))
    if head.count(0) >= least:
        what, hint = "NUL bytes", "`encoding: utf-16-le`"
    elif _c1_controls(head) >= least:
        what, hint = "control characters U+0080 to U+009F", "`encoding`, or mend text decoded twice"
    else:
        return
    raise InputError(
        f"{file}: full of {what}, so it is not text in {encoding}; name its encoding in the "
        f"recipe, as in {hint}"
    )


def _c1_controls(head: bytes) -> int:
    # U+0085 is a line end in files from mainframes.
    return sum(head.count(bytes([0xC2, low])) for low in range(0x80, 0xA0) if low != 0x85)
