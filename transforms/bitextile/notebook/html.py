"""Rows as HTML for notebooks; styles stand on the elements, as no style sheet of ours is there."""

from collections.abc import Sequence
from html import escape

from bitextile.kernels.drawing.examples import ShownRow
from bitextile.kernels.drawing.marked_text import MarkedText, TextRun
from bitextile.kernels.drawing.svg import svg

_ROW = "border-top:1px solid #8885;padding:.5em 0;overflow-x:auto"
_SWITCHED = "background:#f0a03033;border-radius:3px;padding:0 .15em;font-weight:600"


def rows_html(rows: Sequence[ShownRow], *, heading: str) -> str:
    """Returns rows as HTML: alignments drawn, changed words marked with what stood there before.

    Args:
        rows: to show.
        heading: a line above them.
    """
    parts = [_row(row) for row in rows]
    return f'<div class="bitextile"><p><code>{escape(heading)}</code></p>{"".join(parts)}</div>'


def _row(row: ShownRow) -> str:
    facts = " · ".join(filter(None, (row.key, *row.facts)))
    drawn = row.wide or row.narrow
    body = "".join(map(_text, row.texts))
    if drawn is not None:
        langs = {"src_lang": row.texts[0].lang, "tgt_lang": row.texts[1].lang}
        # Two lines hold the sentences themselves.
        body = ("" if drawn.form == "lines" else body) + svg(drawn, **langs)
    return f'<div style="{_ROW}">{body}<div><small>{escape(facts)}</small></div></div>'


def _text(text: MarkedText) -> str:
    runs = "".join(map(_run, text.runs))
    return f'<p lang="{escape(text.lang)}" dir="{text.dir}" style="margin:.2em 0">{runs}</p>'


def _run(run: TextRun) -> str:
    if run.original is None:
        return escape(run.text)
    text = f'<bdi lang="{escape(run.lang)}" dir="{run.dir}" style="{_SWITCHED}">'
    before = f" <small>({escape(run.original)})</small>"
    return f'<span title="{escape(run.title)}">{text}{escape(run.text)}</bdi>{before}</span>'
