"""Which rows are shown, and how: chosen by id, never by chance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitextile.kernels.drawing.geometry import (
    MAX_WORDS,
    Drawing,
    Sentence,
    ladder,
    wide_drawing,
)
from bitextile.kernels.drawing.marked_text import (
    MarkedText,
    exchanged_texts,
    plain_text,
    switched_text,
    task_fields,
)
from bitextile.kernels.drawing.typeset import sanitized
from bitextile.schema.dataset import Dataset
from bitextile.schema.kinds import Kind

POOL = 512
"""Rows of a key that examples are chosen from: the first in id order, which by the id's hash are as
good as drawn at random, and as many as give short and long sentences."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row as it is shown.

    Attributes:
        key: language pair or language; of pseudo pairs, which was written from which.
        texts: its sentences; drawn ones too, for a narrow page.
        facts: provenance and scores, in a few words each.
        wide: the pair drawn for a wide page; None where nothing fits or nothing is linked.
        narrow: the pair drawn for a narrow one.
    """

    key: str
    texts: tuple[MarkedText, ...]
    facts: tuple[str, ...]
    wide: Drawing | None = None
    narrow: Drawing | None = None


def examples_of(dataset: Dataset, n_examples: int) -> list[ShownRow]:
    """Returns rows to show: spread over the keys, and within a key over the sentence lengths.

    Args:
        dataset: of kind pairs, mono, aligned, exchange, codeswitch or pseudo; others give none.
        n_examples: at most so many (one per key where keys are as many).
    """
    show = _SHOW.get(dataset.kind.name)
    if show is None or n_examples < 1:
        return []
    # Keys without rows would take examples from those that have some.
    keys = [key for key in dataset.keys if dataset.manifest.keys[key]["rows"]]
    keys = _spread(keys, n_examples)
    # The first keys get one more where it does not come out even.
    shares = [n_examples // len(keys) + (i < n_examples % len(keys)) for i in range(len(keys))]
    return [
        show(key, row)
        for key, share in zip(keys, shares, strict=True)
        for row in _choose(dataset, key, share)
    ]


def shown_row(kind: Kind, key: str, row: Row) -> ShownRow:
    """Returns one row as it is shown.

    Args:
        kind: of the row: one that `examples_of` shows.
        key: its language pair or language.
        row: column to value.
    """
    return _SHOW[kind.name](key, row)


def _spread(items: list, n: int) -> list:
    """Returns at most `n` of the items, evenly spaced, in their order."""
    if len(items) <= n:
        return items
    return [items[(2 * i + 1) * len(items) // (2 * n)] for i in range(n)]


def _choose(dataset: Dataset, key: str, n: int) -> list[Row]:
    pool = next(dataset.batches(key=key, batch_rows=POOL), None)
    rows = pool.to_pylist() if pool is not None else []
    # A switched sentence in which nothing was switched shows nothing; unless all are such.
    interesting = [row for row in rows if _has_changes(row)] or rows
    ids = dataset.kind.id_columns
    # By length, of which `_spread` takes evenly: short and long sentences are shown. Ids break
    # ties, so the choice does not depend on the order of the rows.
    interesting.sort(key=lambda row: (_length(row), *(row[column] for column in ids)))
    return _spread(interesting, n)


def _has_changes(row: Row) -> bool:
    return bool(row.get("exchanged", row.get("replacements", row.get("links", True))))


def _length(row: Row) -> int:
    return len(row["text"] if "text" in row else row["src"] + row["tgt"])


def _place(row: Row) -> str:
    return f"{row['corpus']} · {row['file']}:{row['line']}"


def _show_pair(key: str, row: Row) -> ShownRow:
    texts = (plain_text(row["src_lang"], row["src"]), plain_text(row["tgt_lang"], row["tgt"]))
    return ShownRow(key=key, texts=texts, facts=(_place(row), row["split"]))


def _show_mono(key: str, row: Row) -> ShownRow:
    text = plain_text(row["lang"], row["text"])
    return ShownRow(key=key, texts=(text,), facts=(_place(row), row["split"]))


def _show_pseudo(_: str, row: Row) -> ShownRow:
    way = f"{row['src_lang']} → {row['tgt_lang']}"
    texts = (plain_text(row["src_lang"], row["src"]), plain_text(row["tgt_lang"], row["tgt"]))
    engine, _, digest = row["generator"].partition(" sha256:")
    facts = (f"log probability {_signed(row['score'])}", f"by {engine} {digest[:12]}")
    return ShownRow(key=way, texts=texts, facts=facts)


def _show_aligned(key: str, row: Row) -> ShownRow:
    plain = _show_pair(key, row)
    src, tgt = (_sentence(row, side) for side in ("src", "tgt"))
    links = [
        (link["src"], link["tgt"], round(link["score"], 3))
        for link in row["links"]
        # Words beyond MAX_WORDS are not drawn; neither are their links.
        if link["src"] < len(src.words) and link["tgt"] < len(tgt.words)
    ]
    facts = (*plain.facts, f"mean log posterior {_signed(row['align_score'])}")
    if not src.words or not tgt.words:
        return ShownRow(key=key, texts=plain.texts, facts=facts)
    return ShownRow(
        key=key,
        texts=plain.texts,
        facts=facts,
        wide=wide_drawing(src, tgt, links),
        narrow=ladder(src, tgt, links),
    )


def _signed(value: float) -> str:
    # Rounding makes "-0.00" of a small negative number, and U+2212 is the minus that is as wide as
    # the digits.
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "−")


def _sentence(row: Row, side: str) -> Sentence:
    spans = row[f"{side}_spans"][:MAX_WORDS]
    words = [sanitized(row[side][s["start"] : s["end"]], 48) for s in spans]
    return Sentence(lang=row[f"{side}_lang"], words=words)


def _show_switched(key: str, row: Row) -> ShownRow:
    facts: tuple[str, ...] = (
        f"{row['method']}, variant {row['variant']}",
        f"made from {row['parent_id'][:8]}",
    )
    if "label" in row:
        facts += (f"label {row['label']}",)
    text = switched_text(row["matrix_lang"], row["text"], row["replacements"])
    return ShownRow(key=key, texts=tuple(task_fields(text)), facts=facts)


def _show_exchange(key: str, row: Row) -> ShownRow:
    facts = (_place(row), f"variant {row['variant']}")
    return ShownRow(key=key, texts=exchanged_texts(row), facts=facts)


_SHOW: dict[str, Callable[[str, Row], ShownRow]] = {
    "pairs": _show_pair,
    "mono": _show_mono,
    "aligned": _show_aligned,
    "exchange": _show_exchange,
    "codeswitch": _show_switched,
    "pseudo": _show_pseudo,
}
