"""Corpus files into record batches of pairs or sentences.

Files are untrusted: a line has a size limit, XML entities and external references are refused, and
a row that cannot be read becomes a reject with its file and line; a file that is not what it is
said to be (cut short, of another length than its partner) ends the run.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from bitextile.kernels.readers.formats import FORMATS
from bitextile.kernels.readers.source import CorpusSource, Located, Row, UnreadableRow
from bitextile.kernels.rejects import Filtered, join
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

BATCH_ROWS = 8_192
"""Rows of a batch: 2 MB of pairs."""


def read_corpus(source: CorpusSource, *, batch_rows: int = BATCH_ROWS) -> Iterator[Filtered]:
    """Yields a source's rows, as kind PAIRS or MONO, and those that cannot be read, as REJECTS.

    Ids are left empty: they are taken over the normalised text.

    Args:
        source: what to read.
        batch_rows: rows read for each batch.

    Raises:
        InputError: a file is missing, cut short, damaged, or not of its format; two line-aligned
            files differ in length.
    """
    rows = enumerate(FORMATS[source.format].read(source), start=1 + source.header)
    while chunk := list(itertools.islice(rows, batch_rows)):
        yield _batch(source, [_numbered(number, row) for number, row in chunk])


_Numbered = tuple[int, int, Row]
"""A row with the line it begins at and its number, which tells rows of one line apart."""


def _numbered(number: int, row: Row | Located) -> _Numbered:
    return (row.line, number, row.row) if isinstance(row, Located) else (number, number, row)


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
    return Filtered(kept, join([_reject(source, *found) for found in bad]))


def _reject(source: CorpusSource, line: int, number: int, bad: UnreadableRow) -> pa.RecordBatch:
    pair = len(source.languages) == 2
    # A row without text has no id of its own; its place in the corpus stands for it.
    row = {
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
    return pa.RecordBatch.from_pylist([row], schema=REJECTS.schema)
