"""Row checks: nulls, spans and links of a batch, with Arrow's own kernels (no row is unpacked).

Called on every write and by `verify`; the error names dataset, file and row id.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.schema.errors import RowError
from bitextile.schema.kinds import Kind

Offenders = tuple[str, pa.Array]


def check_rows(batch: pa.RecordBatch, kind: Kind, where: str) -> None:
    """Raises RowError if a row of `batch` breaks the contract of `kind`.

    Args:
        batch: rows; its schema has been checked.
        kind: gives the columns that must not be null, and which spans lie in which text.
        where: what the message names as the place.
    """
    for problem, rows in _offenders(batch, kind):
        if len(rows):
            row = rows[0].as_py()
            ids = ", ".join(f"{c} {batch.column(c)[row].as_py()!r}" for c in kind.id_columns)
            raise RowError(f"{where}: {problem} in the row with {ids} ({len(rows)} such rows)")


def _offenders(batch: pa.RecordBatch, kind: Kind) -> Iterator[Offenders]:
    # Nulls come first: what compares with a null is null, and `filter` drops it, so a null inside a
    # span or link would pass every check below.
    for column in kind.columns:
        if not column.nullable and batch.column(column.name).null_count:
            missing = pc.indices_nonzero(pc.is_null(batch.column(column.name)))
            yield f"{column.name} is null", missing
        elif pa.types.is_nested(column.type):
            all_rows = pa.array(range(batch.num_rows), pa.int64())
            for holed in _nulls_inside(batch.column(column.name), all_rows):
                yield f"{column.name}: a null inside", holed
    names = set(batch.schema.names)
    for spans, text in (("src_spans", "src"), ("tgt_spans", "tgt"), ("spans", "text")):
        if {spans, text} <= names:
            yield from _bad_spans(spans, batch.column(spans), batch.column(text))
    if "replacements" in names:
        yield from _bad_spans("replacements", batch.column("replacements"), batch.column("text"))
    if "links" in names:
        yield from _bad_links("links", batch.column("links"), batch)
        yield from _unsorted_links(batch.column("links"))
    if "exchanged" in names:
        yield from _bad_links("exchanged", batch.column("exchanged"), batch)
    if "candidates" in names:
        differs = pc.not_equal(
            pc.list_value_length(batch.column("candidates")),
            pc.list_value_length(batch.column("spans")),
        )
        yield "candidates and spans differ in number", pc.indices_nonzero(differs)


def _nulls_inside(values: pa.Array, rows: pa.Array) -> Iterator[pa.Array]:
    """Yields the rows of the nulls at any depth of `values`, which belong to `rows`."""
    if values.null_count:
        yield pc.unique(pc.filter(rows, pc.is_null(values)))
    if pa.types.is_list(values.type):
        yield from _nulls_inside(values.flatten(), pc.take(rows, pc.list_parent_indices(values)))
    elif pa.types.is_struct(values.type):
        for member in range(values.type.num_fields):
            yield from _nulls_inside(values.field(member), rows)


def _rows_where(parents: pa.Array, bad: pa.Array) -> pa.Array:
    return pc.unique(pc.filter(parents, bad))


def _bad_spans(name: str, spans: pa.ListArray, text: pa.StringArray) -> Iterator[Offenders]:
    parents, flat = pc.list_parent_indices(spans), spans.flatten()
    start, end = flat.field("start"), flat.field("end")
    # text  ["ab" "cde"]   spans [[0-1 1-2] [0-3]]   ->   parents [0 0 1]   length [2 2 3]
    # utf8_length counts code points, as spans do, and not bytes.
    length = pc.take(pc.utf8_length(text), parents)
    outside = pc.or_(
        pc.or_(pc.less(start, 0), pc.greater(end, length)), pc.greater_equal(start, end)
    )
    yield f"{name}: a span lies outside the text or is empty", _rows_where(parents, outside)
    if len(flat) > 1:
        # Neighbours are enough: no span is empty (checked above), so if each begins at or after the
        # end of the one before it, no two of a row overlap.
        same = pc.equal(parents[1:], parents[:-1])
        overlap = pc.and_(same, pc.less(start[1:], end[:-1]))
        yield f"{name}: spans overlap or are not sorted", _rows_where(parents[1:], overlap)


def _bad_links(name: str, links: pa.ListArray, batch: pa.RecordBatch) -> Iterator[Offenders]:
    parents, flat = pc.list_parent_indices(links), links.flatten()
    for side in ("src", "tgt"):
        words = pc.take(pc.list_value_length(batch.column(f"{side}_spans")), parents)
        index = flat.field(side)
        outside = pc.or_(pc.less(index, 0), pc.greater_equal(index, words))
        yield f"{name}: a {side} index lies outside {side}_spans", _rows_where(parents, outside)


def _unsorted_links(links: pa.ListArray) -> Iterator[Offenders]:
    parents, flat = pc.list_parent_indices(links), links.flatten()
    if len(flat) < 2:
        return
    # One number orders (src, tgt): both are int16 and not negative, so tgt never reaches 2^16.
    place = pc.add(
        pc.multiply(pc.cast(flat.field("src"), pa.int64()), 1 << 16),
        pc.cast(flat.field("tgt"), pa.int64()),
    )
    same = pc.equal(parents[1:], parents[:-1])
    unsorted = pc.and_(same, pc.less_equal(place[1:], place[:-1]))
    yield "links: not sorted by (src, tgt), or twice the same", _rows_where(parents[1:], unsorted)
