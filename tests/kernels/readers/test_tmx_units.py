"""Units out of XML in blocks of any size; only texts are held."""

import tracemalloc
from itertools import chain
from xml.parsers.expat import ExpatError

import pytest

from bitextile.kernels.readers.tmx_units import MAX_UNIT_CHARS, SegmentText, UnitParser
from bitextile.schema.errors import InputError

UNIT = (
    '<tu><prop>p</prop><tuv xml:lang="en"><note>n</note><seg>Dog<ph type="lb"/>house</seg></tuv>'
    '<tuv lang="ar"><seg>كلب <hi>كبير</hi></seg></tuv></tu>\n'
)


def units(content: bytes, size: int) -> list:
    parser = UnitParser("t.tmx")
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    fed = [list(parser.feed(part)) for part in parts]
    return [*chain.from_iterable(fed), *parser.feed(b"", final=True)]


@pytest.mark.parametrize("size", [1, 2, 7, 100, 10_000])
def test_blocks_of_any_size_give_the_same_units(size: int) -> None:
    found = units(f"<tmx><body>\n{UNIT * 3}</body></tmx>".encode(), size)
    assert [unit.line for unit in found] == [2, 3, 4]
    for unit in found:
        texts = [(variant.tag, variant.text) for variant in unit.variants]
        assert texts == [("en", "Dog house"), ("ar", "كلب كبير")]


def test_a_gap_is_left_once_and_only_between_texts() -> None:
    text = SegmentText()
    for part in ("a", "b"):
        text.leave_gap(2)
        text.leave_gap(1)
        text.add(part)
    text.leave_gap(2)
    assert (str(text), text.chars) == ("a b", 2)


def test_the_text_of_a_unit_that_is_too_long_is_not_held() -> None:
    parser = UnitParser("t.tmx")
    list(parser.feed(b"<tmx><tu><tuv xml:lang='en'><seg>"))
    tracemalloc.start()
    for _ in range(30):
        list(parser.feed(b"x " * (1 << 19)))
    assert tracemalloc.get_traced_memory()[1] < 12 << 20
    tracemalloc.stop()
    [unit] = parser.feed(b"</seg></tuv></tu>")
    assert unit.is_too_long
    assert unit.chars == 30 * MAX_UNIT_CHARS


def test_a_tag_or_a_nesting_without_end_is_refused() -> None:
    with pytest.raises(InputError, match=r"t\.tmx: a tag of more than"):
        units(b"<tmx a='" + b"x" * (20 << 20), 1 << 20)
    with pytest.raises(InputError, match=r"t\.tmx: tags nested 1000 deep"):
        units(b"<tmx>" + b"<a>" * 5_000, 100)


def test_an_entity_that_nothing_declares_is_an_error_with_its_line() -> None:
    content = (
        b'<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx>\n<tu><tuv><seg>&nbsp;</seg></tuv></tu></tmx>'
    )
    with pytest.raises(ExpatError, match="undefined entity &nbsp;") as caught:
        units(content, 1_000)
    assert caught.value.lineno == 3
