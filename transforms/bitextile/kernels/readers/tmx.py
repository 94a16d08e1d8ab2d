"""TMX 1.4: translation units as XML, texts by language tag; entities are refused."""

import itertools
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from xml.parsers import expat

from bitextile.kernels.readers.encodings import canonical_encoding, utf8_blocks
from bitextile.kernels.readers.source import CorpusSource, Format, Located, Row, UnreadableRow
from bitextile.kernels.readers.tmx_split import Piece, split_units
from bitextile.kernels.readers.tmx_units import MAX_UNIT_CHARS, Unit, UnitParser, Variant
from bitextile.schema.errors import InputError
from bitextile.schema.languages import canonical_tag, is_variety_of

_DECLARED = re.compile(rb"\s*<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"'>]*)")
# How `<?` looks without a byte order mark: XML 1.0, appendix F.
_WIDE = {
    b"<\0\0\0": "utf-32-le",
    b"\0\0\0<": "utf-32-be",
    b"<\0?\0": "utf-16-le",
    b"\0<\0?": "utf-16-be",
}
_CUT_SHORT = frozenset((2, 3, 5, 6, 20))
"""expat's errors of what is no XML or ends too early: syntax before the root, no element, unclosed
token, partial character, unclosed CDATA."""
_MAX_COMBINATIONS = 64
_SHOWN_CHARS = 10_000


def read_tmx(source: CorpusSource) -> Iterator[Located]:
    """Reads the translation units that have all languages; each combination of variants is a row.

    With `on_error: reject` a unit that is not well-formed is a reject.

    Raises:
        InputError: the file is not well-formed, or declares an entity or an unknown encoding.
    """
    file = source.files[0]
    blocks = utf8_blocks(file, source.encoding, declared=lambda head: _declared(head, file))
    units = _units_apart if source.on_error == "reject" else _units
    for unit in units(blocks, file):
        if isinstance(unit, Located):
            yield unit
        else:
            yield from (Located(unit.line, row) for row in unit_rows(unit, source.languages))


TMX = Format(name="tmx", read=read_tmx, endings=(".tmx",), options=("encoding", "on_error"))


def unit_rows(unit: Unit, languages: tuple[str, ...]) -> list[Row]:
    """Returns a row for each combination of a unit's variants in the languages.

    Args:
        unit: with any number of variants.
        languages: BCP-47 tags; a variant in `en-GB` answers for `en`, one in `en` first.

    Returns:
        One unreadable row if a language is missing, or if there are too many combinations.
    """
    if unit.is_too_long:
        got = f"a unit of more than {MAX_UNIT_CHARS} characters"
        return [_unreadable(unit, "line_bytes/1", unit.chars, got)]
    sides = [_in_language(language, languages, unit.variants) for language in languages]
    if [] in sides:
        tags = ", ".join(dict.fromkeys(variant.tag for variant in unit.variants)) or "none"
        got = f"no <tuv> in {languages[sides.index([])]}, but in {tags}"
        return [_unreadable(unit, "missing_columns/1", len(unit.variants), got)]
    if (combinations := math.prod(map(len, sides))) > _MAX_COMBINATIONS:
        got = f"{combinations} combinations of <tuv>, at most {_MAX_COMBINATIONS} are read"
        return [_unreadable(unit, "too_many_variants/1", combinations, got)]
    return list(itertools.product(*sides))


def _unreadable(unit: Unit, rule: str, value: float, got: str) -> UnreadableRow:
    raw = "\t".join(variant.text for variant in unit.variants)
    return UnreadableRow(rule, value, got, raw[:MAX_UNIT_CHARS])


def _in_language(language: str, languages: tuple[str, ...], variants: list[Variant]) -> list[str]:
    """Returns the texts in a language, those of its own tag first."""
    found = [variant for variant in variants if _fits(variant.tag, language, languages)]
    if len(found) > 1:
        own = canonical_tag(language)
        found.sort(key=lambda variant: canonical_tag(variant.tag) != own)
    return [variant.text for variant in found]


@lru_cache(maxsize=4096)
def _fits(tag: str, language: str, languages: tuple[str, ...]) -> bool:
    """Returns whether a tag is of a language, and of no other of them that it fits better."""
    rivals = [other for other in languages if other != language and is_variety_of(other, language)]
    return is_variety_of(tag, language) and not any(is_variety_of(tag, other) for other in rivals)


def _units(blocks: Iterator[bytes], file: str) -> Iterator[Unit]:
    parser = UnitParser(file)
    try:
        for block in blocks:
            yield from parser.feed(block)
        yield from parser.feed(b"", final=True)
    except expat.ExpatError as error:
        raise _not_well_formed(error, file) from error


def _not_well_formed(error: expat.ExpatError, file: str) -> InputError:
    if error.code in _CUT_SHORT:
        return InputError(f"{file}: not well-formed TMX ({error}); is it complete?")
    return InputError(
        f"{file}: not well-formed TMX (line {error.lineno}, column {error.offset + 1}: "
        f"{_reason(error)}); mend that line, or give the corpus `on_error: reject` to leave out "
        "units like it"
    )


def _reason(error: expat.ExpatError) -> str:
    return str(error).split(": line ")[0]


def _units_apart(blocks: Iterator[bytes], file: str) -> Iterator[Unit | Located]:
    """Yields the units, each parsed by itself, and a reject for each that is not well-formed."""
    head = UnitParser(file)
    has_units = False
    try:
        for piece in split_units(blocks):
            if piece.is_head:
                yield from head.feed(piece.content)
            elif piece.problem:
                has_units = True
                yield Located(piece.line, _reject(piece.line, piece.problem, piece.content))
            else:
                has_units = True
                yield _unit_apart(piece, file)
        if not has_units:
            yield from head.feed(b"", final=True)
    except expat.ExpatError as error:
        raise _not_well_formed(error, file) from error


def _unit_apart(piece: Piece, file: str) -> Unit | Located:
    try:
        for unit in UnitParser(file).feed(piece.document, final=True):
            unit.line = piece.line
            return unit
        return Located(piece.line, _reject(piece.line, "no <tu>", piece.content))
    except expat.ExpatError as error:
        line = piece.line + error.lineno - 1
        return Located(piece.line, _reject(line, _reason(error), piece.content))


def _reject(line: int, problem: str, content: bytes) -> UnreadableRow:
    raw = content[:_SHOWN_CHARS].decode(errors="backslashreplace").replace("\0", "\\x00")
    return UnreadableRow("invalid_xml/1", line, f"line {line}: {problem}", raw)


def _declared(head: bytes, file: str) -> str:
    """Returns the encoding that an XML file without a byte order mark is written in."""
    for start, encoding in _WIDE.items():
        if head.startswith(start):
            return encoding
    found = _DECLARED.match(head)
    name = found[1].decode("ascii", "replace") if found else "utf-8"
    encoding = canonical_encoding(name) or ""
    if not encoding:
        raise InputError(
            f"{file}: its XML declaration names the encoding {name!r}, which is not known; give "
            "the corpus the right one, as in `encoding: windows-1252`"
        )
    # The declaration could be read, so it is not what it says: saved anew, it was not changed.
    return "utf-8" if encoding.startswith(("utf-16", "utf-32")) else encoding
