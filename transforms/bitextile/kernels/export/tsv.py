"""TSV: a header and every column between tabs; spans `start-end`, links `src-tgt:score`."""

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.export.columns import FIELD_BREAK, Columns, refuse_text, sides_of_key
from bitextile.kernels.export.lists import join_items
from bitextile.schema.kinds import LINKS, SPANS


def tsv_lines(key: str, batch: pa.RecordBatch) -> Columns:
    r"""Returns the rows with their columns between tabs, nothing quoted.

    Args:
        key: the language pair of every row.
        batch: rows of kind `pairs` or `aligned`.

    Raises:
        RowError: a text holds a tab or a line break.

    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"pair_id": "0", "src_lang": "en", "tgt_lang": "ar", "src": "Hi", "tgt": "مرحبا"}])
    >>> tsv_lines("ar-en", batch)["ar-en.tsv"].to_pylist()
    ['0\ten\tar\tHi\tمرحبا']
    """
    sides_of_key(key, batch)
    fields = []
    for name in batch.schema.names:
        field = _text_field(batch.column(name))
        what = "a tab or a line break"
        refuse_text(batch, name, field, pattern=FIELD_BREAK, what=what)
        fields.append(field)
    return {f"{key}.tsv": pc.binary_join_element_wise(*fields, "\t")}


def _text_field(column: pa.Array) -> pa.Array:
    # Nothing is quoted, so that `cut` and `awk` can read it; cells that would need quotes are
    # refused.
    if column.type in (SPANS, LINKS):
        flat = column.flatten()
        names = [field.name for field in flat.type]
        parts = [pc.cast(flat.field(name), pa.string()) for name in names]
        items = pc.binary_join_element_wise(parts[0], parts[1], "-")
        if len(parts) == 3:
            items = pc.binary_join_element_wise(items, parts[2], ":")
        return join_items(column, items)
    return pc.cast(column, pa.string())
