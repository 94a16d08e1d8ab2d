"""The writer: equal rows, however they arrive, are equal bytes; and no row goes missing unseen."""

import hashlib
import itertools
import json
import re
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.kernels.sharding import row_bytes
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import OutputExistsError
from bitextile.schema.kinds import MONO
from bitextile.schema.manifest import Shard
from bitextile.schema.shards import reject_path, shard_path
from bitextile.transforms.batches import FilterBatches, MapBatches, TrackedRows
from bitextile.transforms.read import ReadDataset
from bitextile.transforms.write import WriteDataset, _merge_keys


def drop_sevenths(batch: pa.RecordBatch) -> Filtered:
    keep = batch.column("line").to_numpy() % 7 != 0
    return split_rejects(batch, keep, rule="seventh/1", value=7.0)


def losing(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.slice(1)


def pieces(rows: pa.RecordBatch, n: int, seed: int) -> list[pa.RecordBatch]:
    """Returns the rows in some order, cut into n batches of unlike sizes, some empty."""
    shuffled = rows.take(pa.array(np.random.default_rng(seed).permutation(rows.num_rows)))
    cuts = np.sort(np.random.default_rng(seed + 1).integers(0, rows.num_rows, n - 1)).tolist()
    edges = [0, *cuts, rows.num_rows]
    return [shuffled.slice(a, b - a) for a, b in itertools.pairwise(edges)]


def tracked(root: beam.Pipeline, batches: list[pa.RecordBatch]) -> TrackedRows:
    kept = root | "Rows" >> beam.Create(batches)
    read = root | "Read" >> beam.Create([batch.num_rows for batch in batches])
    return TrackedRows(kept, (), read) | FilterBatches(drop_sevenths, "DropSevenths")


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*.parquet"))
    }


def test_batches_of_any_number_and_order_give_the_same_bytes(pipeline, mono_rows, tmp_path) -> None:
    rows = mono_rows(300)
    written = {}
    for n in (1, 2, 9):
        folder = tmp_path / str(n)
        with pipeline() as root:
            _ = tracked(root, pieces(rows, n, seed=n)) | WriteDataset(
                str(folder), MONO, max_shard_rows=80
            )
        written[n] = (verify_dataset(str(folder)).manifest, files(folder))
    first, content = written[1]
    assert len(content) > 8
    for manifest, others in written.values():
        assert others == content
        assert (manifest.digest, manifest.shards) == (first.digest, first.shards)
        assert (manifest.rejects, manifest.keys, manifest.counts) == (
            first.rejects,
            first.keys,
            first.counts,
        )


def test_every_row_is_in_a_shard_of_its_key_or_in_the_rejects(
    pipeline, mono_rows, tmp_path
) -> None:
    rows = mono_rows(100)
    out = tmp_path / "d"
    with pipeline() as root:
        _ = tracked(root, pieces(rows, 3, 0)) | WriteDataset(
            str(out),
            MONO,
            config={"command": "test", "seed": 3},
            inputs=({"path": "a", "digest": "sha256:1"},),
            software={"bitextile": "0"},
        )
    dataset = verify_dataset(str(out))
    manifest = dataset.manifest
    assert [s.path for s in manifest.shards] == [shard_path("ar", 0, 1), shard_path("de", 0, 1)]
    assert [s.path for s in manifest.rejects] == [reject_path(0, 1)]
    assert manifest.counts.read == 100
    assert manifest.counts.kept == 86
    assert manifest.counts.rejected == {"seventh/1": 14}
    assert sorted(dataset.table().column("line").to_pylist()) == [n for n in range(1, 101) if n % 7]
    for key in ("ar", "de"):
        part = dataset.table(key=key)
        assert set(part.column("lang").to_pylist()) == {key}
        statistics = manifest.keys[key]
        assert statistics["rows"] == part.num_rows
        assert statistics["languages"] == [key]
        assert statistics["split"] == {"train": part.num_rows}
        assert statistics["text_chars"] == sum(map(len, part.column("text").to_pylist()))
    assert manifest.config == {"command": "test", "seed": 3}
    assert manifest.inputs == ({"path": "a", "digest": "sha256:1"},)
    assert manifest.created.endswith("+00:00")


@pytest.mark.parametrize("limit", [1_000, 100])
def test_no_shard_is_larger_than_allowed(pipeline, mono_rows, tmp_path, limit: int) -> None:
    with pipeline() as root:
        _ = tracked(root, [mono_rows(2_500, ("ar",))]) | WriteDataset(
            str(tmp_path / "d"), MONO, max_shard_rows=limit
        )
    manifest = open_dataset(str(tmp_path / "d")).manifest
    assert max(shard.rows for shard in (*manifest.shards, *manifest.rejects)) <= limit
    n = len(manifest.shards)
    assert n >= 3
    assert [s.path for s in manifest.shards] == [shard_path("ar", i, n) for i in range(n)]


def test_no_rows_make_a_dataset_without_shards(pipeline, tmp_path) -> None:
    with pipeline() as root:
        none = root | "Rows" >> beam.Create([])
        read = root | "Read" >> beam.Create([])
        _ = TrackedRows(none, (), read) | WriteDataset(str(tmp_path / "d"), MONO)
    dataset = verify_dataset(str(tmp_path / "d"))
    assert (dataset.manifest.rows, dataset.manifest.counts.read, dataset.keys) == (0, 0, [])


def write(pipeline, out: Path, read: int, batches: list[pa.RecordBatch], *steps) -> None:
    with pipeline() as root:
        rows = root | "Rows" >> beam.Create(batches)
        tracked = TrackedRows(rows, (), root | "Read" >> beam.Create([read]))
        for step in steps:
            tracked = tracked | step
        _ = tracked | WriteDataset(str(out), MONO)


def test_a_transform_that_loses_a_row_silently_ends_the_run_without_a_dataset(
    pipeline, mono_rows, tmp_path
) -> None:
    steps = FilterBatches(drop_sevenths, "DropSevenths"), MapBatches(losing, "Lose")
    message = r"read 20 rows, but kept 16 and rejected 2; a transform .* without saying so"
    with pytest.raises(Exception, match=message):
        write(pipeline, tmp_path, 20, [mono_rows(10), mono_rows(10, first=10)], *steps)
    assert not (tmp_path / "manifest.json").exists()


def test_a_transform_that_makes_rows_unasked_ends_the_run_too(
    pipeline, mono_rows, tmp_path
) -> None:
    with pytest.raises(Exception, match="read 5 rows, but kept 10"):
        write(pipeline, tmp_path, 5, [mono_rows(10)])
    assert not (tmp_path / "manifest.json").exists()


def test_an_id_twice_ends_the_run_and_is_named(pipeline, mono_rows, tmp_path) -> None:
    with pytest.raises(Exception, match=r"duplicate id text_id '[0-9a-f]{32}'"):
        write(pipeline, tmp_path, 12, [mono_rows(6), mono_rows(6)])
    assert not (tmp_path / "manifest.json").exists()


def test_what_is_read_back_is_what_was_written(pipeline, mono_rows, tmp_path) -> None:
    rows = mono_rows(50)
    with pipeline() as root:
        _ = tracked(root, [rows]) | WriteDataset(str(tmp_path / "d"), MONO, max_shard_rows=20)
    dataset = open_dataset(str(tmp_path / "d"))
    with pipeline() as root:
        back = root | ReadDataset(dataset, columns=["line", "lang"], batch_rows=3)
        sizes = back.kept | "Sizes" >> beam.Map(lambda b: (b.num_rows <= 3, b.schema.names))
        lines = back.kept | "Lines" >> beam.FlatMap(lambda b: b.column("line").to_pylist())
        assert_that(lines, equal_to([n for n in range(1, 51) if n % 7]), label="lines")
        assert_that(back.read, equal_to([43]), label="read")
        assert_that(
            sizes | beam.Map(json.dumps) | beam.Distinct(),
            equal_to([json.dumps((True, ["line", "lang"]))]),
            label="sizes",
        )


def test_a_dataset_copied_through_a_pipeline_has_the_same_digest(
    pipeline, mono_rows, tmp_path
) -> None:
    with pipeline() as root:
        _ = tracked(root, [mono_rows(60)]) | WriteDataset(str(tmp_path / "a"), MONO)
    first = open_dataset(str(tmp_path / "a"))
    with pipeline() as root:
        _ = root | ReadDataset(first) | WriteDataset(str(tmp_path / "b"), MONO)
    second = verify_dataset(str(tmp_path / "b")).manifest
    assert second.digest == first.manifest.digest
    assert second.counts.rejected == {}


@pytest.mark.parametrize("left", ["manifest.json", shard_path("fa", 0, 9), reject_path(0, 1)])
def test_a_folder_that_holds_a_part_of_a_dataset_is_refused(
    pipeline, mono_rows, tmp_path, left: str
) -> None:
    file = tmp_path / "d" / left
    file.parent.mkdir(parents=True)
    file.write_bytes(b"older")
    with pytest.raises(OutputExistsError, match=rf"d holds {re.escape(left)} already"):
        write(pipeline, tmp_path / "d", 10, [mono_rows(10)])
    assert file.read_bytes() == b"older"
    assert [p for p in (tmp_path / "d").rglob("*") if p.is_file()] == [file]


def test_what_is_no_part_of_a_dataset_may_lie_in_its_folder(pipeline, mono_rows, tmp_path) -> None:
    (tmp_path / "d" / "models" / "ar").mkdir(parents=True)
    (tmp_path / "d" / "models" / "ar" / "hmm.npz").write_bytes(b"model")
    (tmp_path / "d" / "data").mkdir()
    write(pipeline, tmp_path / "d", 10, [mono_rows(10)])
    assert verify_dataset(str(tmp_path / "d")).manifest.rows == 10


def test_a_file_written_beside_the_shards_ends_the_run_without_a_dataset(
    pipeline, mono_rows, tmp_path
) -> None:
    def intrude(batch: pa.RecordBatch) -> pa.RecordBatch:
        other = tmp_path / "d" / shard_path("ar", 0, 7)
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(b"of another pipeline")
        return batch

    with pytest.raises(Exception, match=r"part-00000-of-00007\.parquet: not in the manifest"):
        write(pipeline, tmp_path / "d", 10, [mono_rows(10)], MapBatches(intrude, "Intrude"))
    assert not (tmp_path / "d" / "manifest.json").exists()


@given(st.permutations(range(6)))
def test_statistics_of_a_key_are_sums_over_its_shards_in_any_order(order) -> None:
    parts = [
        (
            Shard(shard_path("de" if i % 2 else "ar", i, 6), i, 1, ""),
            {
                "rows": i,
                "languages": ["de" if i % 2 else "ar"],
                "split": {"train": i, "test": 1} if i > 2 else {"valid": i},
                "text_chars": 10 * i,
            },
        )
        for i in range(6)
    ]
    merged = _merge_keys([parts[i] for i in order])
    assert merged == {
        "ar": {
            "rows": 6,
            "languages": ["ar"],
            "split": {"test": 1, "train": 4, "valid": 2},
            "text_chars": 60,
        },
        "de": {
            "rows": 9,
            "languages": ["de"],
            "split": {"test": 2, "train": 8, "valid": 1},
            "text_chars": 90,
        },
    }
    assert list(merged) == ["ar", "de"]
    assert list(merged["de"]["split"]) == ["test", "train", "valid"]


@pytest.mark.parametrize("cut", [3, 40])
def test_long_rows_make_more_shards_however_they_are_cut(
    pipeline, tmp_path, monkeypatch, mono_rows, cut: int
) -> None:
    monkeypatch.setattr("bitextile.transforms.write.MAX_SHARD_BYTES", 2_000)
    rows = mono_rows(40)
    size = row_bytes(rows)
    batches = [rows.slice(at, cut) for at in range(0, 40, cut)]
    write(pipeline, tmp_path / "d", 40, batches)
    manifest = verify_dataset(str(tmp_path / "d")).manifest
    assert len(manifest.shards) == -(-size // 2_000) > 1
    assert manifest.rows == 40
