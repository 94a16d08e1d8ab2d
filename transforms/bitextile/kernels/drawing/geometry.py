"""An aligned sentence pair as geometry: two lines with curves, a ladder, or a matrix.

All lengths are in px of the drawing's own viewBox. The template turns geometry into SVG, so that
every word passes through the page's escaping.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

from bitextile.kernels.drawing.typeset import (
    Direction,
    direction,
    text_width,
    visual_order,
    word_direction,
)

SideName = Literal["src", "tgt"]

FONT_PX = 16
BASELINE_PX = 0.34 * FONT_PX
"""From the middle of a line of text down to its baseline: half of the x-height and a little."""
PAGE_PX = 1040
"""The widest drawing the page has room for."""
STEPS_PX = (300, 400, 500, 600, 700, 800, 900, 1040)
"""Widths of the room for a drawing at which the style sheet switches; a narrower drawing is shown
from the next wider step on."""
MAX_WORDS = 120
"""Words of a side that are drawn at most, so that no line of a book becomes a page of SVG."""

LADDER_CHARS = 18
"""A longer word is cut in a ladder (the sentence stands above it): two columns of these and the
links between them take about the 340 px a phone has."""

LARGE = 1.15
"""Arabic and Hebrew letters are small for their size beside Latin ones, so they are set larger."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One side of a pair: its words in logical order, and its language."""

    lang: str
    words: Sequence[str]

    @property
    def dir(self) -> Direction:
        """Which way the sentence runs."""
        return direction(self.lang)

    def large(self, word: str) -> bool:
        """Returns whether a word is set larger: one of a right-to-left script, or beside such."""
        return (word_direction(word) or self.dir) == "rtl"

    def widths(self) -> list[float]:
        """Returns the room each word takes, in px."""
        # Estimated, as the page has no script that could measure; see `typeset`.
        sizes = [FONT_PX * (LARGE if self.large(word) else 1) for word in self.words]
        # A word of combining marks alone has no width of its own and still needs room to be seen.
        return [max(text_width(w), 0.3) * size for w, size in zip(self.words, sizes)]

    def shortened(self) -> "Sentence":
        """Returns the sentence with long words cut, so that two columns fit a phone."""
        words = [w if len(w) <= LADDER_CHARS else w[: LADDER_CHARS - 1] + "…" for w in self.words]
        return Sentence(lang=self.lang, words=words)


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word at its place: x is the anchor the drawing calls for, y the baseline."""

    text: str
    index: int
    side: SideName
    x: float
    y: float
    linked: bool
    large: bool


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A link as a path, with what hovering says."""

    path: str
    src: int
    tgt: int
    score: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A link as a square of a matrix, with what hovering says."""

    x: float
    y: float
    src: int
    tgt: int
    score: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A drawing and the size of its viewBox.

    Attributes:
        form: lines, ladder or matrix.
        width: of the viewBox.
        height: of the viewBox.
        words: of both sides.
        strokes: the links of lines and ladder.
        cells: the links of a matrix.
        pitch: edge of a matrix cell; 0 otherwise.
        origin: corner (x, y) of the matrix grid.
    """

    form: Literal["lines", "ladder", "matrix"]
    width: float
    height: float
    words: tuple[Word, ...]
    strokes: tuple[Stroke, ...] = ()
    cells: tuple[Cell, ...] = ()
    pitch: float = 0
    origin: tuple[float, float] = (0, 0)

    @property
    def step(self) -> int:
        """Room from which on the drawing is shown, one of STEPS_PX."""
        return next((step for step in STEPS_PX if step >= self.width), STEPS_PX[-1])


Links = Sequence[tuple[int, int, float]]
"""(src index, tgt index, score)."""


def wide_drawing(src: Sentence, tgt: Sentence, links: Links) -> Drawing | None:
    """Returns the pair for a wide page: two lines, a matrix where they do not fit, or nothing."""
    # page.css shrinks a drawing to the page; what is wider than it would have words too small to
    # read.
    lines = two_lines(src, tgt, links)
    if lines.width <= PAGE_PX:
        return lines
    grid = matrix(src, tgt, links)
    return grid if grid.width <= PAGE_PX else None


def two_lines(src: Sentence, tgt: Sentence, links: Links) -> Drawing:
    """Returns the pair as two lines of words, the first above, with a curve for each link.

    Args:
        src: the sentence above.
        tgt: the sentence below.
        links: within both.
    """
    gap, margin = 0.62 * FONT_PX, 0.25 * FONT_PX
    natural = [sum(s.widths()) + gap * (len(s.words) - 1) for s in (src, tgt)]
    inner = max(natural)
    # The more words, the flatter the links would run; more height keeps crossing ones apart.
    fall = 46 + min(44, 2.6 * max(len(src.words), len(tgt.words)))
    top = 1.25 * FONT_PX
    bottom = top + fall + 1.3 * FONT_PX
    above = _centres(src, inner, gap)
    below = _centres(tgt, inner, gap)
    strokes = tuple(
        Stroke(
            path=_fall(margin + above[i], top + 8, margin + below[j], bottom - 1.15 * FONT_PX),
            src=i,
            tgt=j,
            score=score,
            title=_title(src, tgt, i, j, score),
        )
        for i, j, score in links
    )
    linked = _linked(links)
    words = (
        *_placed(src, "src", [margin + x for x in above], repeat(top), linked[0]),
        *_placed(tgt, "tgt", [margin + x for x in below], repeat(bottom), linked[1]),
    )
    height = bottom + 0.6 * FONT_PX
    return Drawing(
        form="lines", width=inner + 2 * margin, height=height, words=words, strokes=strokes
    )


def _centres(sentence: Sentence, inner: float, gap: float) -> list[float]:
    """Returns the middle of each word; the shorter line is spread a little, then centred."""
    widths = sentence.widths()
    order = visual_order(list(sentence.words), sentence.dir)
    spare = inner - sum(widths)
    wanted = spare / (len(widths) - 1) if len(widths) > 1 else gap
    # Spread to the width of the other line at most threefold: wider gaps tear a sentence apart.
    gap = min(max(gap, wanted), 3.2 * gap)
    x = (spare - gap * (len(widths) - 1)) / 2
    centres = [0.0] * len(widths)
    for i in order:
        centres[i] = x + widths[i] / 2
        x += widths[i] + gap
    # `visual_order` counts from the line's start, which is at the right here.
    return [inner - c for c in centres] if sentence.dir == "rtl" else centres


def _placed(
    sentence: Sentence, side: SideName, xs: Iterable[float], ys: Iterable[float], linked: set[int]
) -> list[Word]:
    return [
        Word(
            text=word,
            index=i,
            side=side,
            x=round(x, 1),
            y=round(y, 1),
            linked=i in linked,
            large=sentence.large(word),
        )
        for i, (word, x, y) in enumerate(zip(sentence.words, xs, ys))
    ]


def _linked(links: "Links") -> tuple[set[int], set[int]]:
    return {i for i, _, _ in links}, {j for _, j, _ in links}


def _fall(x1: float, y1: float, x2: float, y2: float) -> str:
    # Both control points at half height: the curve leaves and enters words vertically, so links
    # that start at one word part only below it.
    middle = (y1 + y2) / 2
    return f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"


def _reach(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    return f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"


def _title(src: Sentence, tgt: Sentence, i: int, j: int, score: float) -> str:
    # U+2068/U+2069 isolate the words, or an Arabic one would turn the score beside it.
    return f"\u2068{src.words[i]}\u2069 – \u2068{tgt.words[j]}\u2069  {score:.2f}"


def ladder(src: Sentence, tgt: Sentence, links: Links) -> Drawing:
    """Returns the pair as two columns of words, read downwards: as narrow as it gets.

    The first words stand at the right of their column, the second at the left of theirs, whatever
    the script: each next to its links.

    Args:
        src: the left column.
        tgt: the right column.
        links: within both.
    """
    pitch, reach = 1.75 * FONT_PX, 84.0
    src, tgt = src.shortened(), tgt.shortened()
    left, right = (max([*s.widths(), 0.0]) + 0.5 * FONT_PX for s in (src, tgt))
    rows = max(len(src.words), len(tgt.words))
    # The shorter column is centred, which keeps most links short.
    shift = [(rows - len(s.words)) * pitch / 2 for s in (src, tgt)]
    ys = [[shift[k] + pitch * (n + 0.5) for n in range(rows)] for k in (0, 1)]
    strokes = tuple(
        Stroke(
            path=_reach(left + 5, ys[0][i], left + reach - 5, ys[1][j]),
            src=i,
            tgt=j,
            score=score,
            title=_title(src, tgt, i, j, score),
        )
        for i, j, score in links
    )
    linked = _linked(links)
    words = (
        *_placed(src, "src", repeat(left), [y + BASELINE_PX for y in ys[0]], linked[0]),
        *_placed(tgt, "tgt", repeat(left + reach), [y + BASELINE_PX for y in ys[1]], linked[1]),
    )
    return Drawing(
        form="ladder",
        width=left + reach + right,
        height=rows * pitch,
        words=words,
        strokes=strokes,
    )


def matrix(src: Sentence, tgt: Sentence, links: Links) -> Drawing:
    """Returns the pair as a matrix: a row per source word, a column per target word.

    Columns run the way the target language does. Labels above are turned by 90 degrees; the
    template sets those of Han, kana and Hangul upright instead.

    Args:
        src: the rows.
        tgt: the columns.
        links: within both.
    """
    size = 0.82
    labels = max([*src.widths(), 0.0]) * size + 10
    heads = max([*tgt.widths(), 0.0]) * size + 10
    room = (PAGE_PX - labels - 2) / max(len(tgt.words), 1)
    # A label of 0.82 x 16 px needs some 15 px; wider than 22 looks lost. What does not fit then is
    # not drawn, see `wide_drawing`.
    pitch = round(min(22.0, max(room, 15.0)), 1)
    place = {j: n for n, j in enumerate(visual_order(list(tgt.words), tgt.dir))}
    # `visual_order` counts from the line's start; columns are counted from the left.
    if tgt.dir == "rtl":
        place = {j: len(tgt.words) - 1 - n for j, n in place.items()}
    cells = tuple(
        Cell(
            x=round(labels + place[j] * pitch, 1),
            y=round(heads + i * pitch, 1),
            src=i,
            tgt=j,
            score=score,
            title=_title(src, tgt, i, j, score),
        )
        for i, j, score in links
    )
    ys = [heads + (n + 0.5) * pitch + size * BASELINE_PX for n in range(len(src.words))]
    xs = [labels + (place[n] + 0.5) * pitch for n in range(len(tgt.words))]
    linked = _linked(links)
    words = (
        *_placed(src, "src", repeat(labels - 7), ys, linked[0]),
        *_placed(tgt, "tgt", xs, repeat(heads - 7), linked[1]),
    )
    return Drawing(
        form="matrix",
        width=labels + pitch * len(tgt.words) + 2,
        height=heads + pitch * len(src.words) + 2,
        words=words,
        cells=cells,
        pitch=pitch,
        origin=(round(labels, 1), round(heads, 1)),
    )
