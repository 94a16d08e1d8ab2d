"""The deterministic sharded writer: equal rows give equal bytes on any runner and worker count.

A row's shard is its id's hash modulo the number of shards of its key, which follows from the row
count; in a shard rows are sorted by id. So nothing depends on who processed what when.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsDict, AsList, AsSingleton
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.progress import count
from bitextile.kernels.sharding import (
    n_shards,
    record_hash,
    row_bytes,
    split_by_bucket,
    split_by_language,
)
from bitextile.schema.errors import ConservationError, OutputExistsError
from bitextile.schema.kinds import REJECTS, Kind
from bitextile.schema.manifest import FILE_NAME, Counts, Manifest, Shard, write_manifest
from bitextile.schema.shards import (
    check_no_others,
    files_of,
    other_files,
    reject_path,
    shard_key,
    shard_path,
    write_shard,
)
from bitextile.schema.storage import exists, write_atomically
from bitextile.transforms.batches import AnyRows, track
from bitextile.transforms.card import CARD, card_text

MAX_SHARD_ROWS = 500_000
"""A shard must fit in a worker's memory: 480 bytes an aligned pair (real text) make that 240 MB."""
MAX_SHARD_BYTES = 256 << 20
"""Of values, in the mean: of rows of the longest texts that filters keep there are more shards."""
MAX_REJECTS_BYTES = 64 << 20
"""Of values of a shard of rejects, which are long where a corpus is not what it is said to be."""

_ASSIGN = ("AssignShards", "AssignRejects")

Place = tuple[str, int, int]
Statistics = dict[str, Any]


@dataclass(eq=False)
class WriteDataset(beam.PTransform):
    """Writes a TrackedRows as a dataset: shards, rejects, and last the manifest.

    Attributes:
        path: folder or URI, not there yet or without data/, rejects/ and manifest of its own; what
            else lies in it (the models of an aligner) stays, and is listed in the manifest.
        kind: of the rows kept.
        config: the command and its options, for the manifest.
        inputs: path and digest of what was read, for the manifest.
        software: name to version, for the manifest.
        max_shard_rows: rows of a shard at most.

    Raises (when it is applied): OutputExistsError if a dataset, or a part of one, lies there.
    Raises (when it runs): SchemaError, RowError for rows that break the kind's contract;
    ConservationError if read is not kept + rejected; DatasetError if other files were written
    beside its own.
    """

    path: str
    kind: Kind
    config: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[dict[str, str], ...] = ()
    software: dict[str, str] = field(default_factory=dict)
    max_shard_rows: int = MAX_SHARD_ROWS

    @no_annotations
    def expand(self, rows: AnyRows) -> beam.PCollection:
        """Returns a PCollection of one element, the Manifest that was written."""
        _refuse_leftovers(self.path)
        # From here on three independent counts: rows kept and rejected, by what was written, and
        # rows read, by the source. `manifest` compares them.
        kept, rejects, read, counters = track(rows)
        root = kept.pipeline
        # `pipeline=`, since of no PCollections Flatten cannot know whose it is.
        rejects = rejects | "JoinRejects" >> beam.Flatten(pipeline=root)
        shards = kept | "WriteShards" >> _WriteShards(self.path, self.kind, self.max_shard_rows)
        dropped = rejects | "WriteRejects" >> _WriteShards(self.path, REJECTS, self.max_shard_rows)
        total = read | "SumRead" >> beam.CombineGlobally(sum)
        counted = (
            counters
            | "JoinCounters" >> beam.Flatten(pipeline=root)
            | "ListCounters" >> beam.FlatMap(_counter_rows)
            | "SumCounters" >> beam.CombinePerKey(sum)
        )
        return (
            root
            # One element that waits for all side inputs: the manifest is written after the last
            # shard, so a folder with a manifest is a whole dataset.
            | "Once" >> beam.Create([self])
            | "WriteManifest"
            >> beam.Map(
                _write_manifest,
                AsList(shards),
                AsList(dropped),
                AsSingleton(total),
                AsDict(counted),
            )
        )

    def manifest(
        self,
        shards: Iterable[tuple[Shard, Statistics]],
        rejects: Iterable[tuple[Shard, Statistics]],
        read: int,
        counters: dict[tuple[str, str], int] | None = None,
    ) -> Manifest:
        """Returns the manifest over what was written; raises ConservationError if rows are gone.

        Args:
            shards: of the rows kept, with their statistics.
            rejects: likewise.
            read: rows.
            counters: (key, name) to what steps counted; they stand in the manifest as the key's
                "drawn". A key none of whose rows was kept has no entry there; its rejects tell.
        """
        # Side inputs come in any order.
        shards = sorted(shards, key=lambda item: item[0].path)
        rejects = sorted(rejects, key=lambda item: item[0].path)
        rules: Counter[str] = Counter()
        for _, statistics in rejects:
            rules.update(statistics["rules"])
        kept = sum(shard.rows for shard, _ in shards)
        # Before the manifest: a pipeline that loses rows leaves no dataset.
        if read != kept + rules.total():
            raise ConservationError(
                f"{self.path}: read {read} rows, but kept {kept} and rejected {rules.total()}; "
                "a transform in this pipeline drops or makes rows without saying so"
            )
        return Manifest(
            kind=self.kind.name,
            schema_version=self.kind.version,
            columns={f.name: str(f.type) for f in self.kind.schema},
            shards=tuple(shard for shard, _ in shards),
            rejects=tuple(shard for shard, _ in rejects),
            counts=Counts(read, kept, dict(sorted(rules.items()))),
            keys=_with_counters(_merge_keys(shards), counters or {}),
            config=self.config,
            inputs=self.inputs,
            software=self.software,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _refuse_leftovers(path: str) -> None:
    found = [FILE_NAME] if exists(f"{path}/{FILE_NAME}") else files_of(path)
    if found:
        raise OutputExistsError(
            f"{path} holds {found[0]} already, whose rows would stand beside those to be written; "
            "give a folder that is not there yet, or remove this one"
        )


def _write_manifest(
    write: WriteDataset, shards: list, rejects: list, read: int, counters: dict
) -> Manifest:
    manifest = write.manifest(shards, rejects, read, counters)
    # Again, since a pipeline may run long after it was built, or beside another one.
    check_no_others(write.path, (*manifest.shards, *manifest.rejects))
    # Now that the shards are written, so are the models that made their rows.
    manifest = replace(manifest, files=other_files(write.path))
    # Not over what somebody has written there.
    if not exists(f"{write.path}/{CARD}"):
        write_atomically(f"{write.path}/{CARD}", card_text(manifest).encode(), overwrite=False)
    write_manifest(write.path, manifest)
    return manifest


@dataclass(eq=False)
class _WriteShards(beam.PTransform):
    path: str
    kind: Kind
    max_shard_rows: int

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        rows = (
            batches
            # A first pass over the rows, for their number alone: it decides how many shards there
            # are, which must not follow from how the runner cut the batches.
            | "CountRows" >> beam.FlatMap(_count_rows, self.kind)
            | "SumRows" >> beam.CombinePerKey(_add)
        )
        return (
            batches
            | "AssignShards"
            >> beam.FlatMap(
                _assign, AsDict(rows), self.kind, self.max_shard_rows
            ).with_output_types(tuple[tuple[str, int, int], pa.RecordBatch])
            | "GroupShards" >> beam.GroupByKey()
            | "WriteShard" >> beam.Map(_write_shard, path=self.path, kind=self.kind)
        )


def _keyed(batch: pa.RecordBatch, kind: Kind) -> Iterator[tuple[str, pa.RecordBatch]]:
    # Rejects of all language pairs share shards: they are few and are read together.
    return iter([("", batch)]) if kind is REJECTS else split_by_language(batch, kind)


def _count_rows(batch: pa.RecordBatch, kind: Kind) -> Iterator[tuple[str, tuple[int, int]]]:
    return ((key, (part.num_rows, row_bytes(part))) for key, part in _keyed(batch, kind))


def _add(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    rows, size = zip(*counts)
    return sum(rows), sum(size)


def _assign(
    batch: pa.RecordBatch, counts: dict[str, tuple[int, int]], kind: Kind, max_shard_rows: int
) -> Iterator[tuple[Place, pa.RecordBatch]]:
    for key, part in _keyed(batch, kind):
        rows, size = counts[key]
        max_bytes = MAX_REJECTS_BYTES if kind is REJECTS else MAX_SHARD_BYTES
        n = n_shards(rows, max_shard_rows, size=size, max_shard_bytes=max_bytes)
        total = sum(rows for rows, _ in counts.values())
        count(_ASSIGN[kind is REJECTS], part.num_rows, total=total)
        for index, piece in split_by_bucket(part, record_hash(part, kind), n):
            yield (key, index, n), piece


def _write_shard(
    group: tuple[Place, Iterable[pa.RecordBatch]], *, path: str, kind: Kind
) -> tuple[Shard, Statistics]:
    (key, index, n), batches = group
    relative = reject_path(index, n) if kind is REJECTS else shard_path(key, index, n)
    # In the order of arrival; `write_shard` sorts by id, from which equal bytes follow.
    table = pa.Table.from_batches(list(batches))
    written = write_shard(path, relative, table, kind), _statistics(table, kind)
    if kind is not REJECTS:
        count("WriteShards", table.num_rows)
    return written


def _statistics(table: pa.Table, kind: Kind) -> Statistics:
    """Returns sums over a shard's rows, for the manifest."""
    if kind is REJECTS:
        return {"rules": _value_counts(table.column("rule"))}
    languages = sorted(
        {tag for c in kind.languages for tag in table.column(c).unique().to_pylist()}
    )
    statistics: Statistics = {"rows": table.num_rows, "languages": languages}
    for column in ("split", "corpus"):
        if column in table.column_names:
            statistics[column] = _value_counts(table.column(column))
    for column in ("src", "tgt", "text"):
        if column in table.column_names:
            statistics[f"{column}_chars"] = pc.sum(pc.utf8_length(table.column(column))).as_py()
    for column in ("src_spans", "tgt_spans", "links", "exchanged", "replacements"):
        if column in table.column_names:
            statistics[column] = pc.sum(pc.list_value_length(table.column(column))).as_py()
    return statistics


def _value_counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {c["values"]: c["counts"] for c in column.value_counts().to_pylist()}


def _counter_rows(batch: pa.RecordBatch) -> Iterator[tuple[tuple[str, str], int]]:
    for row in batch.to_pylist():
        yield (row["key"], row["name"]), row["count"]


def _with_counters(
    keys: dict[str, Statistics], counters: dict[tuple[str, str], int]
) -> dict[str, Statistics]:
    for (key, name), number in sorted(counters.items()):
        # A key all of whose rows were rejected has no shard and no entry to add to.
        if key in keys:
            keys[key].setdefault("drawn", {})[name] = number
    return keys


def _merge_keys(shards: list[tuple[Shard, Statistics]]) -> dict[str, Statistics]:
    keys: dict[str, Statistics] = {}
    for shard, statistics in shards:
        key = shard_key(shard)
        keys[key] = _merged(keys[key], statistics) if key in keys else statistics
    return {key: _sorted(statistics) for key, statistics in sorted(keys.items())}


def _merged(a: Statistics, b: Statistics) -> Statistics:
    out: Statistics = {}
    for name, value in a.items():
        if isinstance(value, dict):
            # All counts are above 0, as `value_counts` gives them; Counter's + would drop others.
            out[name] = dict(Counter(value) + Counter(b[name]))
        elif isinstance(value, list):
            out[name] = sorted({*value, *b[name]})
        else:
            out[name] = value + b[name]
    return out


def _sorted(statistics: Statistics) -> Statistics:
    return {k: dict(sorted(v.items())) if isinstance(v, dict) else v for k, v in statistics.items()}
