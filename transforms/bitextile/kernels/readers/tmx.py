"""TMX 1.4: translation units as XML, texts by language tag; entities are refused."""

from collections.abc import Iterator
from typing import Any

from bitextile.kernels.readers.archives import DAMAGED, open_bytes
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow
from bitextile.schema.errors import InputError


def read_tmx(source: CorpusSource) -> Iterator[Row]:
    """Reads the translation units that have both languages; entities are refused."""
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    file = source.files[0]
    with open_bytes(file) as stream:
        try:
            events = ElementTree.iterparse(stream, events=("start", "end"), forbid_external=True)
            _, root = next(events)
            if root.tag != "tmx":
                raise InputError(f"{file}: the root is <{root.tag}>, expected <tmx>; is it TMX?")
            for event, element in events:
                if event == "end" and element.tag == "tu":
                    yield _unit(element, source.languages)
                    # iterparse keeps the tree it builds; a unit that was read is not needed again.
                    for child in list(root):
                        child.clear()
        except DefusedXmlException as error:
            raise InputError(
                f"{file}: the XML declares an entity ({type(error).__name__}), which could read "
                "other files or exhaust memory; remove the declaration"
            ) from error
        except (ElementTree.ParseError, *DAMAGED) as error:
            raise InputError(f"{file}: not well-formed TMX ({error}); is it complete?") from error


TMX = Format(name="tmx", read=read_tmx, endings=(".tmx",))


def _unit(element: Any, languages: tuple[str, ...]) -> Row:
    exact: dict[str, str] = {}
    for variant in element.iter("tuv"):
        tag = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang") or ""
        exact.setdefault(tag.lower(), _segment_text(variant.find("seg")))
    # `en` finds en-GB too, the first one in the file; an exact tag wins over that.
    regional = {tag.split("-")[0]: text for tag, text in reversed(exact.items())}
    sides = [(regional | exact).get(lang.lower()) for lang in languages]
    if None in sides:
        missing = languages[sides.index(None)]
        return UnreadableRow(
            "missing_columns/1", len(exact), f"no <tuv> in {missing}", "\t".join(exact.values())
        )
    return tuple(str(side) for side in sides)


def _segment_text(segment: Any) -> str:
    """Returns a segment's text without the codes of its markup (TMX 1.4b, content markup)."""
    if segment is None:
        return ""
    for code in [e for e in segment.iter() if e.tag in ("bpt", "ept", "it", "ph", "ut")]:
        tail = code.tail
        code.clear()
        code.tail = tail
    return "".join(segment.itertext())
