"""Which rows are shown, and what of them is marked: chosen by id, never by chance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from bitextile.pipelines.report.drawing import (
    MAX_WORDS,
    Drawing,
    Sentence,
    ladder,
    wide_drawing,
)
from bitextile.pipelines.report.typeset import Direction, direction, shown
from bitextile.schema.dataset import Dataset

POOL = 512
"""Rows of a key that examples are chosen from: the first in id order, which by the id's hash are as
good as drawn at random, and as many as give short and long sentences."""

Row = dict[str, Any]

_NEWLINE = shown("\n")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of a sentence.

    Attributes:
        text: as it stands there.
        lang: of the stretch.
        original: what stood there before; None where nothing was changed.
        title: where the stretch came from; shown on hover.
    """

    text: str
    lang: str
    original: str | None = None
    title: str = ""

    @property
    def dir(self) -> Direction:
        """Which way the stretch runs."""
        return direction(self.lang)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A sentence as its pieces, in the direction of its language."""

    lang: str
    pieces: tuple[Piece, ...]

    @property
    def dir(self) -> Direction:
        """Which way the sentence runs."""
        return direction(self.lang)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A row as it is shown.

    Attributes:
        key: language pair or language; of pseudo pairs, which was written from which.
        lines: its sentences; drawn ones too, for a narrow page.
        facts: provenance and scores, in a few words each.
        wide: the pair drawn for a wide page; None where nothing fits or nothing is linked.
        narrow: the pair drawn for a narrow one.
    """

    key: str
    lines: tuple[Line, ...]
    facts: tuple[str, ...]
    wide: Drawing | None = None
    narrow: Drawing | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A lexicon word with its translations, best first: (word, probability, count)."""

    key: str
    src_lang: str
    tgt_lang: str
    word: str
    count: int
    translations: tuple[tuple[str, float, int], ...]


def examples_of(dataset: Dataset, n_examples: int) -> list[Example]:
    """Returns rows to show: spread over the keys, and within a key over the sentence lengths.

    Args:
        dataset: of kind pairs, mono, aligned, exchange, codeswitch or pseudo; others give none.
        n_examples: at most so many (one per key where keys are as many).
    """
    show = _SHOW.get(dataset.kind.name)
    if show is None or n_examples < 1:
        return []
    keys = [key for key in dataset.keys if dataset.manifest.keys[key]["rows"]]
    keys = _spread(keys, n_examples)
    shares = [n_examples // len(keys) + (i < n_examples % len(keys)) for i in range(len(keys))]
    return [
        show(key, row)
        for key, share in zip(keys, shares, strict=True)
        for row in _choose(dataset, key, share)
    ]


def _spread(items: list, n: int) -> list:
    """Returns at most `n` of the items, evenly spaced, in their order."""
    if len(items) <= n:
        return items
    return [items[(2 * i + 1) * len(items) // (2 * n)] for i in range(n)]


def _choose(dataset: Dataset, key: str, n: int) -> list[Row]:
    pool = next(dataset.batches(key=key, batch_rows=POOL), None)
    rows = pool.to_pylist() if pool is not None else []
    told = [row for row in rows if _has_something_to_show(row)] or rows
    ids = dataset.kind.id_columns
    told.sort(key=lambda row: (_length(row), *(row[column] for column in ids)))
    return _spread(told, n)


def _has_something_to_show(row: Row) -> bool:
    return bool(row.get("exchanged", row.get("replacements", row.get("links", True))))


def _length(row: Row) -> int:
    return len(row["text"] if "text" in row else row["src"] + row["tgt"])


def _place(row: Row) -> str:
    return f"{row['corpus']} · {row['file']}:{row['line']}"


def _show_pair(key: str, row: Row) -> Example:
    lines = (_plain(row["src_lang"], row["src"]), _plain(row["tgt_lang"], row["tgt"]))
    return Example(key=key, lines=lines, facts=(_place(row), row["split"]))


def _show_mono(key: str, row: Row) -> Example:
    line = _plain(row["lang"], row["text"])
    return Example(key=key, lines=(line,), facts=(_place(row), row["split"]))


def _show_pseudo(_: str, row: Row) -> Example:
    way = f"{row['src_lang']} → {row['tgt_lang']}"
    lines = (_plain(row["src_lang"], row["src"]), _plain(row["tgt_lang"], row["tgt"]))
    engine, _, digest = row["generator"].partition(" sha256:")
    facts = (f"log probability {_signed(row['score'])}", f"by {engine} {digest[:12]}")
    return Example(key=way, lines=lines, facts=facts)


def _plain(lang: str, text: str) -> Line:
    return Line(lang=lang, pieces=(Piece(text=shown(text), lang=lang),))


def _show_aligned(key: str, row: Row) -> Example:
    plain = _show_pair(key, row)
    src, tgt = (_sentence(row, side) for side in ("src", "tgt"))
    links = [
        (link["src"], link["tgt"], round(link["score"], 3))
        for link in row["links"]
        if link["src"] < len(src.words) and link["tgt"] < len(tgt.words)
    ]
    facts = (*plain.facts, f"mean log posterior {_signed(row['align_score'])}")
    if not src.words or not tgt.words:
        return Example(key=key, lines=plain.lines, facts=facts)
    return Example(
        key=key,
        lines=plain.lines,
        facts=facts,
        wide=wide_drawing(src, tgt, links),
        narrow=ladder(src, tgt, links),
    )


def _signed(value: float) -> str:
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "−")


def _sentence(row: Row, side: str) -> Sentence:
    spans = row[f"{side}_spans"][:MAX_WORDS]
    words = [shown(row[side][s["start"] : s["end"]], 48) for s in spans]
    return Sentence(lang=row[f"{side}_lang"], words=words)


def _show_switched(key: str, row: Row) -> Example:
    facts: tuple[str, ...] = (
        f"{row['method']}, variant {row['variant']}",
        f"made from {row['parent_id'][:8]}",
    )
    if "label" in row:
        facts += (f"label {row['label']}",)
    line = switched_line(row["matrix_lang"], row["text"], row["replacements"])
    return Example(key=key, lines=tuple(_fields(line)), facts=facts)


def _fields(line: Line) -> Iterator[Line]:
    """Yields the fields of task data, which a newline parts, in the direction of their words."""
    fields: list[list[Piece]] = [[]]
    for piece in line.pieces:
        first, *others = piece.text.split(_NEWLINE)
        texts = [first] if piece.original is not None else [first, *others]
        for number, text in enumerate(texts):
            if number:
                fields.append([])
            if text:
                fields[-1].append(replace(piece, text=text))
    for pieces in fields:
        langs = {piece.lang for piece in pieces}
        yield Line(lang=langs.pop() if len(langs) == 1 else line.lang, pieces=tuple(pieces))


def switched_line(lang: str, text: str, replacements: list[Row]) -> Line:
    """Returns a switched sentence with its replacements as pieces of their own.

    Args:
        lang: of the sentence.
        text: the new text.
        replacements: sorted; offsets in `text`, with lang, original, origin and score.

    >>> spans = [{"start": 2, "end": 3, "lang": "zh", "original": "dog", "origin": "link",
    ...           "score": 0.9}]
    >>> [(p.text, p.lang, p.original) for p in switched_line("en", "a 狗 barks", spans).pieces]
    [('a ', 'en', None), ('狗', 'zh', 'dog'), (' barks', 'en', None)]
    """
    pieces, at = [], 0
    for new in replacements:
        title = f"{new['lang']}, for “{new['original']}” · {new['origin']} · {new['score']:.2f}"
        pieces += [
            Piece(text=shown(text[at : new["start"]], 2000), lang=lang),
            Piece(
                text=shown(text[new["start"] : new["end"]]),
                lang=new["lang"],
                original=shown(new["original"]),
                title=shown(title),
            ),
        ]
        at = new["end"]
    pieces.append(Piece(text=shown(text[at:], 2000), lang=lang))
    return Line(lang=lang, pieces=tuple(piece for piece in pieces if piece.text))


def _show_exchange(key: str, row: Row) -> Example:
    groups = _groups([(link["src"], link["tgt"]) for link in row["exchanged"]])
    scores = {(link["src"], link["tgt"]): link["score"] for link in row["links"]}
    facts = (_place(row), f"variant {row['variant']}")
    lines = (
        exchanged_line(row, "src", "tgt", groups, scores),
        exchanged_line(row, "tgt", "src", [[(j, i) for i, j in g] for g in groups], scores),
    )
    return Example(key=key, lines=lines, facts=facts)


Group = list[tuple[int, int]]
"""Links of one exchange, as (word of this side, word of the other)."""


def _groups(links: Group) -> list[Group]:
    """Returns the links in groups that share words: what was exchanged as one."""
    groups: list[Group] = []
    for i, j in links:
        touching = [g for g in groups if any(i == a or j == b for a, b in g)]
        groups = [g for g in groups if g not in touching]
        groups.append(sorted([(i, j), *(link for g in touching for link in g)]))
    return sorted(groups)


def exchanged_line(
    row: Row, side: str, other: str, groups: list[Group], scores: dict[tuple[int, int], float]
) -> Line:
    """Returns an exchanged sentence with what came from the other side as pieces of their own.

    The dataset holds the new text without offsets. They follow from walking along the new text
    with what it must be made of, the original with each group's span replaced; white space and
    case may differ (seams, `--recase`). Where the walk fails the line is shown unmarked.

    Args:
        row: of kind `exchange`.
        side: src or tgt; which text is shown.
        other: the other of the two.
        groups: links exchanged together, this side's word first.
        scores: (src, tgt) to posterior.
    """
    lang, text = row[f"{side}_lang"], row[f"{side}_exchanged"]
    replacements, at, before = [], 0, 0
    for group in sorted(groups):
        start, end = _cover(row, side, [i for i, _ in group])
        other_start, other_end = _cover(row, other, [j for _, j in group])
        original, new = row[side][start:end], row[other][other_start:other_end]
        kept = _walk(text, at, row[side][before:start])
        stop = None if kept is None else _walk(text, kept, new)
        if kept is None or stop is None:
            return _plain(lang, text)
        links = [(i, j) if side == "src" else (j, i) for i, j in group]
        score = sum(scores.get(link, 0.0) for link in links) / len(links)
        place = {"start": _skip(text, kept), "end": stop, "lang": row[f"{other}_lang"]}
        replacements.append(place | {"original": original, "origin": "link", "score": score})
        at, before = stop, end
    rest = _walk(text, at, row[side][before:])
    if rest is None or _skip(text, rest) != len(text):
        return _plain(lang, text)
    return switched_line(lang, text, replacements)


def _cover(row: Row, side: str, words: list[int]) -> tuple[int, int]:
    spans = row[f"{side}_spans"]
    return spans[min(words)]["start"], spans[max(words)]["end"]


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _walk(text: str, at: int, expected: str) -> int | None:
    """Returns where `expected` ends in `text` from `at` on, or None where it does not stand."""
    for char in expected:
        if char.isspace():
            continue
        at = _skip(text, at)
        if at >= len(text) or not _cases(text[at]) & _cases(char):
            return None
        at += 1
    return at


def _cases(char: str) -> set[str]:
    """Returns a character with what any language may write for it as a capital or small letter."""
    return {char, char.lower()[0], char.upper()[0]}


_SHOW: dict[str, Callable[[str, Row], Example]] = {
    "pairs": _show_pair,
    "mono": _show_mono,
    "aligned": _show_aligned,
    "exchange": _show_exchange,
    "codeswitch": _show_switched,
    "pseudo": _show_pseudo,
}


def lexicon_entries(dataset: Dataset, n_entries: int) -> list[Entry]:
    """Returns words from the most frequent to the rarest, each with its best translations.

    Args:
        dataset: of kind lexicon.
        n_entries: words per key at most (not punctuation), at ranks even in their logarithm.
    """
    return [e for key in dataset.keys for e in _key_entries(dataset, key, n_entries)]


def _key_entries(dataset: Dataset, key: str, n_entries: int) -> Iterator[Entry]:
    totals: dict[tuple[str, str, str], int] = {}
    for batch in dataset.batches(key=key, columns=["src_lang", "tgt_lang", "src", "count"]):
        for *word, count in zip(*(column.to_pylist() for column in batch.columns)):
            if any(map(str.isalpha, word[2])):
                place = (word[0], word[1], word[2])
                totals[place] = totals.get(place, 0) + count
    ranked = sorted(totals, key=lambda word: (-totals[word], word))
    ranks = sorted({round(len(ranked) ** (i / max(n_entries - 1, 1))) for i in range(n_entries)})
    chosen = [ranked[rank - 1] for rank in ranks if rank <= len(ranked)]
    found = _translations(dataset, key, set(chosen))
    for src_lang, tgt_lang, word in chosen:
        best = sorted(found[src_lang, tgt_lang, word], key=lambda t: (-t[1], t[0]))
        yield Entry(
            key=key,
            src_lang=src_lang,
            tgt_lang=tgt_lang,
            word=shown(word, 60),
            count=totals[src_lang, tgt_lang, word],
            translations=tuple(best[:4]),
        )


def _translations(
    dataset: Dataset, key: str, words: set[tuple[str, str, str]]
) -> dict[tuple[str, str, str], list[tuple[str, float, int]]]:
    found: dict[tuple[str, str, str], list[tuple[str, float, int]]] = {w: [] for w in words}
    texts = pa.array(sorted({word for _, _, word in words}), pa.string())
    for batch in dataset.batches(key=key):
        for row in batch.filter(pa.compute.is_in(batch.column("src"), value_set=texts)).to_pylist():
            place = (row["src_lang"], row["tgt_lang"], row["src"])
            if place in found:
                entry = (shown(row["tgt"], 60), row["p_tgt_given_src"], row["count"])
                found[place].append(entry)
    return found
