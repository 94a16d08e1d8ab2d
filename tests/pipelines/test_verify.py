import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bitextile.pipelines.verify import KeyCounts, verify
from bitextile.schema.errors import DatasetError
from bitextile.schema.ids import language_key, text_ids
from bitextile.schema.kinds import ALIGNED, CODESWITCH, MONO, REJECTS, Kind
from bitextile.schema.manifest import Counts, Manifest, read_manifest, write_manifest
from bitextile.schema.shards import other_files, reject_path, shard_path, write_shard


def span(start, end):
    return {"start": start, "end": end}


def aligned_row(number, src_lang, tgt_lang, n_src, n_tgt, links):
    return {
        "pair_id": f"{number:032x}",
        "src_lang": src_lang,
        "tgt_lang": tgt_lang,
        "src": "字" * n_src,
        "tgt": "كلمة"[:1] * n_tgt,
        "corpus": "hand",
        "file": "hand.tsv",
        "line": number + 1,
        "split": "train",
        "src_spans": [span(i, i + 1) for i in range(n_src)],
        "tgt_spans": [span(i, i + 1) for i in range(n_tgt)],
        "links": [{"src": i, "tgt": j, "score": 0.5} for i, j in links],
        "align_score": -0.5,
    }


def mono_row(lang, text, line):
    ident = text_ids(lang, pa.array([text]))[0].as_py()
    return {"text_id": ident, "lang": lang, "text": text, "corpus": "hand", "file": "hand.txt"} | {
        "line": line,
        "split": "train",
    }


def write_dataset(
    path: Path, kind: Kind, rows: list[dict], rejects=(), keys=None, place=None
) -> str:
    """Writes rows under the keys of their languages (or `place`), with a manifest that adds up."""
    by_key: dict[str, list[dict]] = {}
    for row in rows:
        by_key.setdefault(place or language_key(row[c] for c in kind.languages), []).append(row)
    shards = []
    for key, members in sorted(by_key.items()):
        table = pa.Table.from_pylist(members, kind.schema)
        shards.append(write_shard(str(path), shard_path(key, 0, 1), table, kind))
    dropped = []
    if rejects:
        table = pa.Table.from_pylist(list(rejects), REJECTS.schema)
        dropped = [write_shard(str(path), reject_path(0, 1), table, REJECTS)]
    by_rule: dict[str, int] = {}
    for row in rejects:
        by_rule[row["rule"]] = by_rule.get(row["rule"], 0) + 1
    counts = Counts(len(rows) + len(rejects), len(rows), by_rule)
    manifest = Manifest(
        kind=kind.name,
        schema_version=kind.version,
        columns={c.name: str(c.type) for c in kind.columns},
        shards=tuple(shards),
        rejects=tuple(dropped),
        counts=counts,
        keys=keys or {key: {"rows": len(members)} for key, members in by_key.items()},
    )
    write_manifest(str(path), manifest)
    return str(path)


def reject(number, rule):
    return {
        "id": f"{number:032x}",
        "rule": rule,
        "value": 0.0,
        "detail": "",
        "corpus": "hand",
        "file": "hand.tsv",
        "line": number,
        "src_lang": "zh",
        "tgt_lang": "ar",
        "src": "",
        "tgt": "x",
    }


def test_counts_rows_spans_and_links_of_each_key(tmp_path):
    rows = [
        aligned_row(1, "zh", "ar", 3, 2, [(0, 0), (2, 1)]),
        aligned_row(2, "ar", "zh", 1, 1, []),
        aligned_row(3, "th", "ja", 2, 2, [(0, 0), (0, 1), (1, 1)]),
    ]
    path = write_dataset(tmp_path / "d", ALIGNED, rows, [reject(9, "empty/1"), reject(8, "dup/1")])
    summary = verify(path)
    assert summary.keys == {
        "ar-zh": KeyCounts(rows=2, spans=7, links=2),
        "ja-th": KeyCounts(rows=1, spans=4, links=3),
    }
    assert summary.total == KeyCounts(rows=3, spans=11, links=5)
    assert (summary.kind, summary.shards, summary.rejects) == ("aligned", 2, 2)
    assert summary.digest.startswith("sha256:")


def test_mono_has_rows_alone(tmp_path):
    rows = [mono_row("th", "แมวนอน", 1), mono_row("de", "Die Katze schläft.", 2)]
    summary = verify(write_dataset(tmp_path / "d", MONO, rows))
    assert summary.keys == {"de": KeyCounts(rows=1), "th": KeyCounts(rows=1)}


def test_replacements_of_codeswitch_count_as_spans(tmp_path):
    replacement = {"lang": "zh", "original": "dog", "origin": "link", "score": 0.5}
    row = {
        "switch_id": "0" * 32,
        "parent_id": "1" * 32,
        "variant": 0,
        "method": "alignment",
        "matrix_lang": "en",
        "text": "a 狗 and a 猫",
        "replacements": [replacement | span(2, 3), replacement | span(10, 11)],
    }
    summary = verify(write_dataset(tmp_path / "d", CODESWITCH, [row]))
    assert summary.keys == {"en": KeyCounts(rows=1, spans=2)}


def test_an_empty_dataset_is_whole(tmp_path):
    assert verify(write_dataset(tmp_path / "d", MONO, [])).total == KeyCounts()


def test_rows_of_keys_that_only_add_up_in_total_are_refused(tmp_path):
    rows = [mono_row("th", "แมวนอน", 1), mono_row("de", "Die Katze schläft.", 2)]
    keys = {"de": {"rows": 2}, "th": {"rows": 0}}
    with pytest.raises(DatasetError, match="key de holds 1 rows, the manifest says 2"):
        verify(write_dataset(tmp_path / "d", MONO, rows, keys=keys))


def test_a_row_under_another_languages_key_is_refused(tmp_path):
    row = mono_row("fr", "Le chat dort.", 1)
    with pytest.raises(DatasetError, match="languages fr, which belong under fr"):
        verify(write_dataset(tmp_path / "d", MONO, [row], place="de"))


def with_models(path: Path) -> str:
    """A dataset with an aligner's models of two language pairs."""
    rows = [aligned_row(1, "zh", "ar", 2, 2, []), aligned_row(3, "th", "ja", 2, 2, [])]
    dataset = write_dataset(path, ALIGNED, rows)
    for key in ("ar-zh", "ja-th"):
        (path / "models" / key).mkdir(parents=True)
        (path / "models" / key / "model.json").write_text(key)
    (path / "README.md").write_text("what this is")
    manifest = read_manifest(dataset)
    write_manifest(dataset, replace(manifest, files=other_files(dataset)))
    return dataset


def test_files_that_are_no_shards_are_known(tmp_path):
    dataset = with_models(tmp_path / "d")
    files = read_manifest(dataset).files
    assert [file.path for file in files] == ["models/ar-zh/model.json", "models/ja-th/model.json"]
    for hidden in (".DS_Store", "_SUCCESS", "models/.nfs0001"):
        (tmp_path / "d" / hidden).write_text("")
    assert verify(dataset).total.rows == 2


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda d: shutil.rmtree(d / "models"), "d/models/ar-zh/model.json: missing"),
        (lambda d: shutil.rmtree(d / "models/ja-th"), "d/models/ja-th/model.json: missing"),
        (lambda d: (d / "models/ja-th/model.json").write_text("x"), "not as the manifest says"),
        (lambda d: (d / "models/ja-th/model.json").write_text("ja-tX"), "not as the manifest says"),
        (lambda d: (d / "models/ja-th/old.arrow").write_text(""), "old.arrow: not in the manifest"),
        (lambda d: (d / "notes.txt").write_text(""), "d/notes.txt: not in the manifest"),
        (lambda d: (d / "models/de-en").mkdir(), "d/models/de-en: not in the manifest"),
        (lambda d: (d / "exchange").mkdir(), "d/exchange: not in the manifest"),
        (lambda d: (d / "data/de-en").mkdir(), "d/data/de-en: not in the manifest"),
    ],
)
def test_a_file_or_folder_that_is_gone_changed_or_not_known_is_named(tmp_path, damage, sentence):
    dataset = with_models(tmp_path / "d")
    damage(tmp_path / "d")
    with pytest.raises(DatasetError, match=re.escape(sentence)):
        verify(dataset)


def test_a_dataset_of_a_version_that_listed_no_files_is_whole(tmp_path):
    dataset = with_models(tmp_path / "d")
    path = tmp_path / "d" / "manifest.json"
    body = json.loads(path.read_text())
    del body["files"]
    path.write_text(json.dumps(body))
    assert read_manifest(dataset).files is None
    assert verify(dataset).total.rows == 2
