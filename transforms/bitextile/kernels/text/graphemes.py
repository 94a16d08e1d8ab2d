"""Where a text must not be cut: inside a grapheme cluster, or behind a sign that stacks letters."""

from collections.abc import Iterable

import regex

Span = tuple[int, int]

STACKERS = "\u17d2\u1039\u1a60\u1b44\ua9c0\uabed\U00011133\U000111c0\U000113d0"
"""Signs that put the next letter under the one before: Khmer coeng, Burmese virama, Tai Tham sakot,
Balinese adeg adeg, Javanese pangkon and their like. Grapheme clusters end behind them (UAX #29)."""

_PARTS = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=Regional_Indicator}"
    r"\p{GCB=L}\p{GCB=V}\p{GCB=T}]"
)
_CLUSTER = regex.compile(rf"\X(?:(?<=[{STACKERS}])(?=\p{{L}})\X)*")


def inside_clusters(text: str) -> set[int]:
    """Returns the code points of a text at which it must not be cut in two.

    >>> sorted(inside_clusters("e\u0301 ឆ្កែ"))
    [1, 4, 5, 6]
    """
    if not _PARTS.search(text):
        return set()
    return {
        place
        for cluster in _CLUSTER.finditer(text)
        for place in range(cluster.start() + 1, cluster.end())
    }


def whole_graphemes(text: str, spans: Iterable[Span]) -> list[Span]:
    """Returns spans of a text, those that begin inside a cluster joined to the one before.

    Args:
        text: sentence.
        spans: of its words, in order, not overlapping.

    >>> whole_graphemes("ឆ្កែ", [(0, 2), (2, 4)]), whole_graphemes("ab", [(0, 1), (1, 2)])
    ([(0, 4)], [(0, 1), (1, 2)])
    """
    inside = inside_clusters(text)
    whole: list[Span] = []
    for start, end in spans:
        if start in inside and whole and whole[-1][1] == start:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole
