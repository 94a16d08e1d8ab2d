import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest

from bitextile.pipelines.export import export_dataset
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import (
    ConfigError,
    DatasetError,
    OutputExistsError,
    RowError,
    SchemaError,
)
from bitextile.schema.ids import language_key
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS, Kind
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard
from export_rows import aligned_row, in_key_order

# One key in both directions, unspaced scripts, a right-to-left side, a row without links.
SENTENCES = [
    ("de", "en", "Der Hund schläft .", "The dog sleeps .", [(0, 0), (1, 1), (2, 2), (3, 3)]),
    ("en", "de", "A red house", "Ein rotes Haus", [(0, 0), (1, 1), (2, 2)]),
    ("en", "de", "I have eaten it", "Ich habe es gegessen", [(0, 0), (1, 1), (2, 3), (3, 2)]),
    ("de", "en", "Tja …", "Well …", []),
    ("ar", "zh", "القط نائم", "猫|在|睡觉", [(0, 0), (1, 1), (1, 2)]),
    ("th", "ja", "แมว|กิน|ปลา", "猫|が|魚|を|食べる", [(0, 0), (1, 4), (2, 2), (2, 3)]),
]


def write_dataset(path: Path, rows: list[dict], kind: Kind = ALIGNED, n_shards: int = 1) -> str:
    by_key: dict[str, list[dict]] = {}
    for row in rows:
        by_key.setdefault(language_key(row[c] for c in kind.languages), []).append(row)
    shards = [
        write_shard(
            str(path),
            shard_path(key, part, n_shards),
            pa.Table.from_pylist(members[part::n_shards], kind.schema),
            kind,
        )
        for key, members in sorted(by_key.items())
        for part in range(n_shards)
    ]
    manifest = Manifest(
        kind=kind.name,
        schema_version=kind.version,
        columns={c.name: str(c.type) for c in kind.columns},
        shards=tuple(shards),
        counts=Counts(read=len(rows), kept=len(rows)),
        keys={key: {"rows": len(members)} for key, members in by_key.items()},
    )
    write_manifest(str(path), manifest)
    return str(path)


@pytest.fixture
def rows() -> list[dict]:
    return [aligned_row(*sentence, line=n) for n, sentence in enumerate(SENTENCES, 1)]


@pytest.fixture
def aligned(tmp_path, rows) -> str:
    return write_dataset(tmp_path / "aligned", rows, n_shards=2)


def expected(dataset: str, key: str) -> list[dict]:
    return [in_key_order(row) for row in open_dataset(dataset).table(key=key).to_pylist()]


def lines(path: Path) -> list[str]:
    content = path.read_bytes().decode()
    assert content.endswith("\n")
    return content.split("\n")[:-1]


def test_moses_reads_back_with_both_directions_in_one_key(aligned, tmp_path):
    summary = export_dataset(aligned, str(tmp_path / "out"), format="moses")
    names = ("ar-zh.ar", "ar-zh.zh", "de-en.de", "de-en.en", "ja-th.ja", "ja-th.th")
    assert summary.files == names
    assert summary.rows == {"ar-zh": 1, "de-en": 4, "ja-th": 1}
    for key in summary.rows:
        first, second = key.split("-")
        rows = expected(aligned, key)
        assert lines(tmp_path / "out" / f"{key}.{first}") == [row["src"] for row in rows]
        assert lines(tmp_path / "out" / f"{key}.{second}") == [row["tgt"] for row in rows]
    german = "".join(lines(tmp_path / "out" / "de-en.de"))
    assert "Hund" in german
    assert "Haus" in german
    assert "dog" not in german


def test_pharaoh_reads_back_with_links_turned(aligned, tmp_path):
    export_dataset(aligned, str(tmp_path / "out"), format="pharaoh")
    for key in ("ar-zh", "de-en", "ja-th"):
        rows = expected(aligned, key)
        words, links = (lines(tmp_path / "out" / f"{key}.{end}") for end in ("words", "pharaoh"))
        assert len(words) == len(links) == len(rows)
        for row, sentence, pharaoh in zip(rows, words, links, strict=True):
            src, tgt = (side.split(" ") for side in sentence.split(" ||| "))
            assert src == [row["src"][s["start"] : s["end"]] for s in row["src_spans"]]
            assert tgt == [row["tgt"][s["start"] : s["end"]] for s in row["tgt_spans"]]
            read = [tuple(map(int, link.split("-"))) for link in pharaoh.split()]
            assert read == [(link["src"], link["tgt"]) for link in row["links"]]
    thai = lines(tmp_path / "out" / "ja-th.pharaoh")
    assert thai == ["0-0 2-2 3-2 4-1"]


def test_tsv_reads_back_every_column(aligned, tmp_path):
    export_dataset(aligned, str(tmp_path / "out"), format="tsv")
    header, *body = lines(tmp_path / "out" / "de-en.tsv")
    table = open_dataset(aligned).table(key="de-en")
    assert header.split("\t") == table.schema.names
    assert len(body) == 4
    for line, row in zip(body, table.to_pylist(), strict=True):
        fields = dict(zip(header.split("\t"), line.split("\t"), strict=True))
        for name in ("pair_id", "src_lang", "src", "tgt", "file", "split"):
            assert fields[name] == row[name]
        assert int(fields["line"]) == row["line"]
        spans = [tuple(map(int, span.split("-"))) for span in fields["src_spans"].split()]
        assert spans == [(s["start"], s["end"]) for s in row["src_spans"]]
        links = [re.fullmatch(r"(\d+)-(\d+):(.+)", link) for link in fields["links"].split()]
        read = [{"src": int(m[1]), "tgt": int(m[2]), "score": float(m[3])} for m in links]
        assert as_float32(read) == row["links"]


def as_float32(links: list[dict]) -> list[dict]:
    return pa.array(links, ALIGNED.schema.field("links").type.value_type).to_pylist()


def test_jsonl_reads_back_every_column_and_value(aligned, tmp_path):
    export_dataset(aligned, str(tmp_path / "out"), format="jsonl")
    rows = [json.loads(line) for line in lines(tmp_path / "out" / "de-en.jsonl")]
    assert pa.Table.from_pylist(rows, ALIGNED.schema) == open_dataset(aligned).table(key="de-en")
    assert '"score": 0.9}' in (tmp_path / "out" / "de-en.jsonl").read_text(encoding="utf-8")


def test_pairs_go_to_all_formats_but_pharaoh(rows, tmp_path):
    names = PAIRS.schema.names
    pairs = [{name: row[name] for name in names} for row in rows]
    dataset = write_dataset(tmp_path / "pairs", pairs, PAIRS)
    for format in ("moses", "tsv", "jsonl"):
        summary = export_dataset(dataset, str(tmp_path / format), format=format)
        assert sum(summary.rows.values()) == len(rows)
    with pytest.raises(SchemaError, match="kind pairs, expected aligned"):
        export_dataset(dataset, str(tmp_path / "pharaoh"), format="pharaoh")
    assert not (tmp_path / "pharaoh").exists()


def test_other_kinds_and_formats_are_refused(aligned, tmp_path):
    mono = {"text_id": "0" * 32, "lang": "de", "text": "Hallo", "corpus": "c", "file": "f"}
    dataset = write_dataset(tmp_path / "mono", [mono | {"line": 1, "split": "train"}], MONO)
    with pytest.raises(SchemaError, match="kind mono, expected pairs or aligned"):
        export_dataset(dataset, str(tmp_path / "out"), format="tsv")
    with pytest.raises(ConfigError, match="format is 'xml', expected one of pharaoh, moses"):
        export_dataset(aligned, str(tmp_path / "out"), format="xml")
    with pytest.raises(ConfigError, match="local folder"):
        export_dataset(aligned, "gs://bucket/out", format="tsv")


def test_the_receipt_names_the_dataset(aligned, tmp_path):
    export_dataset(aligned, str(tmp_path / "out"), format="moses")
    marker = json.loads((tmp_path / "out" / "export.json").read_text())
    assert marker["digest"] == open_dataset(aligned).manifest.digest
    assert marker["rows"]["de-en"] == 4


def test_an_output_that_exists_is_refused_then_overwritten(aligned, tmp_path):
    out = tmp_path / "out"
    export_dataset(aligned, str(out), format="moses")
    with pytest.raises(OutputExistsError, match="exists; give another --out"):
        export_dataset(aligned, str(out), format="tsv")
    assert (out / "de-en.de").exists()
    export_dataset(aligned, str(out), format="tsv", overwrite=True)
    assert sorted(os.listdir(out)) == ["ar-zh.tsv", "de-en.tsv", "export.json", "ja-th.tsv"]
    assert sorted(os.listdir(tmp_path)) == ["aligned", "out"]


def test_overwrite_never_deletes_what_is_no_export(aligned, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds no export.json"):
        export_dataset(aligned, str(tmp_path / "thesis"), format="tsv", overwrite=True)
    with pytest.raises(ConfigError, match=r"holds no export.json"):
        export_dataset(aligned, aligned, format="tsv", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("format", "src", "message"),
    [
        ("moses", "a\nb c", "src holds a line break"),
        ("moses", "a\rb c", "src holds a line break"),
        ("tsv", "a\tb c", "src holds a tab or a line break"),
        ("pharaoh", "a\u00a0b c", "white space or"),
        ("pharaoh", "a\u2028b c", "white space or"),
    ],
)
def test_text_that_would_break_the_format_leaves_nothing_behind(
    tmp_path, rows, format, src, message
):
    bad = aligned_row("de", "en", src, "x y", [(0, 0)])
    dataset = write_dataset(tmp_path / "aligned", [*rows, bad])
    with pytest.raises(RowError, match=message) as caught:
        export_dataset(dataset, str(tmp_path / "out"), format=format)
    assert bad["pair_id"] in str(caught.value)
    assert os.listdir(tmp_path) == ["aligned"]


def test_the_separator_as_a_word_is_refused(tmp_path):
    row = aligned_row("de", "en", "a b", "c ||| d".replace("|||", "%"), [(0, 0)])
    row["tgt"] = "c|||d"
    row["tgt_spans"] = [{"start": s, "end": e} for s, e in ((0, 1), (1, 4), (4, 5))]
    dataset = write_dataset(tmp_path / "aligned", [row])
    with pytest.raises(RowError, match=r"a word of tgt holds white space or \|\|\|"):
        export_dataset(dataset, str(tmp_path / "out"), format="pharaoh")


def test_a_damaged_shard_keeps_the_earlier_export(aligned, tmp_path):
    out = tmp_path / "out"
    export_dataset(aligned, str(out), format="moses")
    before = sorted(os.listdir(out))
    shard = next(Path(aligned).glob("data/ja-th/*.parquet"))
    content = bytearray(shard.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    shard.write_bytes(content)
    with pytest.raises(DatasetError):
        export_dataset(aligned, str(out), format="tsv", overwrite=True)
    assert sorted(os.listdir(out)) == before
    assert sorted(os.listdir(tmp_path)) == ["aligned", "out"]


def test_a_language_with_itself_has_no_moses_names(tmp_path):
    row = aligned_row("en", "en", "a big house", "a large house", [(0, 0), (2, 2)])
    dataset = write_dataset(tmp_path / "aligned", [row])
    with pytest.raises(DatasetError, match="both sides are en"):
        export_dataset(dataset, str(tmp_path / "out"), format="moses")
    export_dataset(dataset, str(tmp_path / "tsv"), format="tsv")


def test_a_row_in_other_languages_than_its_key_is_refused(tmp_path, rows):
    dataset = write_dataset(tmp_path / "aligned", [rows[0]])
    table = pa.Table.from_pylist([rows[0], rows[4]], ALIGNED.schema)
    shard = write_shard(dataset, shard_path("de-en", 0, 1), table, ALIGNED)
    manifest = open_dataset_manifest(dataset, shard)
    write_manifest(dataset, manifest)
    with pytest.raises(DatasetError, match="key de-en: a row is in"):
        export_dataset(dataset, str(tmp_path / "out"), format="moses")


def open_dataset_manifest(dataset: str, shard) -> Manifest:
    body = json.loads(Path(dataset, "manifest.json").read_text())
    return Manifest(
        kind=body["kind"],
        schema_version=1,
        columns=body["columns"],
        shards=(shard,),
        counts=Counts(read=shard.rows, kept=shard.rows),
        keys={"de-en": {"rows": shard.rows}},
    )
