"""`export --order file`: line n is record n of the corpus file, whatever was dropped."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from bitextile.pipelines.export import export_dataset
from bitextile.pipelines.export_order import ExportOrder
from bitextile.pipelines.file_order import _folders
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, LEXICON
from bitextile.schema.manifest import read_manifest
from report_rows import lexicon_row, write_dataset

BY_FILE = ExportOrder(order="file")
SKIP = ExportOrder(order="file", dropped="skip")

# None: a record that ingest drops; the last of a file too, which no line number would tell.
LINES = [
    ("the house", "das Haus"),
    ("", None),
    ("the book", "das Buch"),
    ("the house", "das Haus"),
    ("a dog", "ein Hund"),
    ("", None),
]
ARABIC = [("ein Haus", "بيت"), ("das Buch", "الكتاب"), ("ein Haus", "بيت")]
CHINESE = [("the house", "房子"), None, ("a book", "书"), ("a cat", "猫")]
RECIPE = """
bitext:
  - {corpus: lines, languages: [en, de], files: [in/a.en, in/a.de]}
  - {corpus: other, languages: [de, en], files: [in/b.tsv]}
  - {corpus: other, languages: [de, ar], files: [in/c.jsonl], columns: [de, ar]}
  - {corpus: units, languages: [en, zh], files: [in/d.tmx]}
  - {corpus: units, languages: [en, zh], files: [in/e.tsv], header: true, columns: [en, zh]}
splits: {valid: 0.3, test: 0.3}
"""


def write_files(folder: Path) -> None:
    folder.mkdir()
    write = {
        "a.en": "".join(f"{en}\n" for en, _ in LINES),
        "a.de": "".join(f"{de or 'leer'}\n" for _, de in LINES),
        "b.tsv": "das Haus\tthe house\nbroken\nein Tisch\ta table\n",
        "c.jsonl": "\n".join(json.dumps({"de": de, "ar": ar}) for de, ar in ARABIC),
        "e.tsv": "en\tzh\nthe sun\t太阳\nbroken\n",
    }
    units = "".join(
        f'<tu>\n<tuv xml:lang="en"><seg>{en}</seg></tuv>\n'
        f'<tuv xml:lang="zh"><seg>{zh}</seg></tuv>\n</tu>\n'
        for en, zh in (pair or ("", "空") for pair in CHINESE)
    )
    write["d.tmx"] = f'<tmx version="1.4"><header srclang="en"/><body>\n{units}</body></tmx>\n'
    for name, text in write.items():
        (folder / name).write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Folder with `pairs`, and `aligned` made from them as `align` records it."""
    root = tmp_path_factory.mktemp("run")
    write_files(root / "in")
    (root / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    ingest(str(root / "recipe.yaml"), str(root), options=RunOptions(workers=1))
    rows = [
        row | {"src_spans": [], "tgt_spans": [], "links": [], "align_score": 0.0}
        for row in open_dataset(str(root / "pairs")).table().to_pylist()
    ]
    write_dataset(root / "aligned", ALIGNED, rows)
    manifest = json.loads((root / "aligned/manifest.json").read_text())
    digest = read_manifest(str(root / "pairs")).digest
    manifest |= {"config": {"command": "align"}}
    # A path of another machine: the pairs are found beside.
    manifest["inputs"] = [{"path": "elsewhere/pairs", "digest": digest}]
    (root / "aligned/manifest.json").write_text(json.dumps(manifest))
    return root


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize("dataset", ["pairs", "aligned"])
def test_line_n_is_record_n_of_each_file(run, tmp_path, dataset):
    summary = export_dataset(
        str(run / dataset), str(tmp_path / "out"), format="moses", order=BY_FILE
    )
    out = tmp_path / "out"
    assert lines(out / "lines/de-en.en") == [en if de else "" for en, de in LINES]
    assert lines(out / "lines/de-en.de") == [de or "" for _, de in LINES]
    # The first is the duplicate of a line of another corpus.
    assert lines(out / "other/de-en.en") == ["the house", "", "a table"]
    assert lines(out / "other/ar-de.ar") == [ar for _, ar in ARABIC]
    assert lines(out / "units/d.tmx/en-zh.zh") == [pair[1] if pair else "" for pair in CHINESE]
    assert lines(out / "units/e.tsv/en-zh.en") == ["the sun", ""]
    assert {(f.corpus, f.key, f.lines, f.empty) for f in summary.corpus_files} == {
        ("lines", "de-en", 6, 2),
        ("other", "de-en", 3, 1),
        ("other", "ar-de", 3, 0),
        ("units", "en-zh", 4, 1),
        ("units", "en-zh", 2, 1),
    }
    assert sorted(p.name for p in out.iterdir()) == ["export.json", "lines", "other", "units"]
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert {*summary.files, "export.json"} == written


def test_skipped_rows_leave_the_others_in_order(run, tmp_path):
    export_dataset(str(run / "aligned"), str(tmp_path / "out"), format="moses", order=SKIP)
    kept = [en for n, (en, de) in enumerate(LINES) if de and n != 3]
    assert lines(tmp_path / "out/lines/de-en.en") == kept
    assert lines(tmp_path / "out/units/d.tmx/en-zh.en") == ["the house", "a book", "a cat"]


@pytest.mark.parametrize(
    ("format", "name", "blank"),
    [
        ("pharaoh", "de-en.words", " ||| "),
        ("pharaoh", "de-en.pharaoh", ""),
        ("tsv", "de-en.tsv", "\t" * 12),
        ("jsonl", "de-en.jsonl", "{}"),
    ],
)
def test_every_format_has_a_line_for_what_was_dropped(run, tmp_path, format, name, blank):
    export_dataset(str(run / "aligned"), str(tmp_path / "out"), format=format, order=BY_FILE)
    found = lines(tmp_path / "out/lines" / name)
    found = found[1:] if format == "tsv" else found
    assert [found[1], found[5]] == [blank, blank]
    assert len(found) == 6
    assert found[0] == found[3]


def test_pandas_reads_tsv_and_json_lines_with_every_line(run, tmp_path):
    pandas = pytest.importorskip("pandas")
    for format in ("tsv", "jsonl"):
        export_dataset(str(run / "aligned"), str(tmp_path / format), format=format, order=BY_FILE)
    tsv = pandas.read_csv(tmp_path / "tsv/lines/de-en.tsv", sep="\t")
    objects = pandas.read_json(tmp_path / "jsonl/lines/de-en.jsonl", lines=True)
    for frame in (tsv, objects):
        assert frame["src"].isna().tolist() == [de is None for _, de in LINES]


def test_without_the_pairs_of_ingest_it_says_what_to_do(run, tmp_path):
    shutil.copytree(run / "aligned", tmp_path / "alone")
    with pytest.raises(ConfigError, match=r"was made from elsewhere/pairs, .* --dropped skip"):
        export_dataset(
            str(tmp_path / "alone"), str(tmp_path / "out"), format="moses", order=BY_FILE
        )
    assert not (tmp_path / "out").exists()
    export_dataset(str(tmp_path / "alone"), str(tmp_path / "out"), format="moses", order=SKIP)


def test_a_lexicon_has_no_lines_of_a_file(tmp_path):
    lexicon = write_dataset(tmp_path / "lexicon", LEXICON, [lexicon_row("بيت", "haus", 3, 0.75)])
    with pytest.raises(ConfigError, match="format muse is of no file's lines"):
        export_dataset(lexicon, str(tmp_path / "out"), format="muse", order=BY_FILE)


def test_order_does_not_depend_on_shards_or_batches(tmp_path):
    rows = [
        {"pair_id": f"{(n * 7919) % 20_011:032x}", "src_lang": "en", "tgt_lang": "th"}
        | {"src": f"s{n}", "tgt": f"แมว{n}", "corpus": "c", "file": "f", "line": n + 1}
        | {"split": "train", "src_spans": [], "tgt_spans": [], "links": [], "align_score": 0.0}
        for n in range(20_000)
    ]
    dataset = write_dataset(tmp_path / "d", ALIGNED, rows)
    assert pa.Table.from_pylist(rows, ALIGNED.schema) != open_dataset(dataset).table()
    export_dataset(dataset, str(tmp_path / "out"), format="moses", order=SKIP)
    assert lines(tmp_path / "out/c/en-th.en") == [f"s{n}" for n in range(20_000)]


def test_names_of_folders_are_safe_and_different():
    hostile = [("../x", "f"), ("..", "f"), ("a b", "f"), ("a/b", "f"), ("A_B", "f"), ("", "f")]
    hostile += [("export.json", "f"), ("语料", "f")]
    folders = _folders(hostile)
    assert len({name.casefold() for name in folders.values()}) == len(hostile)
    assert not [name for name in folders.values() if "/" in name or name.startswith(".")]
    assert "export.json" not in folders.values()
    assert folders["语料", "f"] == "语料"
