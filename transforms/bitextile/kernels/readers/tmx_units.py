"""Translation units of TMX 1.4 out of a stream of XML; of each only its texts are held.

Codes of the markup (bpt, ept, it, ph, ut, and XLIFF's x, bx, ex) are no text. What they stand for
decides what is left of them:

    First line<ph>&lt;br/&gt;</ph>second line    a break or a tab: a space
    Name<ph>%s</ph>Value                         something between two words: a space
    Press <bpt>&lt;b&gt;</bpt>OK<ept/>!          formatting: nothing

Source: TMX 1.4b, «Content Markup»; XML 1.0, section 4 (entities).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from bitextile.kernels.rejects import SHOWN_CHARS
from bitextile.schema.errors import InputError

MAX_UNIT_CHARS = 1 << 20
"""Characters of a unit; with more it is no sentence, and they are not held."""
_MAX_VARIANTS = 10_000
_MAX_DEPTH = 1_000
_MAX_TOKEN_BYTES = 16 << 20
_MAX_CODE_CHARS = 1_000
_MAX_TAG_CHARS = 200
"""Of a language tag; BCP 47 asks for room for 35, and no longer one is of a language."""

_PLACEHOLDERS = frozenset(("ph", "ut", "x", "bx", "ex"))
_CODES = _PLACEHOLDERS | {"bpt", "ept", "it"}
_NO_TEXT = frozenset(("note", "prop"))
_BREAK_TYPES = frozenset(("lb", "pb", "cb", "br", "tab", "linebreak", "newline"))
_BREAK = re.compile(
    r"<\s*/?\s*(?:br|p|div|li|ul|ol|tr|td|th|h[1-6]|hr|lb|tab)\b"  # HTML
    r"|\\(?:n|r|t|tab|line|par|page|cell|row)(?![A-Za-z])"  # RTF, and escapes of programs
    r"|^\s+$",
    re.IGNORECASE,
)
_NO_GAP, _BETWEEN_WORDS, _ALWAYS = range(3)
_ENDS_SENTENCE = frozenset(".!?:;,…。！？：；，、،؛؟।")
_UNDEFINED_ENTITY = 11


class SegmentText:
    """The text of a segment as it is put together.

    Attributes:
        chars: so far.
    """

    def __init__(self) -> None:
        self.chars = 0
        self._parts: list[str] = []
        self._gap = _NO_GAP

    def add(self, text: str) -> None:
        """Appends text, behind a space where a code left a gap."""
        if self._parts and _needs_space(self._gap, self._parts[-1][-1], text[0]):
            self._parts.append(" ")
        self._gap = _NO_GAP
        self._parts.append(text)
        self.chars += len(text)

    def leave_gap(self, gap: int) -> None:
        """Notes that a code stood here."""
        self._gap = max(self._gap, gap)

    def __str__(self) -> str:
        return "".join(self._parts)


def _needs_space(gap: int, before: str, after: str) -> bool:
    if gap == _NO_GAP or before.isspace() or after.isspace():
        return False
    return gap == _ALWAYS or (
        (_is_of_word(before) or before in _ENDS_SENTENCE) and _is_of_word(after)
    )


def _is_of_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


@dataclass
class Variant:
    """A `<tuv>`: its language tag, its segments, and text that stands outside of any."""

    tag: str
    segments: list[SegmentText] = field(default_factory=list)
    outside: SegmentText = field(default_factory=SegmentText)

    @property
    def text(self) -> str:
        """The text of the segments; without any, that directly in the variant."""
        return " ".join(map(str, self.segments)) if self.segments else str(self.outside).strip()


@dataclass
class Unit:
    """A `<tu>`: the line it begins at, its variants, how much they hold, and if it was too much."""

    line: int
    variants: list[Variant] = field(default_factory=list)
    chars: int = 0
    segments: int = 0

    @property
    def is_too_long(self) -> bool:
        """Whether texts are missing, as there were too many."""
        return self.chars + self.segments > MAX_UNIT_CHARS or len(self.variants) > _MAX_VARIANTS


class UnitParser:
    """Finds units in XML that is fed to it in blocks of UTF-8.

    Args:
        file: named in messages.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._fed = 0
        self._open: list[str] = []
        self._units: list[Unit] = []
        self._unit: Unit | None = None
        self._variant: Variant | None = None
        self._text: SegmentText | None = None
        self._code: list[str] | None = None
        self._code_depth = self._skipped_depth = 0
        self._parser: Any = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.EntityDeclHandler = self._refuse("an entity")
        self._parser.UnparsedEntityDeclHandler = self._refuse("an unparsed entity")
        self._parser.ExternalEntityRefHandler = self._refuse("an external entity")
        self._parser.SkippedEntityHandler = self._undefined

    def feed(self, block: bytes, *, final: bool = False) -> Iterator[Unit]:
        """Yields the units that end in a block.

        Raises:
            ExpatError: the XML is not well-formed; `lineno` and `offset` say where.
            InputError: the root is no <tmx>, or the XML declares an entity.
        """
        self._fed += len(block)
        try:
            self._parser.Parse(block, final)
        finally:
            found, self._units = self._units, []
        if self._fed - self._parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            raise InputError(f"{self._file}: a tag of more than {_MAX_TOKEN_BYTES} bytes")
        return iter(found)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not self._open and local != "tmx":
            raise InputError(f"{self._file}: the root is <{local}>, expected <tmx>; is it TMX?")
        self._open.append(local)
        if len(self._open) > _MAX_DEPTH:
            raise InputError(f"{self._file}: tags nested {_MAX_DEPTH} deep; is it TMX?")
        if local == "tu":
            self._unit = Unit(self._parser.CurrentLineNumber)
        elif self._unit is None or self._skipped_depth:
            return
        elif local == "tuv":
            tag = attributes.get("xml:lang") or attributes.get("lang") or ""
            self._variant = Variant(tag.strip()[:_MAX_TAG_CHARS])
            self._text = self._variant.outside
            if not self._unit.is_too_long:
                self._unit.variants.append(self._variant)
        elif self._variant is not None:
            self._start_inside(local, attributes)

    def _start_inside(self, local: str, attributes: dict[str, str]) -> None:
        assert self._variant is not None
        assert self._unit is not None
        if local in _NO_TEXT:
            self._skipped_depth = len(self._open)
        elif local == "seg":
            self._text = SegmentText()
            # Each counts for the space that joins it, or a unit of empty ones would have no limit.
            self._unit.segments += 1
            if not self._unit.is_too_long:
                self._variant.segments.append(self._text)
        elif local in _CODES and self._code is None:
            self._code, self._code_depth = [], len(self._open)
            kind = attributes.get("type", "").lower().removeprefix("x-")
            if kind in _BREAK_TYPES:
                self._code.append("\n")

    def _end(self, name: str) -> None:
        depth, local = len(self._open), self._open.pop()
        if depth == self._skipped_depth:
            self._skipped_depth = 0
        elif self._skipped_depth:
            return
        elif self._code is not None and depth == self._code_depth:
            if self._text is not None:
                self._text.leave_gap(_gap("".join(self._code), local))
            self._code = None
        elif local == "seg" and self._variant is not None:
            self._text = self._variant.outside
        elif local == "tuv":
            self._variant = self._text = None
        elif local == "tu" and self._unit is not None:
            self._units.append(self._unit)
            self._unit = self._variant = self._text = None

    def _data(self, text: str) -> None:
        if self._text is None or self._unit is None or self._skipped_depth:
            return
        if self._code is not None:
            if len(self._open) == self._code_depth and len(self._code) < _MAX_CODE_CHARS:
                self._code.append(text[:_MAX_CODE_CHARS])
            return
        self._unit.chars += len(text)
        if not self._unit.is_too_long:
            self._text.add(text)
        elif not self._text.chars:
            self._text.add(text[:SHOWN_CHARS])  # for the reject

    def _refuse(self, what: str) -> Callable[..., int]:
        def refuse(*_: Any) -> int:
            raise InputError(
                f"{self._file}: the XML declares an entity ({what}), which could read other files "
                "or exhaust memory; remove the declaration"
            )

        return refuse

    def _undefined(self, name: str, is_parameter: bool) -> None:
        if is_parameter:
            return
        error = expat.ExpatError(f"undefined entity &{name};")
        error.code = _UNDEFINED_ENTITY
        error.lineno = self._parser.CurrentLineNumber
        error.offset = self._parser.CurrentColumnNumber
        raise error


def _gap(content: str, element: str) -> int:
    if _BREAK.search(content):
        return _ALWAYS
    return _BETWEEN_WORDS if element in _PLACEHOLDERS else _NO_GAP
