"""Spans that begin inside a grapheme cluster are joined to the one before."""

import pytest

from bitextile.kernels.text.graphemes import whole_graphemes


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        ("ឆ្កែ", [(0, 2), (2, 4)], [(0, 4)]),
        ("သတ္တ", [(0, 1), (1, 3), (3, 4)], [(0, 1), (1, 4)]),
        ("น้ำ", [(0, 2), (2, 3)], [(0, 3)]),
        ("🇩🇪🇫🇷", [(0, 1), (1, 2), (2, 3), (3, 4)], [(0, 2), (2, 4)]),
        ("a \u0301b", [(0, 1), (2, 4)], [(0, 1), (2, 4)]),
        ("犬", [(0, 1)], [(0, 1)]),
    ],
)
def test_no_span_begins_inside_a_cluster(text, spans, expected) -> None:
    assert whole_graphemes(text, spans) == expected
