"""Shards: one Parquet file written so that equal rows give equal bytes, and read back checked."""

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from bitextile.schema.checks import check_rows
from bitextile.schema.errors import DatasetError, RowError
from bitextile.schema.kinds import REJECTS, Kind
from bitextile.schema.manifest import FILE_NAME, Manifest, OtherFile, Shard
from bitextile.schema.storage import file_sha256, filesystem

ROW_GROUP_ROWS = 16_384
"""Rows per row group: 4 MB of pairs or 8 MB of aligned pairs in memory (real text), few enough
that a reader may seek by row group."""

DATA = "data"
REJECTED = "rejects"

_HIDDEN = re.compile(r"/[._]")
_FOR_PEOPLE = re.compile(r"(README|LICENSE)[^/]*")


def shard_path(key: str, index: int, n_shards: int) -> str:
    """Returns where shard `index` of language pair (or language) `key` lies in its dataset.

    >>> shard_path("de-en", 0, 4)
    'data/de-en/part-00000-of-00004.parquet'
    """
    return f"{DATA}/{key}/part-{index:05d}-of-{n_shards:05d}.parquet"


def shard_key(shard: Shard) -> str:
    """Returns the language pair or language of a data shard: the folder it lies in."""
    return shard.path.split("/")[1]


def reject_path(index: int, n_shards: int) -> str:
    """Returns where shard `index` of the dropped rows lies in its dataset."""
    return f"{REJECTED}/part-{index:05d}-of-{n_shards:05d}.parquet"


def write_shard(dataset: str, path: str, rows: pa.Table, kind: Kind) -> Shard:
    """Writes rows as one shard: checked, sorted by the kind's id columns, in fixed row groups.

    Args:
        dataset: the dataset's folder.
        path: of the shard in it.
        rows: in any order; ids unique unless they are rejects.
        kind: gives schema, order and checks.

    Returns:
        The shard's entry for the manifest.

    Raises:
        SchemaError: a column is missing or of another type.
        RowError: a null, a span or link out of bounds, a duplicate id.
    """
    kind.check_schema(rows.schema, path)
    rows = rows.sort_by([(column, "ascending") for column in kind.id_columns])
    # Metadata of the input (pandas', another kind's) would make other bytes of equal rows.
    rows = rows.combine_chunks().replace_schema_metadata(
        {"bitextile.kind": kind.name, "bitextile.schema_version": str(kind.version)}
    )
    for batch in rows.to_batches():
        check_rows(batch, kind, path)
    _refuse_duplicates(rows, kind, path)
    target = f"{dataset}/{path}"
    filesystem_, place = filesystem(target)
    filesystem_.create_dir(os.path.dirname(place), recursive=True)
    with filesystem_.open_output_stream(f"{place}.tmp") as stream:
        hashing = _HashingStream(stream)
        sink = pa.PythonFile(hashing, mode="w")
        pq.write_table(
            rows, sink, row_group_size=ROW_GROUP_ROWS, compression="zstd", compression_level=3
        )
    # A worker that dies leaves a .tmp, which no reader takes for a shard; its retry overwrites it.
    filesystem_.move(f"{place}.tmp", place)
    return Shard(path, rows.num_rows, hashing.size, hashing.digest.hexdigest())


class _HashingStream:
    """A binary sink that hashes and counts what passes, so that no shard is read back."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()
        self.size = 0
        # What pa.PythonFile asks a file for, beside write, flush and close.
        self.closed = False

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        self.size += len(content)
        self.stream.write(content)
        return len(content)

    def flush(self) -> None:
        self.stream.flush()

    def close(self) -> None:
        self.closed = True


def _refuse_duplicates(rows: pa.Table, kind: Kind, path: str) -> None:
    # Rejects alone may share an id: a file that a recipe names twice has each bad line twice.
    if kind is REJECTS or rows.num_rows < 2:
        return
    columns = [rows.column(c).combine_chunks() for c in kind.id_columns]
    # Rows are sorted by id, so equal ids are neighbours.
    same = None
    for column in columns:
        equal = pc.equal(column[1:], column[:-1])
        same = equal if same is None else pc.and_(same, equal)
    twice = pc.indices_nonzero(same)
    if len(twice):
        row = twice[0].as_py()
        ids = ", ".join(f"{n} {c[row].as_py()!r}" for n, c in zip(kind.id_columns, columns))
        raise RowError(f"{path}: duplicate id {ids}; drop duplicates before writing")


def read_shard(
    dataset: str,
    shard: Shard,
    kind: Kind,
    *,
    columns: list[str] | None,
    batch_rows: int,
    row_groups: Sequence[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one shard in file order.

    Args:
        dataset: the dataset's folder.
        shard: its manifest entry.
        kind: what the file must hold.
        columns: which to read; None for all.
        batch_rows: rows of a batch at most.
        row_groups: numbers of those to read, of ROW_GROUP_ROWS rows each; None for all.

    Raises:
        SchemaError: the file's columns are not the kind's.
        DatasetError: the file is not readable Parquet.
    """
    filesystem_, place = filesystem(f"{dataset}/{shard.path}")
    try:
        with pq.ParquetFile(filesystem_.open_input_file(place), pre_buffer=False) as file:
            kind.check_schema(file.schema_arrow, f"{dataset}/{shard.path}")
            # Without metadata, so that batches of a shard equal batches a kernel makes, and
            # concatenate.
            schema = file.schema_arrow.remove_metadata()
            if columns is not None:
                schema = pa.schema([schema.field(name) for name in columns])
            for batch in file.iter_batches(batch_rows, row_groups=row_groups, columns=columns):
                yield pa.RecordBatch.from_arrays(
                    [batch.column(name) for name in schema.names], schema=schema
                )
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(
            f"{dataset}/{shard.path}: not readable as Parquet ({error}); "
            "run `bitextile verify` and write the dataset again"
        ) from error


def check_presence(dataset: str, shard: Shard) -> None:
    """Raises DatasetError unless the shard's file is there with the size the manifest gives."""
    filesystem_, place = filesystem(f"{dataset}/{shard.path}")
    info = filesystem_.get_file_info(place)
    if info.type != fs.FileType.File:
        raise DatasetError(
            f"{dataset}/{shard.path}: the shard is missing ({shard.rows} rows); "
            "copy the whole dataset again or regenerate it"
        )
    # Size costs one request and finds most accidents (a copy cut short); content is `verify`'s.
    if info.size != shard.bytes:
        raise DatasetError(
            f"{dataset}/{shard.path}: {info.size} bytes, the manifest says {shard.bytes}; "
            "the shard was cut or changed: copy the dataset again or regenerate it"
        )


def check_no_others(dataset: str, shards: Collection[Shard]) -> None:
    """Checks that nothing lies beside the shards; who reads `data/**/*.parquet` reads no other row.

    Args:
        dataset: the dataset's folder.
        shards: all of its manifest, of data and of rejects.

    Raises:
        DatasetError: a file under data/ or rejects/ is none of them; the first by name is named.
    """
    listed = {shard.path for shard in shards}
    others = [path for path in files_of(dataset) if path not in listed]
    if others:
        raise _not_listed(dataset, others)


def _not_listed(dataset: str, others: list[str]) -> DatasetError:
    more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
    return DatasetError(
        f"{dataset}/{others[0]}: not in the manifest{more}, so it is no part of this dataset; "
        "move it elsewhere, or write the dataset again into an empty folder"
    )


def files_of(dataset: str) -> list[str]:
    """Returns the paths of all files in a dataset's data/ and rejects/, sorted.

    Names that begin with a dot or an underscore are passed over, as pyarrow, Spark and `datasets`
    do when they read a folder: `.DS_Store`, `_SUCCESS`.
    """
    return [path for folder in (DATA, REJECTED) for path in entries_of(dataset, folder)[0]]


def other_files(dataset: str) -> tuple[OtherFile, ...]:
    """Returns all files of a dataset that are neither shards nor the manifest, by path.

    Without a README or LICENSE, which people change.
    """
    found = []
    for path in entries_of(dataset)[0]:
        known = path.split("/")[0] in (DATA, REJECTED, FILE_NAME)
        if not known and not _FOR_PEOPLE.fullmatch(path):
            where = f"{dataset}/{path}"
            filesystem_, place = filesystem(where)
            found.append(OtherFile(path, filesystem_.get_file_info(place).size, file_sha256(where)))
    return tuple(found)


def entries_of(dataset: str, folder: str = "") -> tuple[list[str], list[str]]:
    """Returns the paths of all files, and of all folders, in a folder of a dataset, sorted.

    Hidden ones are passed over, as in `files_of`.
    """
    filesystem_, place = filesystem(dataset)
    place = place.rstrip("/")
    selector = fs.FileSelector(f"{place}/{folder}", allow_not_found=True, recursive=True)
    found: dict[bool, list[str]] = {True: [], False: []}
    for info in sorted(filesystem_.get_file_info(selector), key=lambda info: info.path):
        relative = info.path.removeprefix(f"{place}/")
        if not _HIDDEN.search(f"/{relative}"):
            found[info.type == fs.FileType.Directory].append(relative)
    return found[False], found[True]


def check_all_known(dataset: str, manifest: Manifest) -> None:
    """Raises DatasetError for a file or folder of a dataset that its manifest does not know.

    A README or LICENSE that somebody has put beside the manifest is not looked at.
    """
    if manifest.files is None:
        return
    known = {shard.path for shard in (*manifest.shards, *manifest.rejects)}
    known |= {file.path for file in manifest.files}
    folders = {
        "/".join(path.split("/")[:n]) for path in known for n in range(1, path.count("/") + 1)
    }
    files, found = entries_of(dataset)
    files = [path for path in files if not _FOR_PEOPLE.fullmatch(path)]
    others = sorted({*files} - known - {FILE_NAME} | {*found} - folders - {DATA, REJECTED})
    if others:
        raise _not_listed(dataset, others)


def check_other_files(dataset: str, manifest: Manifest, *, content: bool) -> None:
    """Raises DatasetError unless the files beside the shards are there as they were written.

    Args:
        dataset: the dataset's folder.
        manifest: of it.
        content: compare checksums, too, and not sizes alone.
    """
    for file in manifest.files or ():
        where = f"{dataset}/{file.path}"
        filesystem_, place = filesystem(where)
        info = filesystem_.get_file_info(place)
        if info.type != fs.FileType.File:
            raise DatasetError(f"{where}: missing; copy the whole dataset again or regenerate it")
        if info.size != file.bytes or (content and file_sha256(where) != file.sha256):
            raise DatasetError(
                f"{where}: not as the manifest says; copy the dataset again or regenerate it"
            )


def check_content(dataset: str, shard: Shard) -> None:
    """Raises DatasetError unless the shard's sha256 is the manifest's."""
    got = file_sha256(f"{dataset}/{shard.path}")
    if got != shard.sha256:
        raise DatasetError(
            f"{dataset}/{shard.path}: sha256 is {got[:12]}..., the manifest says "
            f"{shard.sha256[:12]}...; a byte was changed: copy the dataset again or regenerate it"
        )
