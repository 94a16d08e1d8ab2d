"""The manifest: written and read back, its digest over shards and schema, every damage refused."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.schema.errors import BitextileError, DatasetError, SchemaError
from bitextile.schema.manifest import Counts, Manifest, Shard, read_manifest, write_manifest

SHARD = Shard("data/de-en/part-00000-of-00001.parquet", 2, 900, "ab" * 32)
REJECT = Shard("rejects/part-00000-of-00001.parquet", 1, 700, "cd" * 32)
MANIFEST = Manifest(
    kind="pairs",
    schema_version=1,
    columns={"pair_id": "string", "src": "string"},
    shards=(SHARD,),
    rejects=(REJECT,),
    counts=Counts(3, 2, {"empty/1": 1}),
    keys={"de-en": {"rows": 2, "languages": ["de", "en"]}},
    config={"command": "ingest", "bitext": [{"corpus": "犬"}]},
    inputs=({"path": "a.gz", "digest": "sha256:00"},),
    software={"bitextile": "0.1.0"},
    created="2026-01-01T00:00:00+00:00",
)


def edited(**changes) -> str:
    return json.dumps(json.loads(MANIFEST.to_json()) | changes)


def test_what_is_written_is_read_back(tmp_path) -> None:
    write_manifest(str(tmp_path / "d"), MANIFEST)
    assert read_manifest(str(tmp_path / "d")) == MANIFEST
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["manifest.json"]


def test_the_file_has_the_fields_of_the_contract_and_readable_text() -> None:
    text = MANIFEST.to_json()
    body = json.loads(text)
    assert body["format"] == "bitextile/1"
    assert body["rows"] == 2
    assert body["digest"].startswith("sha256:")
    assert body["counts"] == {"read": 3, "kept": 2, "rejected": {"empty/1": 1}}
    assert {"kind", "schema_version", "shards", "keys", "config", "inputs", "software"} <= set(body)
    assert "犬" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    "change",
    [
        {"created": "later"},
        {"config": {}},
        {"inputs": ()},
        {"software": {"bitextile": "9"}},
        {"keys": {}},
    ],
)
def test_nothing_volatile_is_in_the_digest(change) -> None:
    assert replace(MANIFEST, **change).digest == MANIFEST.digest


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "mono"},
        {"schema_version": 2},
        {"columns": {"src": "string", "pair_id": "string"}},
        {"columns": {"pair_id": "string", "src": "large_string"}},
        {"shards": ()},
        {"shards": (replace(SHARD, rows=3),)},
        {"shards": (replace(SHARD, sha256="00" * 32),)},
        {"shards": (replace(SHARD, path="data/de-fr/part-00000-of-00001.parquet"),)},
    ],
)
def test_schema_and_shards_are_in_the_digest(change) -> None:
    assert replace(MANIFEST, **change).digest != MANIFEST.digest


@pytest.mark.parametrize("field", sorted(json.loads(MANIFEST.to_json())))
def test_a_missing_field_is_damage(field: str) -> None:
    body = json.loads(MANIFEST.to_json())
    del body[field]
    if field == "rows":  # repeated for people; the shards hold it
        assert Manifest.from_json(json.dumps(body), "m") == MANIFEST
        return
    if field == "files":  # which came later than the others
        assert Manifest.from_json(json.dumps(body), "m") == replace(MANIFEST, files=None)
        return
    with pytest.raises(DatasetError, match=r"^m: not a bitextile manifest .*write the dataset"):
        Manifest.from_json(json.dumps(body), "m")


# Whatever stands in a field, a reader says so in a sentence of ours.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.sampled_from(sorted(json.loads(MANIFEST.to_json()))), JSON)
def test_a_field_of_another_shape_is_refused_or_harmless(field: str, value) -> None:
    with contextlib.suppress(BitextileError):
        Manifest.from_json(edited(**{field: value}), "m")


@given(JSON)
def test_any_other_json_is_refused(value) -> None:
    with pytest.raises(DatasetError, match="not a bitextile manifest"):
        Manifest.from_json(json.dumps(value), "m")


@pytest.mark.parametrize("cut", [0, 1, 40, -3])
def test_a_cut_file_is_refused(cut: int) -> None:
    with pytest.raises(DatasetError, match="not a bitextile manifest"):
        Manifest.from_json(MANIFEST.to_json()[:cut], "m")


def test_a_changed_shard_entry_is_refused() -> None:
    shards = [{"path": SHARD.path, "rows": 3, "bytes": 900, "sha256": SHARD.sha256}]
    with pytest.raises(DatasetError, match="changed by hand or damaged"):
        Manifest.from_json(edited(shards=shards), "m")


@pytest.mark.parametrize(
    "path",
    [
        "../other/part-00000-of-00001.parquet",
        "data/../../secret.parquet",
        "/etc/passwd",
        "data/de-en/../../../x.parquet",
        "data/de-en/part-00000-of-00001.parquet\n",
        "data\\de-en\\part-00000-of-00001.parquet",
    ],
)
@pytest.mark.parametrize("where", ["shards", "rejects"])
def test_a_shard_outside_the_folder_is_refused_though_the_digest_is_right(path, where) -> None:
    outside = replace(MANIFEST, **{where: (replace(SHARD, path=path),)})
    with pytest.raises(DatasetError, match=r"^m: shard .* lies outside"):
        Manifest.from_json(outside.to_json(), "m")


def test_a_newer_schema_and_a_newer_format_are_refused_with_the_way_out() -> None:
    newer = replace(MANIFEST, schema_version=2)
    with pytest.raises(SchemaError, match="schema version 2, this software reads up to 1; upgrade"):
        Manifest.from_json(newer.to_json(), "m")
    with pytest.raises(SchemaError, match="format is 'bitextile/2', expected 'bitextile/1'"):
        Manifest.from_json(edited(format="bitextile/2"), "m")


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(SchemaError, match="'tables', expected one of pairs"):
        Manifest.from_json(replace(MANIFEST, kind="tables").to_json(), "m")


def test_no_manifest_and_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    with pytest.raises(DatasetError, match=r"no manifest\.json, so no finished dataset; give"):
        read_manifest(str(tmp_path))
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DatasetError, match="not a bitextile manifest"):
        read_manifest(str(tmp_path))


def test_a_second_manifest_replaces_the_first_whole(tmp_path) -> None:
    write_manifest(str(tmp_path), MANIFEST)
    write_manifest(str(tmp_path), replace(MANIFEST, created="later"))
    assert read_manifest(str(tmp_path)).created == "later"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "/etc/passwd",
        "models/../../secret",
        "models/./x",
        "models//x",
        "",
        "data/de-en/x",
        "rejects/x",
        "manifest.json",
        ".hidden",
        "models\\x",
        5,
        ["models"],
    ],
)
def test_another_file_outside_the_folder_is_refused(path) -> None:
    files = [{"path": path, "bytes": 1, "sha256": "00"}]
    with pytest.raises(DatasetError, match=r"^m: file .* lies outside the dataset or among"):
        Manifest.from_json(edited(files=files), "m")


@pytest.mark.parametrize("nested", ["[" * 200_000, '{"a":' * 200_000, "[" * 99_999 + "]" * 99_999])
def test_nesting_without_end_is_refused(tmp_path, nested: str) -> None:
    for text in (nested, MANIFEST.to_json().replace('"犬"', nested)):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DatasetError, match=r"not a bitextile manifest \(ValueError: nested"):
            read_manifest(str(tmp_path))


def test_a_file_larger_than_any_manifest_is_refused_unread(tmp_path) -> None:
    with (tmp_path / "manifest.json").open("wb") as file:
        file.write(MANIFEST.to_json().encode())
        file.truncate(300_000_000)
    with pytest.raises(DatasetError, match="larger than 64 MB, which no manifest is"):
        read_manifest(str(tmp_path))
