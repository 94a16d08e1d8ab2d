"""A dataset opened: right kind, all rows in file order, by key, by column, in batches of a size."""

import pyarrow as pa
import pytest

from bitextile.schema.dataset import Dataset, open_dataset, verify_dataset
from bitextile.schema.errors import SchemaError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS, REJECTS
from bitextile.schema.manifest import Counts, Manifest, Shard, write_manifest
from bitextile.schema.shards import reject_path, shard_path, write_shard

LANGUAGES = ("de", "fa", "zh")


def table(lang: str, n: int) -> pa.Table:
    texts = [f"{lang} سگ 犬 {i}" for i in range(n)]
    rows = zip(text_ids(lang, pa.array(texts)).to_pylist(), texts)
    place = {"corpus": "c", "file": "f", "split": "train"}
    return pa.Table.from_pylist(
        [
            {"text_id": i, "lang": lang, "text": t, "line": n + 1} | place
            for n, (i, t) in enumerate(rows)
        ],
        MONO.schema,
    )


def write(folder: str, shards: list[Shard], rejects: tuple[Shard, ...] = (), read: int = 0) -> str:
    rows: dict[str, dict[str, int]] = {}
    for shard in shards:
        key = shard.path.split("/")[1]
        rows[key] = {"rows": rows.get(key, {"rows": 0})["rows"] + shard.rows}
    kept = sum(shard.rows for shard in shards)
    counts = Counts(
        read or kept, kept, {"empty/1": sum(s.rows for s in rejects)} if rejects else {}
    )
    manifest = Manifest(
        kind="mono",
        schema_version=1,
        columns={f.name: str(f.type) for f in MONO.schema},
        shards=tuple(shards),
        rejects=rejects,
        counts=counts,
        keys=rows,
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def dataset(tmp_path) -> str:
    folder = str(tmp_path / "mono")
    shards = []
    for lang in LANGUAGES:
        rows = table(lang, 10)
        for part in (0, 1):
            path = shard_path(lang, part, 2)
            shards.append(write_shard(folder, path, rows.slice(5 * part, 5), MONO))
    return write(folder, shards)


def test_all_rows_come_shard_after_shard(dataset: str) -> None:
    opened = open_dataset(dataset, MONO)
    assert opened.keys == list(LANGUAGES)
    rows = opened.table().to_pylist()
    assert len(rows) == 30
    assert sorted(r["text"] for r in rows) == sorted(
        t for lang in LANGUAGES for t in table(lang, 10).column("text").to_pylist()
    )
    for start in range(0, 30, 5):
        ids = [r["text_id"] for r in rows[start : start + 5]]
        assert ids == sorted(ids)
    assert [r["lang"] for r in rows] == [lang for lang in LANGUAGES for _ in range(10)]


def test_a_key_and_columns_narrow_what_is_read(dataset: str) -> None:
    opened = open_dataset(dataset)
    assert {s.path for s in opened.shards("fa")} == {shard_path("fa", i, 2) for i in (0, 1)}
    got = opened.table(key="fa", columns=["line", "lang"])
    assert got.column_names == ["line", "lang"]
    assert set(got.column("lang").to_pylist()) == {"fa"}
    assert sorted(got.column("line").to_pylist()) == list(range(1, 11))


def test_the_size_of_batches_changes_no_row(dataset: str) -> None:
    opened = open_dataset(dataset)
    whole = opened.table()
    for size in (1, 3, 100):
        batches = list(opened.batches(batch_rows=size))
        assert max(b.num_rows for b in batches) <= size
        assert pa.Table.from_batches(batches) == whole


def test_a_key_that_is_not_there_has_no_rows(dataset: str) -> None:
    assert open_dataset(dataset).table(key="sw", columns=["text"]).num_rows == 0


def test_an_empty_dataset_is_one_with_its_schema(tmp_path) -> None:
    opened = verify_dataset(write(str(tmp_path / "d"), []))
    assert (opened.keys, opened.table().num_rows) == ([], 0)
    assert opened.table().schema == MONO.schema
    assert opened.table(columns=["text"]).column_names == ["text"]


def test_the_kinds_wanted_are_named_when_it_is_another(dataset: str) -> None:
    assert open_dataset(dataset, [PAIRS, MONO]).kind is MONO
    with pytest.raises(SchemaError, match="holds kind mono, expected pairs or aligned"):
        open_dataset(dataset, [PAIRS, ALIGNED])


def test_a_path_object_is_a_path(dataset: str, tmp_path) -> None:
    assert open_dataset(tmp_path / "mono").path == dataset


def test_rejects_that_share_an_id_verify(tmp_path) -> None:
    folder = str(tmp_path / "d")
    reject = dict.fromkeys(REJECTS.schema.names, "") | {"value": 0.0, "rule": "empty/1"}
    rows = pa.Table.from_pylist([reject | {"line": n} for n in (2, 1, 1)], REJECTS.schema)
    dropped = write_shard(folder, reject_path(0, 1), rows, REJECTS)
    shard = write_shard(folder, shard_path("de", 0, 1), table("de", 3), MONO)
    assert verify_dataset(write(folder, [shard], (dropped,), read=6)).manifest.counts.read == 6


def test_languages_are_those_of_all_keys_sorted(tmp_path) -> None:
    keys = {"de-zh": {"rows": 0, "languages": ["zh", "de"]}, "de-en": {"rows": 0}}
    keys["de-en"]["languages"] = ["de", "en"]
    manifest = Manifest(
        kind="pairs", schema_version=1, columns={}, shards=(), counts=Counts(0, 0), keys=keys
    )
    dataset = Dataset(str(tmp_path), manifest, PAIRS)
    assert dataset.languages == ("de", "en", "zh")
    assert dataset.languages_of("de-zh") == ("zh", "de")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("de-en", "de-en"),
        ("en-de", "de-en"),
        ("deu-eng", "de-en"),
        ("ENG,deu_Latn", "de-en"),
        ("zh-TW-en", "en-zh-Hant"),
        ("zho_Hant,eng_Latn", "en-zh-Hant"),
        ("por_BR-fr", "fr-pt-BR"),
        ("pt-BR", None),
        ("en", None),
        ("zh-en", None),
        ("en-xx", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_key_is_found_in_any_form(tmp_path, name, key, listed) -> None:
    """Whether the manifest lists its languages, as ours do, or its name alone tells them."""
    pairs = (("de", "en"), ("en", "zh-Hant"), ("fr", "pt-BR"))
    keys = {"-".join(p): {"rows": 0} | ({"languages": list(p)} if listed else {}) for p in pairs}
    manifest = Manifest(
        kind="pairs", schema_version=1, columns={}, shards=(), counts=Counts(0, 0), keys=keys
    )
    assert Dataset(str(tmp_path), manifest, PAIRS).named_key(name) == key


def test_a_dataset_with_other_tags_is_found_by_ours(tmp_path) -> None:
    keys = {"deu-eng": {"rows": 0, "languages": ["deu", "eng"]}}
    manifest = Manifest(
        kind="pairs", schema_version=1, columns={}, shards=(), counts=Counts(0, 0), keys=keys
    )
    assert Dataset(str(tmp_path), manifest, PAIRS).named_key("en-de") == "deu-eng"
