"""A dataset opened for reading, and the full check behind `bitextile verify`."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, DatasetError, SchemaError
from bitextile.schema.kinds import REJECTS, Kind
from bitextile.schema.languages import canonical_tag, key_readings
from bitextile.schema.manifest import Manifest, Shard, read_manifest
from bitextile.schema.shards import (
    check_all_known,
    check_content,
    check_no_others,
    check_other_files,
    check_presence,
    read_shard,
    shard_key,
)

if TYPE_CHECKING:
    import pandas

BATCH_ROWS = 8_192
"""Rows of a record batch in a pipeline: 2 MB of pairs, and enough rows that Beam's cost per element
is small beside the work on them."""


@dataclass(frozen=True, repr=False)
class Dataset:
    """A finished dataset: its manifest is read, its kind known, its shards are present.

    Attributes:
        path: folder or URI.
        manifest: as written.
        kind: of its rows.
    """

    path: str
    manifest: Manifest
    kind: Kind

    def __repr__(self) -> str:
        keys = self.keys
        named = ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
        rows = f"{self.manifest.rows:,} rows" + (f" in {named}" if keys else "")
        return f"{type(self).__name__}({self.path!r}, {self.kind.name}, {rows})"

    @property
    def keys(self) -> list[str]:
        """Language pairs or languages, sorted."""
        return sorted(self.manifest.keys)

    @property
    def languages(self) -> tuple[str, ...]:
        """Tags of all languages in it, sorted."""
        return tuple(sorted({tag for key in self.keys for tag in self.languages_of(key)}))

    def named_key(self, name: str) -> str | None:
        """Returns the language pair or language that a user names, in any form; None for no such.

        Args:
            name: such as `en-de`, `deu-eng` or `zh_TW,en`.
        """
        if name in self.keys:
            return name
        meant = key_readings(name)
        for key in self.keys:
            tags = tuple(sorted(canonical_tag(tag) for tag in self.languages_of(key)))
            if tags in meant or (not tags and set(key_readings(key)) & set(meant)):
                return key
        return None

    def languages_of(self, key: str) -> tuple[str, ...]:
        """Returns the tags of one language pair or language, as the manifest lists them."""
        return tuple(self.manifest.keys[key].get("languages", ()))

    def shards(self, key: str | None = None) -> list[Shard]:
        """Returns the shards of a language pair (or language), or all, by path."""
        shards = self.manifest.shards
        return [s for s in shards if key is None or shard_key(s) == key]

    def batches(
        self,
        *,
        key: str | None = None,
        columns: list[str] | None = None,
        batch_rows: int = BATCH_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """Yields all rows (of a language pair), shard after shard, in file order.

        Args:
            key: a language pair or language; None for all.
            columns: names to read; None for all.
            batch_rows: rows of a batch at most.
        """
        for shard in self.shards(key):
            yield from read_shard(
                self.path, shard, self.kind, columns=columns, batch_rows=batch_rows
            )

    def table(self, *, key: str | None = None, columns: list[str] | None = None) -> pa.Table:
        """Returns all rows (of a language pair) at once; for tests, reports and small data."""
        fields = [self.kind.schema.field(c) for c in columns] if columns else self.kind.schema
        batches = list(self.batches(key=key, columns=columns))
        # The schema is named for an empty dataset only: an extensible kind has columns that only
        # its shards know.
        return pa.Table.from_batches(batches, None if batches else pa.schema(fields))

    def to_pandas(
        self, *, key: str | None = None, columns: list[str] | None = None
    ) -> "pandas.DataFrame":
        """Returns all rows (of a language pair) as a DataFrame; spans and links as lists of dicts.

        Args:
            key: a language pair or language; None for all.
            columns: names to read; None for all.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401 - pyarrow would say less when it misses it
        except ImportError as error:
            raise ConfigError("to_pandas needs pandas; pip install pandas") from error
        return self.table(key=key, columns=columns).to_pandas()

    def to_datasets(self, *, key: str | None = None, columns: list[str] | None = None) -> Any:
        """Returns all rows (of a language pair) as a `datasets.Dataset` of Hugging Face, in memory.

        For more than memory holds, `datasets.load_dataset(FOLDER, KEY)` maps the rows from disk.

        Args:
            key: a language pair or language; None for all.
            columns: names to read; None for all.

        Raises:
            ConfigError: datasets is not installed.
        """
        try:
            import datasets
        except ImportError as error:
            raise ConfigError("to_datasets needs datasets; pip install datasets") from error
        return datasets.Dataset(self.table(key=key, columns=columns))


def open_dataset(path: str, kind: Kind | Collection[Kind] | None = None) -> Dataset:
    """Opens a dataset for reading.

    Args:
        path: the folder (or URI) that holds manifest.json.
        kind: the kind wanted, or several; None takes any.

    Returns:
        The dataset; that its shards, and no other files, are there in the right size is checked,
        checksums are not (see `verify`).

    Raises:
        DatasetError: no manifest, a missing or resized shard, a file that is no shard.
        SchemaError: another kind than the wanted one, or a newer schema.
    """
    path = str(path)
    manifest = read_manifest(path)
    actual = manifest.check_version(f"{path}/manifest.json")
    wanted = [kind] if isinstance(kind, Kind) else list(kind or [])
    if wanted and actual not in wanted:
        names = " or ".join(k.name for k in wanted)
        raise SchemaError(f"{path} holds kind {actual.name}, expected {names}; give such a folder")
    # All shards now, before a pipeline has worked for an hour on those that are there.
    for shard in (*manifest.shards, *manifest.rejects):
        check_presence(path, shard)
    check_no_others(path, (*manifest.shards, *manifest.rejects))
    return Dataset(path, manifest, actual)


def verify_dataset(path: str, *, checked: Callable[[int], None] = lambda rows: None) -> Dataset:
    """Reads every byte of a dataset and checks all that the contract promises.

    That is: manifest, presence, no other files or folders, size, sha256, columns, row counts, order
    and uniqueness of ids, nulls, spans and links, and read = kept + rejected.

    Args:
        path: folder or URI.
        checked: called with the number of rows that were checked since it was called last.

    Returns:
        The dataset.

    Raises:
        DatasetError: or one of its subclasses, naming file and row.
    """
    dataset = open_dataset(path)
    check_all_known(dataset.path, dataset.manifest)
    check_other_files(dataset.path, dataset.manifest, content=True)
    for shard in dataset.manifest.shards:
        _verify_shard(dataset, shard, dataset.kind, checked)
    for shard in dataset.manifest.rejects:
        _verify_shard(dataset, shard, REJECTS, checked)
    _verify_counts(dataset)
    return dataset


def _verify_shard(
    dataset: Dataset, shard: Shard, kind: Kind, checked: Callable[[int], None]
) -> None:
    where = f"{dataset.path}/{shard.path}"
    check_content(dataset.path, shard)
    # `last` goes from batch to batch, so that order is checked across their edges, too.
    rows, last = 0, None
    for batch in read_shard(dataset.path, shard, kind, columns=None, batch_rows=BATCH_ROWS):
        check_rows(batch, kind, where)
        rows += batch.num_rows
        ids = list(zip(*(batch.column(c).to_pylist() for c in kind.id_columns), strict=True))
        unsorted = [
            b for a, b in zip([last, *ids], ids) if a is not None and not _in_order(a, b, kind)
        ]
        if unsorted:
            raise DatasetError(
                f"{where}: rows are not sorted by id, or duplicate id: {unsorted[0]}"
            )
        last = ids[-1] if ids else last
        checked(batch.num_rows)
    if rows != shard.rows:
        raise DatasetError(f"{where}: {rows} rows, the manifest says {shard.rows}")


def _in_order(a: tuple, b: tuple, kind: Kind) -> bool:
    # A reject may come twice, such as an invalid line of a file that a recipe names twice.
    return a <= b if kind is REJECTS else a < b


def _verify_counts(dataset: Dataset) -> None:
    counts, manifest = dataset.manifest.counts, dataset.manifest
    rejected = sum(shard.rows for shard in manifest.rejects)
    by_key = sum(statistics["rows"] for statistics in manifest.keys.values())
    problems = [
        (counts.kept != manifest.rows, f"kept {counts.kept}, but the shards hold {manifest.rows}"),
        (by_key != manifest.rows, f"keys hold {by_key} rows, but the shards hold {manifest.rows}"),
        (
            sum(counts.rejected.values()) != rejected,
            f"rejected {sum(counts.rejected.values())}, but rejects hold {rejected}",
        ),
        (
            counts.read != counts.kept + rejected,
            f"read {counts.read}, but kept {counts.kept} + rejected {rejected}",
        ),
    ]
    for wrong, sentence in problems:
        if wrong:
            raise DatasetError(f"{dataset.path}: the counts do not add up: {sentence}")
