"""Sentences with the words marked that came from elsewhere: switched, exchanged."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from bitextile.kernels.drawing.typeset import Direction, direction, sanitized
from bitextile.kernels.exchange import exchanged_spans
from bitextile.schema.kinds import EXCHANGE

Row = dict[str, Any]
Links = list[tuple[int, int]]
"""Word alignment as (word of this side, word of the other)."""

_NEWLINE = sanitized("\n")


@dataclass(frozen=True, kw_only=True)
class TextRun:
    """A run of text in one language.

    Attributes:
        text: as it stands there.
        lang: of the run.
        original: what stood there before; None where nothing was changed.
        title: where the run came from; shown on hover.
    """

    text: str
    lang: str
    original: str | None = None
    title: str = ""

    @property
    def dir(self) -> Direction:
        """Which way the run is written."""
        return direction(self.lang)


@dataclass(frozen=True, kw_only=True)
class MarkedText:
    """A sentence as its runs, in the direction of its language."""

    lang: str
    runs: tuple[TextRun, ...]

    @property
    def dir(self) -> Direction:
        """Which way the sentence is written."""
        return direction(self.lang)


def plain_text(lang: str, text: str) -> MarkedText:
    """Returns a sentence in which nothing is marked."""
    return MarkedText(lang=lang, runs=(TextRun(text=sanitized(text), lang=lang),))


def task_fields(sentence: MarkedText) -> Iterator[MarkedText]:
    """Yields the fields of task data, one a line, in the direction of their words."""
    fields: list[list[TextRun]] = [[]]
    for run in sentence.runs:
        first, *others = run.text.split(_NEWLINE)
        # A replaced field may hold a newline of its own, which separates no fields.
        texts = [first] if run.original is not None else [first, *others]
        for number, text in enumerate(texts):
            if number:
                fields.append([])
            if text:
                fields[-1].append(replace(run, text=text))
    for runs in fields:
        # A field that was replaced whole is in one language; its direction is that of the field.
        langs = {run.lang for run in runs}
        yield MarkedText(lang=langs.pop() if len(langs) == 1 else sentence.lang, runs=tuple(runs))


def switched_text(lang: str, text: str, replacements: list[Row]) -> MarkedText:
    """Returns a switched sentence with its replacements as runs of their own.

    Args:
        lang: of the sentence.
        text: the new text.
        replacements: sorted; offsets in `text`, with lang, original, origin and score.

    >>> spans = [{"start": 2, "end": 3, "lang": "zh", "original": "dog", "origin": "link",
    ...           "score": 0.9}]
    >>> runs = switched_text("en", "a 狗 barks", spans).runs
    >>> [(run.text, run.lang, run.original) for run in runs]
    [('a ', 'en', None), ('狗', 'zh', 'dog'), (' barks', 'en', None)]
    """
    runs, at = [], 0
    for new in replacements:
        # Untrusted as well: `original` comes from the corpus.
        title = f"{new['lang']}, for “{new['original']}” · {new['origin']} · {new['score']:.2f}"
        runs += [
            TextRun(text=sanitized(text[at : new["start"]], 2000), lang=lang),
            TextRun(
                text=sanitized(text[new["start"] : new["end"]]),
                lang=new["lang"],
                original=sanitized(new["original"]),
                title=sanitized(title),
            ),
        ]
        at = new["end"]
    runs.append(TextRun(text=sanitized(text[at:], 2000), lang=lang))
    return MarkedText(lang=lang, runs=tuple(run for run in runs if run.text))


def exchanged_texts(row: Row) -> tuple[MarkedText, MarkedText]:
    """Returns both exchanged sentences with what came from the other side marked.

    Args:
        row: of kind `exchange`.

    Raises:
        RowError: exchanging the row's links does not give its exchanged texts.
    """
    batch = pa.RecordBatch.from_pylist([row], EXCHANGE.schema)
    # The kernel's own answer; offsets cannot be guessed from the links, since spaces beside
    # exchanged words may change.
    src_spans, tgt_spans = (column[0].as_py() for column in exchanged_spans(batch))
    links = [(link["src"], link["tgt"]) for link in row["exchanged"]]
    # Each side is marked by the same code, with its own word first in every link.
    flipped = [(j, i) for i, j in links]
    scores = {(link["src"], link["tgt"]): link["score"] for link in row["links"]}
    return (
        _exchanged_text(row, ("src", "tgt"), src_spans, links, scores),
        _exchanged_text(
            row, ("tgt", "src"), tgt_spans, flipped, {(j, i): s for (i, j), s in scores.items()}
        ),
    )


def _exchanged_text(
    row: Row,
    sides: tuple[str, str],
    spans: list[dict[str, int]],
    links: Links,
    scores: dict[tuple[int, int], float],
) -> MarkedText:
    """Returns one sentence; spans and groups of links both follow the order of its words."""
    side, other = sides
    replacements = []
    for span, group in zip(spans, _phrases(links), strict=True):
        # A group is sorted by its own side's word: its first link has the first word, the largest
        # the last.
        words = row[f"{side}_spans"][group[0][0]], row[f"{side}_spans"][max(group)[0]]
        replacements.append(
            span
            | {
                "lang": row[f"{other}_lang"],
                "original": row[side][words[0]["start"] : words[1]["end"]],
                "origin": "link",
                "score": sum(scores[link] for link in group) / len(group),
            }
        )
    return switched_text(row[f"{side}_lang"], row[f"{side}_exchanged"], replacements)


def _phrases(links: Links) -> list[Links]:
    """Returns the links in groups that share words: what was exchanged as one."""
    groups: list[Links] = []
    for i, j in links:
        # A link may join groups that were apart until now.
        touching = [g for g in groups if any(i == a or j == b for a, b in g)]
        groups = [g for g in groups if g not in touching]
        groups.append(sorted([(i, j), *(link for g in touching for link in g)]))
    return sorted(groups)
