"""Exports in the order of the corpus files: record n of a file is line n of what is written for it.

Shards hold rows in the order of their ids, so they are sorted here by place, on disk (SQLite in the
folder of the output): memory does not grow with the corpus. Which records were dropped is known by
the dataset that `ingest` wrote, whose rows and rejects together are all records of all files.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from bitextile.kernels.export.formats import ExportFormat
from bitextile.kernels.progress import count
from bitextile.pipelines.export_order import Dropped
from bitextile.schema.dataset import BATCH_ROWS, Dataset, open_dataset
from bitextile.schema.errors import BitextileError, ConfigError
from bitextile.schema.ids import language_key
from bitextile.schema.kinds import ALIGNED, PAIRS, REJECTS
from bitextile.schema.shards import read_shard
from bitextile.schema.storage import exists

DATABASE = "order.sqlite"
PLACE = ["corpus", "file", "line"]

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE rejects (key TEXT, source INT, line INT, id TEXT, duplicate INT);
CREATE TABLE records (source INT, line INT, id TEXT, place INT, first TEXT, second TEXT);
CREATE TABLE batch (id TEXT, first TEXT, second TEXT);
"""


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """What was written for one corpus file.

    Attributes:
        key: language pair.
        corpus: as the recipe names it.
        file: as the recipe names it.
        folder: in the export, with the files of this corpus file.
        lines: written, a header not counted.
        empty: of those, lines that stand for a dropped record.
    """

    key: str
    corpus: str
    file: str
    folder: str
    lines: int
    empty: int


def origin_of(dataset: Dataset) -> Dataset:
    """Returns the dataset that `ingest` wrote and this one was made from, maybe in several steps.

    Raises:
        ConfigError: it is not where the manifest says nor beside `dataset`, or has changed.
    """
    while dataset.manifest.config.get("command") != "ingest":
        dataset = _input_of(dataset)
    return dataset


def _input_of(dataset: Dataset) -> Dataset:
    for entry in dataset.manifest.inputs:
        folder, _, _ = dataset.path.rstrip("/").rpartition("/")
        beside = f"{folder or '.'}/{entry['path'].rstrip('/').rpartition('/')[2]}"
        for path in (entry["path"], beside):
            try:
                found = open_dataset(path, [PAIRS, ALIGNED]) if _is_dataset(path) else None
            except BitextileError:
                continue
            if found is not None and found.manifest.digest == entry["digest"]:
                return found
    inputs = ", ".join(entry["path"] for entry in dataset.manifest.inputs) or "nothing it names"
    raise ConfigError(
        f"{dataset.path} was made from {inputs}, where the pairs of `ingest` are not or have "
        "changed, and they say which lines were dropped; put them back, or give --dropped skip"
    )


def _is_dataset(path: str) -> bool:
    return exists(f"{path}/manifest.json")


def export_in_file_order(
    source: Dataset, folder: str, format: ExportFormat, *, dropped: Dropped
) -> list[ExportedFile]:
    """Writes each corpus file's rows into a folder of its own, in the order of the file.

    Args:
        source: the dataset, of kind pairs or aligned.
        folder: where folders are made, one for each corpus.
        format: of the files.
        dropped: "empty" writes an empty line for each record that was dropped, and for a duplicate
            the row that was kept; "skip" writes the kept rows alone.

    Raises:
        ConfigError: the format has no order of lines, or "empty" and the pairs that `ingest` wrote
            are not there.
    """
    if format.blank is None:
        raise ConfigError(
            f"format {format.name} is of no file's lines, so there is no --order file; leave it out"
        )
    origin = origin_of(source) if dropped == "empty" else None
    if origin is not None and (strange := sorted(set(source.keys) - set(origin.keys))):
        raise ConfigError(
            f"{source.path} has {strange[0]}, which no corpus file of {origin.path} is in; "
            "give --dropped skip"
        )
    database = Path(folder, DATABASE)
    written: list[ExportedFile] = []
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        order = _Order(connection)
        if origin is not None:
            order.add_rejects(origin)
        for key in source.keys:
            names = order.add_rows(source, key, format)
            if names:
                if origin is not None:
                    order.add_places(origin, key)
                written += _write_key(order, folder, key, names, source.kind.schema.names, format)
    database.unlink()
    return written


@dataclass(frozen=True)
class _Order:
    """The records of a language pair on disk, to be read in the order of their files.

    A record has rows with `place` 1, one for each time it stands in a file, and one with `place` 0
    and the lines to write, if it was kept.
    """

    connection: sqlite3.Connection
    sources: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection.executescript(_TABLES)

    def add_rejects(self, origin: Dataset) -> None:
        columns = ["id", "rule", *PLACE, "src_lang", "tgt_lang"]
        for shard in origin.manifest.rejects:
            for batch in read_shard(
                origin.path, shard, REJECTS, columns=columns, batch_rows=BATCH_ROWS
            ):
                rows = [row for row in batch.to_pylist() if row["tgt_lang"] is not None]
                self._insert(
                    "rejects",
                    (
                        (
                            language_key((row["src_lang"], row["tgt_lang"])),
                            self._source(row["corpus"], row["file"]),
                            row["line"],
                            row["id"],
                            row["rule"].startswith("duplicate/"),
                        )
                        for row in rows
                    ),
                )
        self.connection.execute("CREATE INDEX of_id ON rejects (id) WHERE duplicate")
        self.connection.execute("CREATE INDEX of_key ON rejects (key)")

    def add_rows(self, source: Dataset, key: str, format: ExportFormat) -> list[str]:
        """Adds the lines of a key's rows and of their duplicates; returns the files' names."""
        self.connection.execute("DELETE FROM records")
        names: list[str] = []
        for batch in source.batches(key=key):
            if not batch.num_rows:
                continue
            lines = format.lines(key, batch)
            names = list(lines)
            texts = [lines[name].to_pylist() for name in names]
            texts += [[None] * batch.num_rows] * (2 - len(texts))
            places = self._places(batch)
            count("WriteLines", batch.num_rows, total=source.manifest.rows)
            rows = [(*place, 0, *pair) for place, *pair in zip(places, *texts, strict=True)]
            self._insert("records", rows)
            self.connection.execute("DELETE FROM batch")
            self._insert("batch", (itemgetter(2, 4, 5)(row) for row in rows))
            self.connection.execute(
                "INSERT INTO records SELECT source, line, id, 0, first, second "
                "FROM batch JOIN rejects USING (id) WHERE duplicate AND key = ?",
                (key,),
            )
        return names

    def add_places(self, origin: Dataset, key: str) -> None:
        """Adds where each record of a key stands, whether it was kept or not."""
        for batch in origin.batches(key=key, columns=["pair_id", *PLACE]):
            self._insert("records", ((*place, 1, None, None) for place in self._places(batch)))
            count("ReadPlaces", batch.num_rows, total=origin.manifest.rows)
        self.connection.execute(
            "INSERT INTO records SELECT source, line, id, 1, NULL, NULL FROM rejects WHERE key = ?",
            (key,),
        )

    def records(self) -> Iterator[tuple[int, list[tuple[str | None, str | None, int]]]]:
        """Yields each source with its records in order: lines to write, and how often."""
        rows = self.connection.execute(
            "SELECT source, line, id, place, first, second FROM records "
            "ORDER BY source, line, id, place"
        )
        for source, of_source in groupby(rows, key=itemgetter(0)):
            yield source, map(_record, groupby(of_source, key=itemgetter(1, 2)))  # type: ignore

    def _places(self, batch: pa.RecordBatch) -> Iterator[tuple[int, int, str]]:
        columns = [batch.column(name).to_pylist() for name in ("pair_id", *PLACE)]
        for id_, corpus, file, line in zip(*columns, strict=True):
            yield self._source(corpus, file), line, id_

    def _source(self, corpus: str, file: str) -> int:
        return self.sources.setdefault((corpus, file), len(self.sources))

    def _insert(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        rows = list(rows)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self.connection.execute("BEGIN")
            self.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            self.connection.execute("COMMIT")


def _record(group: tuple[Any, Iterator[tuple]]) -> tuple[str | None, str | None, int]:
    """Returns the lines of one record, None if it was dropped, and how often it stands there."""
    rows = list(group[1])
    places = sum(row[3] for row in rows)
    # Without places ("skip") a row stands once.
    return rows[0][4], rows[0][5], max(places, 1)


def _write_key(
    order: _Order,
    folder: str,
    key: str,
    names: list[str],
    columns: list[str],
    format: ExportFormat,
) -> Iterator[ExportedFile]:
    named = {number: place for place, number in order.sources.items()}
    places = [row[0] for row in order.connection.execute("SELECT DISTINCT source FROM records")]
    folders = _folders([named[number] for number in places])
    for number, records in order.records():
        corpus, file = named[number]
        place = Path(folder, folders[corpus, file])
        place.mkdir(parents=True, exist_ok=True)
        lines = empty = 0
        with ExitStack() as stack:
            files: list[TextIO] = [
                stack.enter_context(open(place / name, "x", encoding="utf-8", newline=""))
                for name in names
            ]
            for out in files if format.header else ():
                out.write("\t".join(columns) + "\n")
            blank = [format.blank(name, len(columns)) for name in names]  # type: ignore[misc]
            for *texts, times in records:
                lines, empty = lines + times, empty + times * (texts[0] is None)
                for out, text, instead in zip(files, texts, blank, strict=False):
                    out.write(f"{instead if text is None else text}\n" * times)
        yield ExportedFile(
            key=key,
            corpus=corpus,
            file=file,
            folder=folders[corpus, file],
            lines=lines,
            empty=empty,
        )


def _folders(places: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Returns a folder for each (corpus, file): CORPUS, or CORPUS/FILE where it has several files.

    >>> sorted(_folders([("a", "x.tsv"), ("b/c", "x"), ("b/c", "../y")]).values())
    ['a', 'b_c/x', 'b_c/y']
    """
    folders: dict[tuple[str, str], str] = {}
    for corpus, file in sorted(places):
        several = sum(other == corpus for other, _ in places) > 1
        wanted = _safe(corpus) + (
            f"/{_safe(file.rstrip('/').rpartition('/')[2])}" if several else ""
        )
        name, number = wanted, 2
        # Two names may be the same after what cannot stand in a file name is replaced.
        while name.casefold() in {taken.casefold() for taken in folders.values()}:
            name, number = f"{wanted}-{number}", number + 1
        folders[corpus, file] = name
    return folders


def _safe(name: str) -> str:
    safe = re.sub(r"[^\w.-]+", "_", name).strip(".")[:100]
    return f"_{safe}" if safe in ("", DATABASE, "export.json") else safe
