"""Every kind of damage is found, and said in one sentence that names the place."""

import json
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextile.pipelines.verify import verify
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import DatasetError, RowError, SchemaError
from bitextile.schema.kinds import ALIGNED, PAIRS, REJECTS
from bitextile.schema.manifest import Counts, Manifest, Shard, write_manifest
from bitextile.schema.shards import reject_path, shard_path, write_shard

SHARD = "data/ar-de/part-00000-of-00002.parquet"
REJECT = "rejects/part-00000-of-00001.parquet"


def row(number: int) -> dict:
    words = [{"start": 0, "end": 3}, {"start": 4, "end": 8}]
    return {
        "pair_id": f"{number:032x}",
        "src_lang": "de",
        "tgt_lang": "ar",
        "src": "Die Maus",
        "tgt": "فأر صغير",
        "corpus": "hand",
        "file": "hand.tsv",
        "line": number,
        "split": "train",
        "src_spans": words,
        "tgt_spans": words,
        "links": [{"src": 0, "tgt": 1, "score": 0.25}, {"src": 1, "tgt": 0, "score": 1.0}],
        "align_score": -0.5,
    }


def dropped(number: int) -> dict:
    place = {"corpus": "hand", "file": "hand.tsv", "line": number, "src_lang": "de"}
    text = {"tgt_lang": "ar", "src": "", "tgt": "فأر"}
    return {"id": f"{number:032x}", "rule": "empty/1", "value": 0.0, "detail": ""} | place | text


@pytest.fixture
def dataset(tmp_path) -> Path:
    path = tmp_path / "aligned"
    shards = [
        write_shard(
            str(path),
            shard_path("ar-de", part, 2),
            pa.Table.from_pylist([row(n) for n in range(part, 40, 2)], ALIGNED.schema),
            ALIGNED,
        )
        for part in range(2)
    ]
    rejects = pa.Table.from_pylist([dropped(n) for n in range(100, 103)], REJECTS.schema)
    manifest = Manifest(
        kind="aligned",
        schema_version=1,
        columns={c.name: str(c.type) for c in ALIGNED.columns},
        shards=tuple(shards),
        rejects=(write_shard(str(path), reject_path(0, 1), rejects, REJECTS),),
        counts=Counts(read=43, kept=40, rejected={"empty/1": 3}),
        keys={"ar-de": {"rows": 40}},
    )
    write_manifest(str(path), manifest)
    verify(str(path))
    return path


def flip_byte(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x01
    path.write_bytes(content)


def edit_manifest(dataset: Path, change) -> None:
    path = dataset / "manifest.json"
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def plant(dataset: Path, rows: pa.Table, file: str = SHARD) -> None:
    """Replaces a shard going round the writer, with a manifest that agrees to the last byte."""
    pq.write_table(rows, dataset / file)
    manifest = open_manifest(dataset)
    content = (dataset / file).read_bytes()
    entry = Shard(file, rows.num_rows, len(content), sha256(content).hexdigest())
    swap = {s.path: s for s in manifest.shards} | {file: entry}
    fields = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    write_manifest(str(dataset), Manifest(**fields | {"shards": tuple(swap.values())}))


def open_manifest(dataset: Path) -> Manifest:
    text = (dataset / "manifest.json").read_text()
    return Manifest.from_json(text, str(dataset))


def test_a_flipped_byte_anywhere_is_found(dataset):
    size = (dataset / SHARD).stat().st_size
    for at in (0, 5, size // 3, size // 2, size - 1):
        flip_byte(dataset / SHARD, at)
        with pytest.raises(DatasetError, match=r"part-00000-of-00002\.parquet: sha256 is"):
            verify(str(dataset))
        flip_byte(dataset / SHARD, at)
    verify(str(dataset))


def test_a_flipped_byte_in_the_rejects_is_found(dataset):
    flip_byte(dataset / REJECT, 20)
    with pytest.raises(DatasetError, match=r"rejects/part-00000-of-00001\.parquet: sha256 is"):
        verify(str(dataset))


@pytest.mark.parametrize("file", [SHARD, REJECT])
@pytest.mark.parametrize("check", [verify, open_dataset])
def test_a_missing_shard_is_found_on_opening(dataset, file, check):
    (dataset / file).unlink()
    with pytest.raises(DatasetError, match=r"the shard is missing \(\d+ rows\); copy the whole"):
        check(str(dataset))


@pytest.mark.parametrize("check", [verify, open_dataset])
def test_a_truncated_shard_is_found_on_opening(dataset, check):
    content = (dataset / SHARD).read_bytes()
    (dataset / SHARD).write_bytes(content[:-100])
    with pytest.raises(DatasetError, match=r"\d+ bytes, the manifest says \d+; the shard was cut"):
        check(str(dataset))


@pytest.mark.parametrize("check", [verify, open_dataset])
@pytest.mark.parametrize(
    "other",
    [
        "data/ar-de/part-00000-of-00003.parquet",
        "data/zh/part-00000-of-00001.parquet",
        "rejects/part-00001-of-00002.parquet",
        "data/rows.jsonl",
    ],
)
def test_a_file_that_the_manifest_does_not_list_is_found_on_opening(dataset, other, check):
    (dataset / other).parent.mkdir(exist_ok=True)
    (dataset / other).write_bytes((dataset / SHARD).read_bytes())
    with pytest.raises(DatasetError, match=f"{other}: not in the manifest, so it is no part"):
        check(str(dataset))
    (dataset / "rejects" / "z").write_bytes(b"")
    with pytest.raises(DatasetError, match=f"{other}: not in the manifest \\(and 1 more\\)"):
        check(str(dataset))


def test_what_readers_of_folders_pass_over_and_what_lies_beside_the_data_may_be_there(dataset):
    for other in ("data/.DS_Store", "data/_SUCCESS", "data/.cache/x.parquet", ".git/x", "README"):
        (dataset / other).parent.mkdir(exist_ok=True)
        (dataset / other).write_bytes(b"x")
    assert verify(str(dataset)).total.rows == 40


def test_a_shard_swapped_for_another_of_the_dataset_is_found(dataset):
    other = dataset / SHARD.replace("00000-of", "00001-of")
    first, second = (dataset / SHARD).read_bytes(), other.read_bytes()
    (dataset / SHARD).write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(DatasetError, match=r"sha256 is|bytes, the manifest says"):
        verify(str(dataset))


def test_no_manifest_is_no_dataset(dataset):
    (dataset / "manifest.json").unlink()
    with pytest.raises(DatasetError, match=r"no manifest\.json, so no finished dataset"):
        verify(str(dataset))


def test_a_cut_manifest_is_found(dataset):
    path = dataset / "manifest.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DatasetError, match="not a bitextile manifest"):
        verify(str(dataset))


def test_an_edited_shard_entry_is_found(dataset):
    edit_manifest(dataset, lambda body: body["shards"][0].update(rows=7))
    with pytest.raises(DatasetError, match="the manifest was changed by hand or damaged"):
        verify(str(dataset))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b["counts"].update(read=99), "read 99, but kept 40 . rejected 3"),
        (lambda b: b["counts"].update(kept=39), "kept 39, but the shards hold 40"),
        (lambda b: b["counts"]["rejected"].update({"empty/1": 2}), "rejected 2, but rejects hold"),
        (lambda b: b["keys"]["ar-de"].update(rows=1), "keys hold 1 rows, but the shards hold 40"),
    ],
)
def test_counts_that_do_not_add_up_are_found(dataset, change, message):
    edit_manifest(dataset, change)
    with pytest.raises(DatasetError, match=message):
        verify(str(dataset))


@pytest.mark.parametrize("check", [verify, open_dataset])
def test_a_newer_schema_and_a_newer_format_are_refused(dataset, check):
    edit_manifest(dataset, lambda body: body.update(format="bitextile/2"))
    with pytest.raises(SchemaError, match="format is 'bitextile/2'"):
        check(str(dataset))
    manifest = {"format": "bitextile/1", "schema_version": 2}
    edit_manifest(dataset, lambda body: body.update(manifest))
    with pytest.raises(DatasetError):
        check(str(dataset))


def test_another_kind_is_refused(dataset):
    with pytest.raises(SchemaError, match="holds kind aligned, expected pairs"):
        open_dataset(str(dataset), PAIRS)


def changed(column: str, value) -> pa.Table:
    rows = [row(n) for n in range(0, 40, 2)]
    rows[3][column] = value
    return pa.Table.from_pylist(rows, ALIGNED.schema)


LINK = {"src": 0, "tgt": 0, "score": 1.0}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("links", [LINK | {"src": 2}], "links: a src index lies outside src_spans"),
        ("links", [LINK | {"tgt": 2}], "links: a tgt index lies outside tgt_spans"),
        ("links", [LINK | {"tgt": -1}], "links: a tgt index lies outside tgt_spans"),
        ("links", [LINK, LINK], "not sorted by .src, tgt., or twice the same"),
        ("src_spans", [{"start": 0, "end": 3}, {"start": 4, "end": 9}], "outside the text"),
        ("src_spans", [{"start": 0, "end": 3}, {"start": 2, "end": 5}], "overlap"),
        ("tgt_spans", [{"start": 3, "end": 3}, {"start": 4, "end": 5}], "or is empty"),
        ("tgt_spans", [{"start": -1, "end": 3}, {"start": 4, "end": 5}], "outside the text"),
    ],
)
def test_spans_and_links_out_of_bounds_are_found_though_every_checksum_is_right(
    dataset, column, value, message
):
    plant(dataset, changed(column, value))
    with pytest.raises(RowError, match=message) as caught:
        verify(str(dataset))
    assert SHARD in str(caught.value)
    assert row(6)["pair_id"] in str(caught.value)


def test_a_null_is_found(dataset):
    schema = pa.schema([field.with_nullable(True) for field in ALIGNED.schema])
    plant(dataset, changed("src", None).cast(schema))
    with pytest.raises(RowError, match="src is null in the row"):
        verify(str(dataset))


def test_an_id_twice_and_rows_out_of_order_are_found(dataset):
    rows = [row(n) for n in range(0, 40, 2)]
    for wrong in (rows[::-1], [*rows[:-1], rows[-2]]):
        plant(dataset, pa.Table.from_pylist(wrong, ALIGNED.schema))
        with pytest.raises(DatasetError, match="not sorted by id, or duplicate id"):
            verify(str(dataset))


def test_another_column_type_is_found(dataset):
    table = changed("split", "train")
    index = table.schema.get_field_index("line")
    plant(dataset, table.set_column(index, "line", table.column("line").cast(pa.int32())))
    with pytest.raises(SchemaError, match="column 'line' is int32, expected int64"):
        verify(str(dataset))
