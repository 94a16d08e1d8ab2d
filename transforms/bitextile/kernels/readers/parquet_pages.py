"""What the pages of a Parquet file hold, read from their headers alone; nothing is unpacked.

A page is unpacked whole, and the value that a run of a million rows repeats stands in it once: 700
bytes may stand for gigabytes. What the footer says of it is a claim that readers do not check, and
the header of a page is what they go by.

    column chunk   [header][dictionary: "ja", "nein"] [header][0 0 1 0 ...] [header][1 1 ...]

Source: Apache Parquet format 2.11, parquet.thrift; Thrift compact protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

_MAX_HEADER_BYTES = 16 << 20
"""Of a page's header, as in Arrow: statistics in it may hold two values."""
_HEADER_BLOCK = 1 << 12
_DICTIONARY_PAGE, _DATA_PAGE, _DATA_PAGE_V2 = 2, 0, 3
_DELTA_BYTE_ARRAY = 7
_DICTIONARY_ENCODINGS = (2, 8)  # PLAIN_DICTIONARY, RLE_DICTIONARY
_MAX_PARSED_BYTES = 4 << 20
_CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd"}


class Page(NamedTuple):
    """A page: its type, bytes unpacked and packed, values, encoding, and where its content is."""

    type: int
    bytes: int
    packed: int
    values: int
    encoding: int
    at: int


@dataclass
class Content:
    """What a column chunk holds at most.

    Attributes:
        packed: bytes in the file.
        values: of all data pages; nulls count.
        largest_page: bytes.
        longest: bytes of a value: of the longest in the dictionary, or the mean of a page of plain
            ones.
        shares_beginnings: whether a value may be longer than what stands for it, since it repeats
            the beginning of that before it (DELTA_BYTE_ARRAY).
    """

    packed: int = 0
    values: int = 0
    largest_page: int = 0
    longest: int = 0
    shares_beginnings: bool = False


def content_of(stream: IO[bytes], chunk: pq.ColumnChunkMetaData) -> Content:
    """Returns what the pages of a column chunk hold at most.

    Args:
        stream: the file.
        chunk: where the footer says that the chunk lies.

    Raises:
        ValueError: what lies there are no pages.
    """
    found = Content()
    for page in _pages(stream, chunk):
        found.packed += page.packed
        found.largest_page = max(found.largest_page, page.bytes)
        if page.type == _DICTIONARY_PAGE:
            found.longest = max(found.longest, _longest_in_dictionary(stream, chunk, page))
        elif page.type in (_DATA_PAGE, _DATA_PAGE_V2):
            found.values += page.values
            found.shares_beginnings |= page.encoding == _DELTA_BYTE_ARRAY
            if page.encoding not in _DICTIONARY_ENCODINGS:
                found.longest = max(found.longest, page.bytes // max(page.values, 1))
    return found


def _pages(stream: IO[bytes], chunk: pq.ColumnChunkMetaData) -> Iterator[Page]:
    at = chunk.data_page_offset
    # Some writers say 0 where there is no dictionary.
    if chunk.has_dictionary_page and (chunk.dictionary_page_offset or 0) > 0:
        at = min(at, chunk.dictionary_page_offset)
    end = at + chunk.total_compressed_size
    while at < end:
        page = _page(stream, at)
        yield page
        at = page.at + page.packed


def _page(stream: IO[bytes], at: int) -> Page:
    size = _HEADER_BLOCK
    while True:
        stream.seek(at)
        block = stream.read(size)
        try:
            reader = _Compact(block)
            fields = reader.struct()
        except IndexError as error:  # the header goes on behind what was read
            if size >= _MAX_HEADER_BYTES or len(block) < size:
                raise ValueError("a page without an end to its header") from error
            size *= 16
            continue
        kind, unpacked, packed = (fields.get(number, -1) for number in (1, 2, 3))
        of_kind = fields.get(
            {_DATA_PAGE: 5, _DICTIONARY_PAGE: 7, _DATA_PAGE_V2: 8}.get(kind, 0), {}
        )
        # In the header of version 2 the encoding stands behind the numbers of nulls and rows.
        encoding = of_kind.get(4 if kind == _DATA_PAGE_V2 else 2, 0)
        if min(kind, unpacked, packed, of_kind.get(1, 0)) < 0:
            raise ValueError(f"no page at byte {at}")
        return Page(kind, unpacked, packed, of_kind.get(1, 0), encoding, at + reader.at)


def _longest_in_dictionary(stream: IO[bytes], chunk: pq.ColumnChunkMetaData, page: Page) -> int:
    """Returns the bytes of the longest text in a dictionary; those of all if that is large."""
    codec = _CODECS.get(chunk.compression)
    is_plain = chunk.compression == "UNCOMPRESSED"
    is_text = chunk.physical_type == "BYTE_ARRAY"
    if not is_text or page.bytes > _MAX_PARSED_BYTES or not (is_plain or codec):
        return page.bytes
    stream.seek(page.at)
    packed = stream.read(page.packed)
    try:
        content = packed if is_plain else pa.decompress(packed, page.bytes, codec, asbytes=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"a damaged page at byte {page.at}: {error}") from error
    at = longest = 0
    while at + 4 <= len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        longest, at = max(longest, length), at + 4 + length
    return longest


class _Compact:
    """Reads a struct of Thrift's compact protocol; raises IndexError where the bytes end."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Returns the numbers and structs in it by field; what else it holds is passed over."""
        if depth > 8:
            raise ValueError("a page's header is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            fields[number] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._varint())
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"a page's header with a field of type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("a page's header with an endless number")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._content):
            raise IndexError
