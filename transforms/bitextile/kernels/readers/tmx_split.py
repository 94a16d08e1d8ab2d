"""A TMX file cut into its units without parsing it, so that a bad one leaves the others readable.

<tmx ...><header/><body> | <tu>...</tu> | <tu>..&.</tu> | <tu>...</tu> | </body></tmx>
head                       unit           unit, bad       unit
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_UNIT_BYTES = 4 << 20
"""Of a unit; one that goes on is given up, and memory stays bounded."""
_LONGEST_TAG = 200
"""Bytes of a tag that may stand at the end of a block, cut."""
_LONGEST_ROOT = 1 << 20
"""Bytes at the head of the file in which the root's tag must stand."""
_PREFIX = rb"(?:[\w.-]+:)?"
_START = re.compile(rb"<(?:(!--)|" + _PREFIX + rb"tu(?=[\s/>]))")
_EDGE = re.compile(rb"<(?:(/?)" + _PREFIX + rb"tu(?=[\s/>])|(!--|!\[CDATA\[))")
_ROOT = re.compile(rb"<" + _PREFIX + rb"tmx(?:\s(?:[^<>\"']|\"[^<\"]*\"|'[^<']*')*)?>")
_END = re.compile(rb"</" + _PREFIX + rb"tmx\s*>")
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class Piece(NamedTuple):
    """A part of the file.

    Attributes:
        line: that it begins at, from 1.
        content: of the head, of a unit, or what is bad.
        is_head: whether it is a part of what stands before the first unit.
        problem: what is bad about it; empty if that is for a parser to tell.
        root: the tags of the root, on one line; around a unit they make a document of it.
    """

    line: int
    content: bytes
    is_head: bool = False
    problem: str = ""
    root: tuple[bytes, bytes] = (b"", b"")

    @property
    def document(self) -> bytes:
        """The unit as a document of its own, with the same line numbers."""
        return self.content.join(self.root)


def split_units(blocks: Iterator[bytes]) -> Iterator[Piece]:
    """Yields the head of a TMX file in parts, then each unit by itself.

    A unit ends with its tag, or where the next one begins.

    Args:
        blocks: the file as UTF-8, whose bytes may be invalid.
    """
    text, head = _Text(blocks), b""
    for part in text.skip_to_unit():
        head = head + part if len(head) < _LONGEST_ROOT else head
        yield Piece(text.line, part, is_head=True)
    opening = b"<tmx>"
    for found in _ROOT.finditer(head):
        opening = found[0].translate(_ONE_LINE)
    root = opening, b"</" + opening[1:-1].split()[0] + b">"
    while text.is_at_unit:
        line, (unit, problem) = text.line, text.take_unit()
        yield Piece(line, unit, problem=problem, root=root)
        for _ in text.skip_to_unit():
            pass
    if not text.is_complete:
        yield Piece(text.line, b"", problem="the file ends before </tmx>; is it complete?")


class _Text:
    """A file of which only a part is held.

    Attributes:
        line: of the first byte held.
        is_at_unit: whether that byte begins a unit.
        is_complete: whether the root ended, or a unit did not, which tells as much.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._held, self._at, self._tail = blocks, b"", 0, b""
        self._passed = 0  # bytes of the file before that byte
        self._without_end: dict[bytes, int] = {}
        self.line, self.is_at_unit, self.is_complete = 1, False, False

    def skip_to_unit(self) -> Iterator[bytes]:
        """Yields what stands before the next unit, comments included, and forgets it."""
        self.is_at_unit = False
        while not self.is_at_unit:
            found = _START.search(self._held, self._at)
            if found and not found[1]:
                self.is_at_unit = True
                yield self._skip(found.start())
            elif found:
                yield self._skip(found.end())
                yield from self._skip_comment()
            else:
                yield self._skip(max(self._at, len(self._held) - _LONGEST_TAG))
                if not self._read():
                    yield self._skip(len(self._held))
                    return

    def _skip_comment(self) -> Iterator[bytes]:
        while (end := self._held.find(b"-->", self._at)) < 0:
            yield self._skip(max(self._at, len(self._held) - 2))
            if not self._read():
                return
        yield self._skip(end + 3)

    def take_unit(self) -> tuple[bytes, str]:
        """Returns the unit that is at hand, and what is bad about it if it is too long."""
        looked = 1  # positions are relative: reading moves what is held
        while True:
            edge = _EDGE.search(self._held, self._at + looked)
            if edge and edge[2]:
                looked = self._behind(b"-->" if edge[2] == b"!--" else b"]]>", edge.end())
                continue
            if edge and not edge[1]:
                return self._take(edge.start()), ""
            if edge and (end := self._held.find(b">", edge.end())) >= 0:
                return self._take(end + 1), ""
            size = len(self._held) - self._at
            if size > MAX_UNIT_BYTES:
                return self._take(len(self._held)), f"a unit of more than {MAX_UNIT_BYTES} bytes"
            looked = max(looked, size - _LONGEST_TAG)
            if not self._read():
                self.is_complete = True
                return self._take(len(self._held)), ""

    def _behind(self, closing: bytes, start: int) -> int:
        """Returns where a comment or CDATA section ends; where it begins, if it ends nowhere."""
        begins = start - self._at
        # What was looked through for an earlier one has no end for this one: a file of sections
        # that do not end is gone through once.
        looked = max(begins, self._without_end.get(closing, 0) - self._passed)
        while (end := self._held.find(closing, self._at + looked)) < 0:
            looked = max(looked, len(self._held) - self._at - len(closing) + 1)
            self._without_end[closing] = self._passed + looked
            if len(self._held) - self._at > MAX_UNIT_BYTES or not self._read():
                return begins
        return end + len(closing) - self._at

    def _read(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        self._held, self._at = self._held[self._at :] + block, 0
        return True

    def _take(self, end: int) -> bytes:
        content = self._held[self._at : end]
        self._passed += end - self._at
        self._at = end
        self.line += content.count(b"\n")
        return content

    def _skip(self, end: int) -> bytes:
        content = self._take(end)
        around = self._tail + content
        self.is_complete = self.is_complete or bool(_END.search(around))
        self._tail = around[-_LONGEST_TAG:]
        return content
