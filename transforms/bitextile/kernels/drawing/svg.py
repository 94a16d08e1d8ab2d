"""Drawings as SVG, for pages with a style sheet of their own, notebooks and files.

Colours and sizes are presentation attributes, which any style sheet overrides; so one text serves
the report, where page.css decides, and a notebook or file, where nothing else does.
"""

import unicodedata
from collections.abc import Iterator
from html import escape

from bitextile.kernels.drawing.geometry import FONT_PX, LARGE, Cell, Drawing, Stroke, Word
from bitextile.kernels.drawing.typeset import direction

LINK_COLOUR = "#2f6fde"
"""Of links, with enough contrast on white and on a dark page."""
FONTS = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'Noto Sans', sans-serif"
"""Faces of the metrics that `typeset` estimates widths by, and one that has most scripts."""
MATRIX_SIZE = 0.82
"""Size of the labels of a matrix, in the size of text."""


def svg(drawing: Drawing, *, src_lang: str, tgt_lang: str, background: str = "") -> str:
    """Returns a drawing as an `<svg>` element, which is a file's whole content too.

    Args:
        drawing: of `geometry`.
        src_lang: language of the words of `src`, BCP-47.
        tgt_lang: of those of `tgt`.
        background: colour behind it; nothing is drawn there if empty.

    >>> from bitextile.kernels.drawing.geometry import Sentence, two_lines
    >>> src = Sentence(lang="en", words=["a", "cat"])
    >>> pair = two_lines(src, Sentence(lang="ar", words=["قطة"]), [(1, 0, 0.9)])
    >>> text = svg(pair, src_lang="en", tgt_lang="ar")
    >>> text[:15], text.count("<text"), text.count('class="stroke"'), "قطة" in text
    ('<svg xmlns="htt', 3, 1, True)
    """
    width, height = round(drawing.width, 1), round(drawing.height, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="draw {drawing.form}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="group" '
        f'aria-label="Word alignment" font-family="{FONTS}" fill="currentColor">'
    ]
    if background:
        parts.append(f'<rect width="100%" height="100%" fill="{escape(background)}"/>')
    if drawing.form == "matrix":
        parts += _board(drawing)
        parts += [_cell(cell, drawing.pitch) for cell in drawing.cells]
    parts += map(_stroke, drawing.strokes)
    langs = {"src": src_lang, "tgt": tgt_lang}
    parts += [_placed_word(word, langs[word.side], drawing.form) for word in drawing.words]
    return "\n".join([*parts, "</svg>"])


def _board(drawing: Drawing) -> Iterator[str]:
    x, y = drawing.origin
    right, low = round(drawing.width - 2, 1), round(drawing.height - 2, 1)
    pitch = drawing.pitch
    columns = [round(x + n * pitch, 1) for n in range(round((right - x) / pitch) + 1)]
    rows = [round(y + n * pitch, 1) for n in range(round((low - y) / pitch) + 1)]
    path = "".join([f"M{at} {y}V{low}" for at in columns] + [f"M{x} {at}H{right}" for at in rows])
    size = f'width="{round(right - x, 1)}" height="{round(low - y, 1)}"'
    yield f'<rect class="board" x="{x}" y="{y}" {size} fill="none"/>'
    yield f'<path class="grid" d="{path}" fill="none" stroke="#8886" stroke-width="1"/>'


def _link(link: Cell | Stroke, shape: str) -> str:
    # --p is what a style sheet makes an opacity of; the attribute is for where there is none.
    opacity = round(0.2 + 0.8 * link.score, 2)
    return (
        f'<g class="link s{link.src} t{link.tgt}" style="--p:{link.score}" opacity="{opacity}">'
        f"<title>{escape(link.title)}</title>{shape}</g>"
    )


def _cell(cell: Cell, pitch: float) -> str:
    edge = round(pitch - 3, 1)
    place = f'x="{round(cell.x + 1.5, 1)}" y="{round(cell.y + 1.5, 1)}"'
    shape = f'<rect class="cell" {place} width="{edge}" height="{edge}" rx="3" '
    return _link(cell, f'{shape}fill="{LINK_COLOUR}"/>')


def _stroke(stroke: Stroke) -> str:
    # The first path is wider and not seen: what the mouse has to hit.
    hit = f'<path class="hit" d="{stroke.path}" fill="none" stroke="none"/>'
    line = f'stroke="{LINK_COLOUR}" stroke-width="1.9" stroke-linecap="round"'
    return _link(stroke, f'{hit}<path class="stroke" d="{stroke.path}" fill="none" {line}/>')


def _placed_word(word: Word, lang: str, form: str) -> str:
    size = FONT_PX * (MATRIX_SIZE if form == "matrix" else 1)
    if form == "lines":
        return _word(word, lang, size, "middle")
    if form == "ladder" or word.side == "src":
        return _word(word, lang, size, "end" if word.side == "src" else "start")
    if _upright(word.text):
        return _word(word, lang, size, "end", upright=True)
    turned = f'<g transform="rotate(-90 {word.x} {word.y})"><g transform="translate(0 5)">'
    return f"{turned}{_word(word, lang, size, 'start')}</g></g>"


def _word(word: Word, lang: str, size: float, where: str, *, upright: bool = False) -> str:
    way = direction(lang)
    # Text is anchored by its own direction: the start of an Arabic word is at its right.
    if way == "rtl" and where != "middle":
        where = "start" if where == "end" else "end"
    classes = ["word", word.side, f"w{word.index}"]
    classes += ["unlinked"] * (not word.linked) + ["large"] * word.large + ["upright"] * upright
    size = round(size * (LARGE if word.large else 1), 1)
    style = ' style="writing-mode:vertical-rl;text-orientation:upright"' if upright else ""
    faint = "" if word.linked else ' fill-opacity="0.6"'
    return (
        f'<text class="{" ".join(classes)}" x="{word.x}" y="{word.y}" lang="{escape(lang)}" '
        f'direction="{way}" text-anchor="{where}" font-size="{size}"{faint}{style}>'
        f"{escape(word.text)}</text>"
    )


def _upright(word: str) -> bool:
    """Returns whether a word is set upright in a column: all of it Han, kana or Hangul."""
    return all(unicodedata.east_asian_width(char) in "WF" for char in word)
