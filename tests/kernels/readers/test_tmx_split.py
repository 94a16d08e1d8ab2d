"""TMX cut into units without parsing: whatever the blocks, and with the lines they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.readers import tmx_split
from bitextile.kernels.readers.tmx_split import split_units

HEAD = b"<?xml version='1.0'?>\n<!-- <tu/> -->\n<t:tmx\n a='>'><body>\n"
UNITS = (
    b"<tu>one</tu>",
    "<t:tu x='1'>\nكلب & <</t:tu >".encode(),
    b"<tu/>",
    b"<tu><![CDATA[</tu><tu>]]><!-- </tu> --></tu>",
    b"<tu>\xff never closed ",
)


def blocks(content: bytes, size: int):
    return (content[at : at + size] for at in range(0, len(content), size))


@given(st.lists(st.sampled_from(UNITS), max_size=6), st.integers(1, 90))
def test_units_come_out_as_they_are_with_their_lines(units: list[bytes], size: int) -> None:
    content = HEAD + b"".join(unit + b"\n" for unit in units) + b"</body></t:tmx>"
    pieces = list(split_units(blocks(content, size)))
    head = b"".join(piece.content for piece in pieces if piece.is_head)
    assert head == (HEAD if units else content)
    found = [piece for piece in pieces if not piece.is_head]
    assert len(found) == len(units)
    line = HEAD.count(b"\n") + 1
    for piece, unit in zip(found, units):
        assert piece.content.startswith(unit)
        assert (piece.line, piece.problem) == (line, "")
        assert piece.document == b"<t:tmx  a='>'>" + piece.content + b"</t:tmx>"
        line += unit.count(b"\n") + 1


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_a_unit_that_goes_on_is_given_up_and_the_next_one_found(monkeypatch, size: int) -> None:
    monkeypatch.setattr(tmx_split, "MAX_UNIT_BYTES", 1_000)
    content = b"<tmx><tu>" + b"x" * 5_000 + b"</tu><tu>two</tu></tmx>"
    if size > 1_000:
        content = b"<tmx><tu>" + b"x" * 5_000
    pieces = [p for p in split_units(blocks(content, size)) if not p.is_head]
    assert "a unit of more than 1000 bytes" in pieces[0].problem
    assert len(pieces[0].content) < 6_000
    assert [p.content for p in pieces[1:] if not p.problem] == (
        [b"<tu>two</tu>"] if size == 7 else []
    )


def test_a_file_that_ends_between_units_says_so() -> None:
    *_, last = split_units(iter([b"<tmx><body>\n<tu>one</tu>\n"]))
    assert (last.line, last.problem) == (3, "the file ends before </tmx>; is it complete?")
