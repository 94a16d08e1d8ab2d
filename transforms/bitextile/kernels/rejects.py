"""Rows kept and rows rejected: what a rule drops is set aside with its name and value."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, I64, Bool
from bitextile.schema.errors import SchemaError
from bitextile.schema.kinds import REJECTS

Value = F64 | float
Detail = str | Sequence[str]

BATCH_ROWS = 8_192
BATCH_BYTES = 16 << 20
"""Of a batch put together from smaller ones."""
SHOWN_CHARS = 1_000
"""Characters of a text that a reject keeps. A longer one is shown by its beginning: rejects are to
be looked at, and a corpus of the longest lines would be held and written once more in them."""


class Filtered(NamedTuple):
    """What a kernel made of a batch: `kept` rows, and `rejects` rows of kind REJECTS."""

    kept: pa.RecordBatch
    rejects: pa.RecordBatch

    def __repr__(self) -> str:
        return f"Filtered(kept={self.kept.num_rows} rows, rejects={self.rejects.num_rows} rows)"


def split_rejects(
    batch: pa.RecordBatch,
    keep: Bool,
    *,
    rule: str,
    value: Value,
    detail: Detail = "",
) -> Filtered:
    """Splits a batch into the rows to keep and the rejects of one rule; both in row order.

    Args:
        batch: n rows of pairs (`pair_id` or `text_id`, `src`, ...) or of sentences (`text_id`,
            `text`, ...).
        keep: [n] True where the row passes.
        rule: name and version, such as "length_ratio/1".
        value: what the rule measured: [n], or one for all rows.
        detail: what was got, in words: [n], or one for all rows.

    Returns:
        The kept rows with the columns of `batch`, and one REJECTS row for each other.

    Raises:
        SchemaError: `batch` holds neither pairs nor sentences.

    >>> batch = pa.RecordBatch.from_pylist([
    ...     dict(text_id="a" * 32, lang="ar", text="مرحبا", corpus="c", file="f", line=1),
    ...     dict(text_id="b" * 32, lang="de", text="", corpus="c", file="f", line=2)])
    >>> kept, rejects = split_rejects(batch, np.array([True, False]), rule="empty/1", value=0.0)
    >>> kept["text"].to_pylist(), rejects["rule"].to_pylist(), rejects["line"].to_pylist()
    (['مرحبا'], ['empty/1'], [2])
    """
    dropped = np.flatnonzero(~keep)
    values = value if isinstance(value, float | int) else value[dropped]
    details = detail if isinstance(detail, str) else [detail[row] for row in dropped.tolist()]
    rejects = reject_rows(batch.take(pa.array(dropped)), rule=rule, value=values, detail=details)
    return Filtered(batch.filter(pa.array(keep)), rejects)


def reject_rows(
    batch: pa.RecordBatch, *, rule: str, value: Value, detail: Detail = ""
) -> pa.RecordBatch:
    """Returns every row of a batch as a REJECTS row; arguments and errors as in `split_rejects`."""
    n = batch.num_rows
    columns = {
        **{name: _shown(column) for name, column in _identity(batch).items()},
        "rule": pa.repeat(rule, n),
        "value": pa.array(np.broadcast_to(np.asarray(value, np.float64), n)),
        "detail": pa.repeat(detail, n)
        if isinstance(detail, str)
        else pa.array(detail, pa.string()),
        **{name: batch.column(name) for name in ("corpus", "file", "line")},
    }
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in REJECTS.schema.names], schema=REJECTS.schema
    )


def shown_text(text: str) -> str:
    """Returns a text as a reject keeps it: whole, or its beginning and how long it is.

    >>> shown_text("犬 ran"), shown_text("ab" * 800)[990:]
    ('犬 ran', 'ababababab… (1,600 characters)')
    """
    if len(text) <= SHOWN_CHARS:
        return text
    return f"{text[:SHOWN_CHARS]}… ({len(text):,} characters)"


def _shown(texts: pa.StringArray) -> pa.StringArray:
    """Returns each text as `shown_text` does; nulls stay null."""
    lengths = pc.utf8_length(texts)
    if (pc.max(lengths).as_py() or 0) <= SHOWN_CHARS:
        return texts
    return pa.array([text and shown_text(text) for text in texts.to_pylist()], pa.string())


def join(batches: Sequence[pa.RecordBatch], schema: pa.Schema = REJECTS.schema) -> pa.RecordBatch:
    """Returns the rows of all batches as one batch, in their order; an empty one for none.

    Args:
        batches: of one schema.
        schema: what the empty batch has.
    """
    # Empty batches are left out, as kernels make many and concat_batches copies what it joins.
    filled = [batch for batch in batches if batch.num_rows]
    if not filled:
        return pa.RecordBatch.from_pylist([], schema=schema)
    return filled[0] if len(filled) == 1 else pa.concat_batches(filled)


def in_batches(
    parts: Iterable[Filtered], *, rows: int = BATCH_ROWS, size: int = BATCH_BYTES
) -> Iterator[Filtered]:
    """Yields many small parts as batches, which end with the part that fills them.

    Args:
        parts: of one schema.
        rows: of a batch, kept and rejected.
        size: of a batch, in bytes.
    """
    held: list[Filtered] = []
    n_rows = n_bytes = 0
    for part in parts:
        held.append(part)
        n_rows += part.kept.num_rows + part.rejects.num_rows
        n_bytes += part.kept.nbytes + part.rejects.nbytes
        if n_rows >= rows or n_bytes >= size:
            yield _joined(held)
            held, n_rows, n_bytes = [], 0, 0
    if held:
        yield _joined(held)


def _joined(parts: Sequence[Filtered]) -> Filtered:
    kept = join([part.kept for part in parts], parts[0].kept.schema)
    return Filtered(kept, join([part.rejects for part in parts]))


def merge_by_row(
    parts: Sequence[tuple[I64, pa.RecordBatch]],
    schema: pa.Schema = REJECTS.schema,
) -> pa.RecordBatch:
    """Returns the rows of all parts by the number of the row they come from, then by part.

    Args:
        parts: batches of one schema, each with the [n] row numbers of its rows, ascending.
        schema: what an empty result has.
    """
    joined = join([batch for _, batch in parts], schema)
    if sum(batch.num_rows > 0 for _, batch in parts) < 2:
        return joined
    numbers = np.concatenate([rows for rows, _ in parts])
    # Stable: several rejects of a row stay in the order of the parts, which is that of the rules.
    return joined.take(pa.array(np.argsort(numbers, kind="stable")))


def _identity(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    names = set(batch.schema.names)
    pair = ("src_lang", "tgt_lang", "src", "tgt")
    # Rows of PSEUDO hold a pair under the id of the sentence that was translated.
    found = next((name for name in ("pair_id", "text_id") if name in names), None)
    if found and names.issuperset(pair):
        return {"id": batch.column(found), **{name: batch.column(name) for name in pair}}
    if {"text_id", "lang", "text"} <= names:
        none = pa.nulls(batch.num_rows, pa.string())
        one = {"src_lang": batch.column("lang"), "src": batch.column("text")}
        return {"id": batch.column("text_id"), **one, "tgt_lang": none, "tgt": none}
    raise SchemaError(
        f"rows to reject have columns {', '.join(batch.schema.names)}; expected those of kind "
        "pairs (pair_id, src_lang, tgt_lang, src, tgt, ...), pseudo (text_id, src_lang, ...) or "
        "mono (text_id, lang, text, ...)"
    )
