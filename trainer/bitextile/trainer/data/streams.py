"""A stream: the rows of one key of a dataset, in a seeded order, from any position on."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bitextile.kernels.arrays import I64, Bool
from bitextile.schema.dataset import Dataset
from bitextile.schema.errors import DatasetError
from bitextile.schema.manifest import Shard
from bitextile.schema.storage import filesystem
from bitextile.trainer.data.order import Order

CACHED_WINDOWS = 2
"""Streams of micro-batches run close together: their window and its neighbour are enough."""


@dataclass(frozen=True)
class StreamRows:
    """Rows of a stream.

    Attributes:
        table: [n] rows, one chunk per column.
        epochs: [n] how often the stream had been read in full before.
        after: [n] the reader's position once this row is consumed.
    """

    table: pa.Table
    epochs: I64
    after: I64


@dataclass(frozen=True)
class _Decoded:
    start: int
    epoch: int
    table: pa.Table
    order: I64
    wanted: Bool


@dataclass
class DatasetStream:
    """The rows of one key of a dataset.

    Attributes:
        dataset: opened.
        key: a language pair or language.
        columns: what to read besides `split`.
        seed: of the entry.
        split: the only one to be yielded; None if the kind has no splits.
    """

    dataset: Dataset
    key: str
    columns: tuple[str, ...]
    seed: int
    split: str | None
    _groups: list[tuple[Shard, int]] = field(init=False)
    _order: Order = field(init=False)
    _windows: list[_Decoded] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        sizes = [(s, self._group_rows(s)) for s in self.dataset.shards(self.key)]
        self._groups = [(s, g) for s, rows in sizes for g in range(len(rows))]
        group_rows = tuple(n for _, rows in sizes for n in rows)
        self._order = Order(group_rows, self.seed, self.key)

    @property
    def rows(self) -> int:
        """Rows of an epoch, of every split."""
        return self._order.rows

    def take(self, position: int, count: int, *, offset: int, stride: int) -> StreamRows:
        """Returns the next rows of the split for one of several readers.

        Its reader owns positions offset, offset + stride, offset + 2 stride, ... of the endless
        sequence of epochs, so that `stride` readers together meet every row once per epoch.

        Args:
            position: how many of the reader's own positions are behind it.
            count: rows wanted, at least 1.
            offset: of the reader, 0 <= offset < stride.
            stride: number of readers.

        Raises:
            DatasetError: the split has no row in this key.
        """
        tables: list[pa.Table] = []
        epochs: list[I64] = []
        after: list[I64] = []
        found, here = 0, position
        while found < count:
            epoch, index = divmod(offset + here * stride, self.rows) if self.rows else (0, 0)
            # Two epochs without a hit: the split has no row this reader owns.
            if not self.rows or (not found and (here - position) * stride > 2 * self.rows):
                raise DatasetError(
                    f"{self.dataset.path}: key {self.key} has no row of split {self.split!r}; "
                    "leave the dataset out or write it with splits"
                )
            window = self._window(epoch, index)
            # Rows of other splits keep their positions, so that which rows a reader owns does not
            # depend on the split it is to yield.
            own = np.arange(index - window.start, len(window.order), stride)
            hits = np.flatnonzero(window.wanted[window.order[own]])[: count - found]
            tables.append(window.table.take(window.order[own[hits]]))
            epochs.append(np.full(len(hits), epoch))
            # Exact to the row: with `count` reached in mid-window the reader goes on right behind.
            after.append(here + hits + 1)
            found += len(hits)
            here += len(own)
        table = pa.concat_tables(tables).combine_chunks()
        return StreamRows(table, np.concatenate(epochs), np.concatenate(after))

    def _window(self, epoch: int, index: int) -> _Decoded:
        for cached in self._windows:
            if cached.epoch == epoch and 0 <= index - cached.start < len(cached.order):
                return cached
        window = self._order.window(epoch, index)
        table = pa.concat_tables([self._read(int(g)) for g in window.groups]).combine_chunks()
        wanted = np.ones(len(table), bool)
        if self.split is not None:
            # Read with the rest and dropped here: no objective needs it.
            split = table.column("split")
            wanted = pc.equal(split, self.split).to_numpy()
            table = table.select(list(self.columns))
        decoded = _Decoded(window.start, epoch, table, window.order, wanted)
        # The newest first; an older one is of readers that lag behind.
        self._windows = [decoded, *self._windows[: CACHED_WINDOWS - 1]]
        return decoded

    def _read(self, group: int) -> pa.Table:
        shard, index = self._groups[group]
        columns = [*self.columns] + ["split"] * (self.split is not None)
        with self._open(shard) as file:
            try:
                return file.read_row_group(index, columns=list(dict.fromkeys(columns)))
            except (pa.ArrowInvalid, OSError) as error:
                raise self._unreadable(shard, error) from error

    def _group_rows(self, shard: Shard) -> list[int]:
        with self._open(shard) as file:
            self.dataset.kind.check_schema(file.schema_arrow, f"{self.dataset.path}/{shard.path}")
            # From the footer alone: the order of a whole corpus is known before a row is read.
            groups = [file.metadata.row_group(g) for g in range(file.metadata.num_row_groups)]
            return [g.num_rows for g in groups]

    def _open(self, shard: Shard) -> pq.ParquetFile:
        filesystem_, place = filesystem(f"{self.dataset.path}/{shard.path}")
        try:
            return pq.ParquetFile(filesystem_.open_input_file(place), pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(shard, error) from error

    def _unreadable(self, shard: Shard, error: Exception) -> DatasetError:
        return DatasetError(
            f"{self.dataset.path}/{shard.path}: not readable as Parquet ({error}); "
            "run `bitextile verify` and write the dataset again"
        )


def split_rows(
    dataset: Dataset, key: str, columns: tuple[str, ...], *, split: str | None, limit: int
) -> pa.Table | None:
    """Returns the first rows of a split of a key in file order, which is that of hashed ids.

    Args:
        dataset: opened.
        key: language pair or language.
        columns: to return.
        split: train, valid or test; None for all.
        limit: rows at most.

    Returns:
        The rows, or None without any.
    """
    read = [*columns] + ["split"] * (split is not None)
    tables, found = [], 0
    # In file order, which hashed ids make a sample: no draw is needed, and no second pass.
    for batch in dataset.batches(key=key, columns=list(dict.fromkeys(read))):
        rows = pa.Table.from_batches([batch])
        if split is not None:
            rows = rows.filter(pc.equal(rows.column("split"), split))
        tables.append(rows.slice(0, limit - found).select(list(columns)))
        found += len(tables[-1])
        if found >= limit:
            break
    return pa.concat_tables(tables).combine_chunks() if found else None
