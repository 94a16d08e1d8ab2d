"""`export`: hand pairs and links on as the plain files other tools read.

Rows come in shard order, batch by batch, so a corpus of any size passes through a few MB of
memory. The files are written into a folder beside the output and renamed when all are whole.
"""

import json
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TextIO, get_args

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.pipelines.runner.atomic import check_free, staged
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, DatasetError, RowError
from bitextile.schema.ids import language_key
from bitextile.schema.kinds import ALIGNED, LEXICON, LINKS, PAIRS, SPANS
from bitextile.schema.storage import is_local

Format = Literal["pharaoh", "moses", "tsv", "jsonl", "muse"]
RECEIPT = "export.json"
"""Written into every export: the dataset, its digest, the format, rows and files. A folder without
one is never taken for an old export, so `overwrite` cannot delete anything else."""

Columns = dict[str, pa.Array]
"""File name to its lines, for one batch; all of equal length."""

_LINE_BREAK = r"[\n\r]"
_FIELD_BREAK = r"[\t\n\r]"
_WORD_BREAK = r"^$|[\s\p{Z}\x{85}]|^\|\|\|$"
"""What cannot stand in a word of a `src ||| tgt` line: nothing, white space, the separator."""


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """What was written.

    Attributes:
        out: the folder.
        format: pharaoh, moses, tsv or jsonl.
        rows: key to the rows written for it.
        files: names in `out`, sorted; the receipt is not among them.
    """

    out: str
    format: str
    rows: dict[str, int]
    files: tuple[str, ...]


def export_dataset(
    dataset: str, out: str, *, format: Format, overwrite: bool = False
) -> ExportSummary:
    """Writes a dataset as plain text files that line up row by row, in shard order.

    - `moses`: `KEY.LANG` twice, one sentence per line; the side whose tag sorts first is the same
      language in every row.
    - `pharaoh`: `KEY.words` (`src words ||| tgt words`) and `KEY.pharaoh` (`i-j` links, 0-based,
      sorted); sides in the order of the key, links turned with them.
    - `tsv`: `KEY.tsv`, a header and every column; spans as `start-end`, links as `src-tgt:score`.
    - `jsonl`: `KEY.jsonl`, every column; a score that is not finite is null.
    - `muse`: of a lexicon, `A-B.txt` and `B-A.txt`: a word, a space, a translation.

    Args:
        dataset: folder or URI of kind `aligned`, or `pairs` for all formats but pharaoh; of kind
            `lexicon` for muse.
        out: a local folder that does not exist.
        format: one of the above.
        overwrite: replace an earlier export (a folder with export.json, or an empty one).

    Returns:
        What was written.

    Raises:
        ConfigError: an unknown format, or `out` is not a local path or not an earlier export.
        OutputExistsError: `out` exists and `overwrite` is false.
        SchemaError: the dataset is of another kind.
        RowError: a row cannot be said in this format: a line break in a text, a space in a word.
    """
    if format not in get_args(Format):
        raise ConfigError(f"format is {format!r}, expected one of {', '.join(get_args(Format))}")
    if not is_local(out):
        raise ConfigError(f"{out}: export writes plain files to a local folder; give a local path")
    check_free(out, overwrite=overwrite, receipt=RECEIPT)
    kinds = {"pharaoh": [ALIGNED], "muse": [LEXICON]}.get(format, [PAIRS, ALIGNED])
    source = open_dataset(dataset, kinds)
    with staged([out], overwrite=overwrite, receipt=RECEIPT) as places:
        folder = places[out]
        rows = {key: _export_key(source, key, folder, format) for key in source.keys}
        files = tuple(sorted(os.listdir(folder)))
        summary = ExportSummary(out=str(out), format=format, rows=rows, files=files)
        _write_receipt(folder, source, summary)
    return summary


def _write_receipt(folder: str, source: Dataset, summary: ExportSummary) -> None:
    receipt = asdict(summary) | {"dataset": source.path, "digest": source.manifest.digest}
    del receipt["out"]
    text = json.dumps(receipt, ensure_ascii=False, indent=1)
    Path(folder, RECEIPT).write_text(text + "\n", encoding="utf-8")


def _export_key(source: Dataset, key: str, folder: str, format: Format) -> int:
    """Writes the files of one key; returns its rows. A key without rows gets no file."""
    if not re.fullmatch(r"[A-Za-z0-9-]+", key):
        raise DatasetError(f"{source.path}: key {key!r} is not made of language tags")
    to_lines = _format(format, key)
    rows = 0
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for batch in source.batches(key=key):
            if not batch.num_rows:
                continue
            lines = to_lines(batch)
            if not files:
                files = {name: _open(stack, f"{folder}/{name}") for name in lines}
                _write_header(files, format, batch)
            for name, column in lines.items():
                files[name].write("\n".join(column.to_pylist()) + "\n")
            rows += batch.num_rows
    return rows


def _open(stack: ExitStack, path: str) -> TextIO:
    return stack.enter_context(open(path, "x", encoding="utf-8", newline=""))


def _write_header(files: dict[str, TextIO], format: Format, batch: pa.RecordBatch) -> None:
    if format == "tsv":
        for file in files.values():
            file.write("\t".join(batch.schema.names) + "\n")


def _format(format: Format, key: str) -> Callable[[pa.RecordBatch], Columns]:
    """Returns the pure function from a batch to the lines of each file."""
    functions = {
        "moses": moses_lines,
        "pharaoh": pharaoh_lines,
        "tsv": tsv_lines,
        "jsonl": jsonl_lines,
        "muse": muse_lines,
    }
    return partial(functions[format], key)


def moses_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns the sentences of each language, line-aligned.

    Args:
        key: the language pair of every row.
        batch: rows of kind `pairs` or `aligned`.

    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"pair_id": "0", "src_lang": "en", "tgt_lang": "ar", "src": "Hi", "tgt": "مرحبا"},
    ...     {"pair_id": "1", "src_lang": "ar", "tgt_lang": "en", "src": "لا", "tgt": "no"}])
    >>> {name: lines.to_pylist() for name, lines in moses_lines("ar-en", batch).items()}
    {'ar-en.ar': ['مرحبا', 'لا'], 'ar-en.en': ['Hi', 'no']}
    """
    first, second, turned = _sides(key, batch)
    if first == second:
        raise DatasetError(
            f"key {key}: both sides are {first}, so moses would give both files one name; "
            "export tsv or jsonl"
        )
    for side in ("src", "tgt"):
        _refuse(batch, side, batch.column(side), _LINE_BREAK, "a line break")
    src, tgt = batch.column("src"), batch.column("tgt")
    return {
        f"{key}.{first}": pc.if_else(turned, tgt, src),
        f"{key}.{second}": pc.if_else(turned, src, tgt),
    }


def pharaoh_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns the words of both sides and the links between them.

    Args:
        key: the language pair of every row.
        batch: rows of kind `aligned`.

    >>> span = lambda *ends: [{"start": s, "end": e} for s, e in ends]
    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"pair_id": "0", "src_lang": "zh", "tgt_lang": "en",
    ...      "src": "猫睡了", "tgt": "cats slept",
    ...      "src_spans": span((0, 1), (1, 2), (2, 3)), "tgt_spans": span((0, 4), (5, 10)),
    ...      "links": [{"src": 0, "tgt": 0, "score": 1.0}, {"src": 1, "tgt": 1, "score": .5}]}])
    >>> {name: lines.to_pylist() for name, lines in pharaoh_lines("en-zh", batch).items()}
    {'en-zh.words': ['cats slept ||| 猫 睡 了'], 'en-zh.pharaoh': ['0-0 1-1']}
    """
    _, _, turned = _sides(key, batch)
    src, tgt = _spaced_words(batch, "src"), _spaced_words(batch, "tgt")
    words = pc.binary_join_element_wise(
        pc.if_else(turned, tgt, src), pc.if_else(turned, src, tgt), " ||| "
    )
    return {f"{key}.words": words, f"{key}.pharaoh": _link_lines(batch.column("links"), turned)}


def tsv_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns the rows with their columns between tabs, nothing quoted.

    Args:
        key: the language pair of every row.
        batch: rows of kind `pairs` or `aligned`.
    """
    _sides(key, batch)
    fields = []
    for name in batch.schema.names:
        field = _text_field(batch.column(name))
        _refuse(batch, name, field, _FIELD_BREAK, "a tab or a line break")
        fields.append(field)
    return {f"{key}.tsv": pc.binary_join_element_wise(*fields, "\t")}


def jsonl_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns each row as a JSON object on one line.

    Args:
        key: the language pair of every row.
        batch: rows of kind `pairs` or `aligned`.
    """
    _sides(key, batch)
    columns = [_shortest_floats(column) for column in batch.columns]
    rows = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]
    return {f"{key}.jsonl": pa.array(lines, pa.string())}


def muse_lines(key: str, batch: pa.RecordBatch) -> Columns:
    """Returns a lexicon as MUSE writes dictionaries, in both directions.

    Args:
        key: the language pair of every row.
        batch: rows of kind `lexicon`.

    Raises:
        RowError: a word holds white space, which the format cannot say.

    >>> batch = pa.RecordBatch.from_pylist([
    ...     {"src_lang": "en", "tgt_lang": "zh", "src": "dog", "tgt": "狗"}])
    >>> {name: lines.to_pylist() for name, lines in muse_lines("en-zh", batch).items()}
    {'en-zh.txt': ['dog 狗'], 'zh-en.txt': ['狗 dog']}
    """
    first, second, turned = _sides(key, batch)
    src, tgt = batch.column("src"), batch.column("tgt")
    for words in (src, tgt):
        bad = pc.indices_nonzero(pc.match_substring_regex(words, _WORD_BREAK))
        if len(bad):
            row = batch.slice(bad[0].as_py(), 1).to_pylist()[0]
            raise RowError(
                f"the entry {row['src']!r}, {row['tgt']!r} holds white space or nothing, which "
                "muse cannot say; leave it out of the lexicon"
            )
    a, b = pc.if_else(turned, tgt, src), pc.if_else(turned, src, tgt)
    return {
        f"{first}-{second}.txt": pc.binary_join_element_wise(a, b, " "),
        f"{second}-{first}.txt": pc.binary_join_element_wise(b, a, " "),
    }


def _sides(key: str, batch: pa.RecordBatch) -> tuple[str, str, pa.Array]:
    """Returns the key's two languages, and which rows hold them the other way round."""
    src, tgt = batch.column("src_lang"), batch.column("tgt_lang")
    first, second = sorted((src[0].as_py(), tgt[0].as_py()))
    turned = pc.not_equal(src, first)
    fits = pc.equal(pc.if_else(turned, tgt, src), first)
    fits = pc.and_(fits, pc.equal(pc.if_else(turned, src, tgt), second))
    if language_key((first, second)) != key or not pc.all(fits).as_py():
        raise DatasetError(
            f"key {key}: a row is in {src[0]}-{tgt[0]} or other languages than the first; "
            "write the dataset again"
        )
    return first, second, turned


def _refuse(batch: pa.RecordBatch, column: str, text: pa.Array, pattern: str, what: str) -> None:
    bad = pc.indices_nonzero(pc.match_substring_regex(text, pattern))
    if len(bad):
        row = batch.column("pair_id")[bad[0].as_py()]
        raise RowError(
            f"pair_id {str(row)!r}: {column} holds {what} ({len(bad)} such in this batch), which "
            "this format cannot say; normalise the text with `ingest`, or export jsonl"
        )


def _spaced_words(batch: pa.RecordBatch, side: str) -> pa.Array:
    """Returns each sentence of a side as its words with a space between."""
    texts, spans = batch.column(side).to_pylist(), batch.column(f"{side}_spans")
    counts = pc.list_value_length(spans).to_pylist()
    flat = spans.flatten()
    starts, ends = flat.field("start").to_pylist(), flat.field("end").to_pylist()
    words, lines, at = [], [], 0
    for text, count in zip(texts, counts, strict=True):
        row = [text[s:e] for s, e in zip(starts[at : at + count], ends[at : at + count])]
        words.append(row)
        lines.append(" ".join(row))
        at += count
    flat_words = pa.array([word for row in words for word in row], pa.string())
    if pc.any(pc.match_substring_regex(flat_words, _WORD_BREAK)).as_py():
        bad = pa.array([_unspeakable(row) for row in words], pa.string())
        _refuse(batch, f"a word of {side}", bad, "^!", "white space or |||")
    return pa.array(lines, pa.string())


def _unspeakable(words: list[str]) -> str:
    found = pc.match_substring_regex(pa.array(words, pa.string()), _WORD_BREAK)
    return "!" if pc.any(found).as_py() else ""


def _link_lines(links: pa.ListArray, turned: pa.Array) -> pa.Array:
    """Returns the links of each row as `i-j i-j`, sorted, turned where the row is."""
    parents, flat = pc.list_parent_indices(links), links.flatten()
    turn = pc.take(turned, parents)
    src, tgt = flat.field("src"), flat.field("tgt")
    table = pa.table(
        {"row": parents, "i": pc.if_else(turn, tgt, src), "j": pc.if_else(turn, src, tgt)}
    )
    table = table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()
    i, j = (pc.cast(table.column(c).combine_chunks(), pa.string()) for c in ("i", "j"))
    return _joined(links, pc.binary_join_element_wise(i, j, "-"))


def _joined(lists: pa.ListArray, items: pa.Array) -> pa.Array:
    """Returns the items, one per element of `lists`, joined by spaces within each list."""
    return pc.binary_join(_like(lists, items), " ")


def _like(lists: pa.ListArray, items: pa.Array) -> pa.ListArray:
    """Returns `items` cut into lists of the same lengths; right for a slice of an array too."""
    lengths = pc.list_value_length(lists)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    return pa.ListArray.from_arrays(pc.cast(offsets, pa.int32()), items)


def _text_field(column: pa.Array) -> pa.Array:
    if column.type in (SPANS, LINKS):
        flat = column.flatten()
        names = [field.name for field in flat.type]
        parts = [pc.cast(flat.field(name), pa.string()) for name in names]
        items = pc.binary_join_element_wise(parts[0], parts[1], "-")
        if len(parts) == 3:
            items = pc.binary_join_element_wise(items, parts[2], ":")
        return _joined(column, items)
    return pc.cast(column, pa.string())


def _shortest_floats(column: pa.Array) -> pa.Array:
    """Returns the column with each float32 as the float64 of its shortest decimal, or null.

    That is 0.9, not 0.8999999761581421: the same float32 when read back.
    """
    if pa.types.is_float32(column.type):
        finite = pc.if_else(pc.is_finite(column), column, None)
        return pc.cast(pc.cast(finite, pa.string()), pa.float64())
    if pa.types.is_list(column.type):
        return _like(column, _shortest_floats(column.flatten()))
    if pa.types.is_struct(column.type):
        names = [field.name for field in column.type]
        return pa.StructArray.from_arrays(
            [_shortest_floats(column.field(name)) for name in names], names=names
        )
    return column
