"""`verify`: read every byte of a dataset, check all it promises, and count what is in it."""

from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.progress import count
from bitextile.pipelines.runner.progress import shown
from bitextile.schema.dataset import Dataset, open_dataset, verify_dataset
from bitextile.schema.errors import DatasetError
from bitextile.schema.ids import language_key

_SPANS = ("src_spans", "tgt_spans", "spans", "replacements")


@dataclass(frozen=True, kw_only=True)
class KeyCounts:
    """What a language pair or language holds: rows, spans (words or replacements) and links."""

    rows: int = 0
    spans: int = 0
    links: int = 0

    def __add__(self, other: "KeyCounts") -> "KeyCounts":
        """Returns the counts of both together."""
        return KeyCounts(
            rows=self.rows + other.rows,
            spans=self.spans + other.spans,
            links=self.links + other.links,
        )


@dataclass(frozen=True, kw_only=True)
class VerifySummary:
    """A dataset that is whole.

    Attributes:
        dataset: folder or URI.
        kind: of its rows.
        digest: over kind, schema and shards.
        shards: data shards read.
        rejects: dropped rows, all read too.
        keys: language pair or language to its counts.
    """

    dataset: str
    kind: str
    digest: str
    shards: int
    rejects: int
    keys: dict[str, KeyCounts]

    @property
    def total(self) -> KeyCounts:
        """The counts over all language pairs."""
        return sum(self.keys.values(), start=KeyCounts())


def verify(dataset: str) -> VerifySummary:
    """Checks a dataset from the first byte to the last; what it returns is whole.

    Checked are manifest, presence, size and sha256 of every shard and of all other files (an
    aligner's models), that no other file or folder lies beside them, columns, row counts (also per
    language pair), order and uniqueness of ids, nulls, bounds of spans and links, that each row
    lies under its languages, and read = kept + rejected.

    Args:
        dataset: folder or URI of any kind.

    Returns:
        What was counted.

    Raises:
        DatasetError: or one of its subclasses, naming file and row.
    """
    # Bytes and rows by shard; below is what only all shards of a key together can show.
    with shown("verify"):
        manifest = open_dataset(dataset).manifest
        rows = sum(shard.rows for shard in (*manifest.shards, *manifest.rejects))
        whole = verify_dataset(dataset, checked=partial(count, "CheckRows", total=rows))
        return VerifySummary(
            dataset=whole.path,
            kind=whole.kind.name,
            digest=whole.manifest.digest,
            shards=len(whole.manifest.shards),
            rejects=sum(shard.rows for shard in whole.manifest.rejects),
            keys={key: _count_key(whole, key) for key in whole.keys},
        )


def _count_key(dataset: Dataset, key: str) -> KeyCounts:
    names = {column.name for column in dataset.kind.columns}
    lists = [name for name in (*_SPANS, "links") if name in names]
    counts = KeyCounts()
    # Texts were read and checked by `verify_dataset`; of the second pass they would be most bytes.
    for batch in dataset.batches(key=key, columns=[*dataset.kind.languages, *lists]):
        _check_languages(dataset, key, batch)
        count("CheckLanguages", batch.num_rows, total=dataset.manifest.rows)
        counts += KeyCounts(
            rows=batch.num_rows,
            spans=sum(_items(batch, name) for name in lists if name in _SPANS),
            links=_items(batch, "links") if "links" in lists else 0,
        )
    expected = dataset.manifest.keys[key]["rows"]
    if counts.rows != expected:
        raise DatasetError(
            f"{dataset.path}: key {key} holds {counts.rows} rows, the manifest says {expected}; "
            "write the dataset again"
        )
    return counts


def _check_languages(dataset: Dataset, key: str, batch: pa.RecordBatch) -> None:
    tags = pa.table({name: batch.column(name) for name in dataset.kind.languages})
    # The distinct combinations, few in any batch; a loop over all rows in Python would be slow.
    for row in tags.group_by(tags.column_names).aggregate([]).to_pylist():
        if language_key(row.values()) != key:
            raise DatasetError(
                f"{dataset.path}/data/{key}: a row has the languages {', '.join(row.values())}, "
                f"which belong under {language_key(row.values())}; write the dataset again"
            )


def _items(batch: pa.RecordBatch, name: str) -> int:
    return int(pc.sum(pc.list_value_length(batch.column(name))).as_py() or 0)
