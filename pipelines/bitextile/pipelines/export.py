"""`bitextile export`: a dataset as the plain files that other tools read.

Rows come in shard order, batch by batch, or sorted on disk in the order of the corpus files
(`file_order`), so a corpus of any size passes through a few MB of memory. The files are written
into a folder beside the output and renamed when all are whole.
"""

import json
import re
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from bitextile.kernels.export.formats import ExportFormat, format_named
from bitextile.kernels.progress import count
from bitextile.pipelines.export_order import DEFAULT_ORDER, ExportOrder
from bitextile.pipelines.file_order import ExportedFile, export_in_file_order
from bitextile.pipelines.runner.atomic import check_free, staged
from bitextile.pipelines.runner.progress import shown
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, DatasetError
from bitextile.schema.storage import is_local

MARKER = "export.json"
"""Written into every export: the dataset, its digest, the format, rows and files. A folder without
one is never taken for an old export, so `overwrite` cannot delete anything else."""


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """What was written.

    Attributes:
        out: the folder.
        format: its name.
        rows: key to the rows written for it.
        files: names in `out`, sorted; the marker is not among them.
        corpus_files: with `order: file`, what was written for each of them.
    """

    out: str
    format: str
    rows: dict[str, int]
    files: tuple[str, ...]
    corpus_files: tuple[ExportedFile, ...] = ()


def export_dataset(
    dataset: str,
    out: str,
    *,
    format: str,
    order: ExportOrder = DEFAULT_ORDER,
    overwrite: bool = False,
) -> ExportSummary:
    """Writes a dataset as plain text files that line up row by row.

    Args:
        dataset: folder or URI, of a kind that the format can represent.
        out: a local folder that does not exist.
        format: name of one of `kernels.export.formats.FORMATS`.
        order: of the rows.
        overwrite: replace an earlier export (a folder with export.json, or an empty one).

    Returns:
        What was written.

    Raises:
        ConfigError: an unknown format, or `out` is not a local path or not an earlier export.
        OutputExistsError: `out` exists and `overwrite` is false.
        SchemaError: the dataset is of another kind.
        RowError: a row cannot be represented: a line break in a text, a space in a word.
    """
    wanted = format_named(format)
    if not is_local(out):
        raise ConfigError(f"{out}: export writes plain files to a local folder; give a local path")
    # `staged` checks as well; asked first, a wrong `out` is told before a dataset is opened.
    check_free(out, overwrite=overwrite, marker=MARKER)
    source = open_dataset(dataset, list(wanted.kinds))
    with (
        staged([out], overwrite=overwrite, inputs=[dataset], marker=MARKER) as places,
        shown("export", [out]),
    ):
        folder = places[out]
        _check_keys(source)
        by_file: list[ExportedFile] = []
        if order.order == "file":
            by_file = export_in_file_order(source, folder, wanted, dropped=order.dropped)
            rows = {key: source.manifest.keys[key]["rows"] for key in source.keys}
        else:
            rows = {key: _export_key(source, key, folder, wanted) for key in source.keys}
        summary = ExportSummary(
            out=str(out),
            format=format,
            rows=rows,
            files=_files_below(folder),
            corpus_files=tuple(by_file),
        )
        _write_marker(folder, source, summary)
    return summary


def _write_marker(folder: str, source: Dataset, summary: ExportSummary) -> None:
    marker = asdict(summary) | {"dataset": source.path, "digest": source.manifest.digest}
    del marker["out"]
    if not summary.corpus_files:
        del marker["corpus_files"]
    text = json.dumps(marker, ensure_ascii=False, indent=1)
    Path(folder, MARKER).write_text(text + "\n", encoding="utf-8")


def _files_below(folder: str) -> tuple[str, ...]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return tuple(sorted(path.relative_to(folder).as_posix() for path in paths))


def _check_keys(source: Dataset) -> None:
    # Keys become file names, and a manifest may come from anybody: "../x" must not reach `open`.
    for key in source.keys:
        if not re.fullmatch(r"[A-Za-z0-9-]+", key):
            raise DatasetError(f"{source.path}: key {key!r} is not made of language tags")


def _export_key(source: Dataset, key: str, folder: str, format: ExportFormat) -> int:
    """Writes the files of one key; returns its rows. A key without rows gets no file."""
    rows = 0
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for batch in source.batches(key=key):
            if not batch.num_rows:
                continue
            lines = format.lines(key, batch)
            # With the first rows, since the format names its files when it sees them (moses: by
            # language).
            if not files:
                files = {name: _open(stack, f"{folder}/{name}") for name in lines}
                for file in files.values() if format.header else ():
                    file.write("\t".join(batch.schema.names) + "\n")
            for name, column in lines.items():
                files[name].write("\n".join(column.to_pylist()) + "\n")
            rows += batch.num_rows
            count("WriteLines", batch.num_rows, total=source.manifest.rows)
    return rows


def _open(stack: ExitStack, path: str) -> TextIO:
    # "x" refuses two keys of one file name; newline="" writes \n on any system, so equal datasets
    # give equal bytes.
    return stack.enter_context(open(path, "x", encoding="utf-8", newline=""))
