"""What every line format needs: the sides in the order of the key, and text that it can hold."""

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.schema.errors import DatasetError, RowError
from bitextile.schema.ids import language_key

Columns = dict[str, pa.Array]
"""File name to its lines, for one batch; all of equal length."""

LINE_BREAK = r"[\n\r]"
FIELD_BREAK = r"[\t\n\r]"
WORD_BREAK = r"^$|[\s\p{Z}\x{85}]|^\|\|\|$"
"""What cannot stand in a word of a `src ||| tgt` line: nothing, white space, the separator. U+0085
is white space to Python but neither \\s nor \\p{Z} to RE2."""


def sides_of_key(key: str, batch: pa.RecordBatch) -> tuple[str, str, pa.Array]:
    """Returns the key's two languages, and which rows hold them the other way round.

    Args:
        key: the language pair of every row.
        batch: rows with `src_lang` and `tgt_lang`, at least one.

    Raises:
        DatasetError: a row is in other languages.

    >>> batch = pa.RecordBatch.from_pydict({"src_lang": ["en", "ar"], "tgt_lang": ["ar", "en"]})
    >>> first, second, flipped = sides_of_key("ar-en", batch)
    >>> first, second, flipped.to_pylist()
    ('ar', 'en', [True, False])
    """
    src, tgt = batch.column("src_lang"), batch.column("tgt_lang")
    # Rows of a key may run in either direction; files have one, that of the sorted tags.
    first, second = sorted((src[0].as_py(), tgt[0].as_py()))
    flipped = pc.not_equal(src, first)
    fits = pc.equal(pc.if_else(flipped, tgt, src), first)
    fits = pc.and_(fits, pc.equal(pc.if_else(flipped, src, tgt), second))
    if language_key((first, second)) != key or not pc.all(fits).as_py():
        raise DatasetError(
            f"key {key}: a row is in {src[0]}-{tgt[0]} or other languages than the first; "
            "write the dataset again"
        )
    return first, second, flipped


def refuse_text(
    batch: pa.RecordBatch, column: str, text: pa.Array, *, pattern: str, what: str
) -> None:
    """Raises RowError for the first row whose text a format cannot represent.

    Args:
        batch: rows with a `pair_id`.
        column: what the text is, for the message.
        text: [n] a string for each row.
        pattern: RE2 of what must not occur in it.
        what: the same in words.
    """
    # Refused, not replaced: a line more or less would shift every line behind it, and no reader of
    # line-aligned files could notice.
    bad = pc.indices_nonzero(pc.match_substring_regex(text, pattern))
    if len(bad):
        row = batch.column("pair_id")[bad[0].as_py()]
        raise RowError(
            f"pair_id {str(row)!r}: {column} holds {what} ({len(bad)} such in this batch), which "
            "this format cannot represent; normalise the text with `ingest`, or export jsonl"
        )
