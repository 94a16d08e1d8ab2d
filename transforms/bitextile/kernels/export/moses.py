"""Moses: one file for each language, one sentence a line, line n beside line n."""

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.export.columns import LINE_BREAK, Columns, refuse_text, sides_of_key
from bitextile.schema.errors import DatasetError


def moses_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns the sentences of each language, line-aligned.

    Args:
        key: the language pair of every row.
        batch: rows of kind `pairs` or `aligned`.

    Raises:
        DatasetError: both sides are in one language, so both files would have one name.
        RowError: a sentence holds a line break.

    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"pair_id": "0", "src_lang": "en", "tgt_lang": "ar", "src": "Hi", "tgt": "مرحبا"},
    ...     {"pair_id": "1", "src_lang": "ar", "tgt_lang": "en", "src": "لا", "tgt": "no"}])
    >>> {name: lines.to_pylist() for name, lines in moses_lines("ar-en", batch).items()}
    {'ar-en.ar': ['مرحبا', 'لا'], 'ar-en.en': ['Hi', 'no']}
    """
    first, second, flipped = sides_of_key(key, batch)
    # A key may be of one language twice (paraphrases), and each file needs a name of its own.
    if first == second:
        raise DatasetError(
            f"key {key}: both sides are {first}, so moses would give both files one name; "
            "export tsv or jsonl"
        )
    for side in ("src", "tgt"):
        refuse_text(batch, side, batch.column(side), pattern=LINE_BREAK, what="a line break")
    src, tgt = batch.column("src"), batch.column("tgt")
    return {
        f"{key}.{first}": pc.if_else(flipped, tgt, src),
        f"{key}.{second}": pc.if_else(flipped, src, tgt),
    }
