"""Rows of several sides: whole, or unreadable with the raw text of all."""

from bitextile.kernels.readers.source import UnreadableRow, join_sides

BAD = UnreadableRow("invalid_utf8/1", 3, "byte 0xe9 at 3", "caf\\xe9")


def test_readable_sides_are_the_row() -> None:
    assert join_sides(("犬", "dog")) == ("犬", "dog")


def test_the_first_unreadable_side_names_the_rule_and_all_are_kept() -> None:
    worse = BAD._replace(rule="line_bytes/1", raw="xxx")
    assert join_sides(("犬", BAD, worse)) == BAD._replace(raw="犬\tcaf\\xe9\txxx")
