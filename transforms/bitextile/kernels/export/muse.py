"""MUSE dictionaries: a word, a space, its translation; one file for each direction."""

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.export.columns import WORD_BREAK, Columns, sides_of_key
from bitextile.schema.errors import RowError


def muse_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns a lexicon as MUSE writes dictionaries, in both directions.

    Args:
        key: the language pair of every row.
        batch: rows of kind `lexicon`.

    Raises:
        RowError: a word holds white space, which the format cannot represent.

    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"src_lang": "en", "tgt_lang": "zh", "src": "dog", "tgt": "狗"}])
    >>> {name: lines.to_pylist() for name, lines in muse_lines("en-zh", batch).items()}
    {'en-zh.txt': ['dog 狗'], 'zh-en.txt': ['狗 dog']}
    """
    first, second, flipped = sides_of_key(key, batch)
    src, tgt = batch.column("src"), batch.column("tgt")
    for words in (src, tgt):
        bad = pc.indices_nonzero(pc.match_substring_regex(words, WORD_BREAK))
        if len(bad):
            row = batch.slice(bad[0].as_py(), 1).to_pylist()[0]
            raise RowError(
                f"the entry {row['src']!r}, {row['tgt']!r} holds white space or nothing, which "
                "muse cannot represent; leave it out of the lexicon"
            )
    # A lexicon of a key has entries looked up from either side; both files get all of them.
    a, b = pc.if_else(flipped, tgt, src), pc.if_else(flipped, src, tgt)
    return {
        f"{first}-{second}.txt": pc.binary_join_element_wise(a, b, " "),
        f"{second}-{first}.txt": pc.binary_join_element_wise(b, a, " "),
    }
