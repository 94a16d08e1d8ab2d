"""Corpus files into record batches of pairs or sentences.

Files are untrusted: a text has a size limit, whatever holds it, XML entities and external
references are refused, and a row that cannot be read becomes a reject with its file and line; a
file that is not what it is said to be (cut short, of another length than its partner) ends the run.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from bitextile.kernels.readers.archives import packed_bytes
from bitextile.kernels.readers.expansion import RowCount
from bitextile.kernels.readers.formats import FORMATS
from bitextile.kernels.readers.source import CorpusSource, Located, Row, UnreadableRow
from bitextile.kernels.rejects import Filtered, shown_text
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

BATCH_ROWS = 8_192
"""Rows of a batch: 2 MB of pairs."""
BATCH_CHARS = 8 << 20
"""Characters of a batch, after the row that reaches them: a batch of the longest lines is no larger
than one of sentences by more than a line."""
MAX_TEXT_BYTES = 1 << 20
"""Of one side of a row in UTF-8; a line has no more, but a cell of several lines or the segments of
a unit may."""


def read_corpus(
    source: CorpusSource, *, batch_rows: int = BATCH_ROWS, batch_chars: int = BATCH_CHARS
) -> Iterator[Filtered]:
    """Yields a source's rows, as kind PAIRS or MONO, and those that cannot be read, as REJECTS.

    Ids are left empty: they are taken over the normalised text.

    Args:
        source: what to read.
        batch_rows: rows read for each batch at most.
        batch_chars: characters of text after which a batch is full.

    Raises:
        InputError: a file is missing, cut short, damaged, or not of its format; two line-aligned
            files differ in length; a small file unpacks to far too much.
    """
    count = RowCount(" and ".join(source.names), sum(map(packed_bytes, source.files)))
    chunk: list[_Numbered] = []
    chars = 0
    for number, row in enumerate(FORMATS[source.format].read(source), start=1 + source.header):
        numbered = _numbered(number, row)
        chunk.append(numbered)
        chars += _chars(numbered[2])
        if len(chunk) >= batch_rows or chars >= batch_chars:
            count.add(len(chunk))
            yield _batch(source, chunk)
            chunk, chars = [], 0
    if chunk:
        yield _batch(source, chunk)


_Numbered = tuple[int, int, Row]
"""A row with the line it begins at and its number, which tells rows of one line apart."""


def _numbered(number: int, row: Row | Located) -> _Numbered:
    line, texts = (row.line, row.row) if isinstance(row, Located) else (number, row)
    # Cut here, before a batch of them is full: what cannot be read may be long.
    if isinstance(texts, UnreadableRow):
        raw, detail = shown_text(texts.raw), shown_text(texts.detail)
        return line, number, texts._replace(raw=raw, detail=detail)
    longest = max(texts, key=len)
    # A character takes four bytes at most, so that hardly a text is encoded to be measured.
    if 4 * len(longest) > MAX_TEXT_BYTES and (size := len(longest.encode())) > MAX_TEXT_BYTES:
        got = f"a text of more than {MAX_TEXT_BYTES} bytes"
        return line, number, UnreadableRow("cell_bytes/1", size, got, shown_text(longest))
    return line, number, texts


def _chars(row: Row) -> int:
    return len(row.raw) if isinstance(row, UnreadableRow) else sum(map(len, row))


def _batch(source: CorpusSource, chunk: list[_Numbered]) -> Filtered:
    good = [(line, row) for line, _, row in chunk if not isinstance(row, UnreadableRow)]
    bad = [(line, n, row) for line, n, row in chunk if isinstance(row, UnreadableRow)]
    sides: Iterable[Any] = zip(*(row for _, row in good)) if good else [()] * len(source.languages)
    text = [pa.array(side, pa.string()) for side in sides]
    n = len(good)
    languages = [pa.repeat(lang, n) for lang in source.languages]
    lines = pa.array([line for line, _ in good], pa.int64())
    place = [pa.repeat(source.corpus, n), pa.repeat(source.names[0], n), lines]
    kind = PAIRS if len(source.languages) == 2 else MONO
    columns = [pa.repeat("", n), *languages, *text, *place, pa.repeat(source.split, n)]
    kept = pa.RecordBatch.from_arrays(columns, schema=kind.schema)
    rejects = [_reject(source, *found) for found in bad]
    return Filtered(kept, pa.RecordBatch.from_pylist(rejects, schema=REJECTS.schema))


def _reject(source: CorpusSource, line: int, number: int, bad: UnreadableRow) -> dict[str, Any]:
    pair = len(source.languages) == 2
    return {
        # A row without text has no id of its own; its place in the corpus stands for it.
        "id": stable_id(source.corpus, source.names[0], str(number)),
        "rule": bad.rule,
        "value": float(bad.value),
        "detail": bad.detail,
        "corpus": source.corpus,
        "file": source.names[0],
        "line": line,
        "src_lang": source.languages[0],
        "tgt_lang": source.languages[1] if pair else None,
        "src": bad.raw,
        "tgt": "" if pair else None,
    }
