"""`bitextile ingest` as a user calls it: recipes in, datasets out, everything accounted for."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from bitextile.pipelines.cli.main import main
from bitextile.schema.dataset import Dataset, open_dataset, verify_dataset
from bitextile.schema.kinds import REJECTS
from bitextile.schema.shards import read_shard

EN = ["The dog runs.", "A cat sleeps.", "We eat bread.", "The dog runs.", ""]
DE = ["Der Hund läuft.", "Eine Katze schläft.", "Wir essen Brot.", "Der Hund  läuft.", "x"]


def lines(path: Path, texts: list[str]) -> None:
    content = "".join(text + "\n" for text in texts).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_recipe(folder: Path, **content) -> str:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    return str(folder / "recipe.yaml")


def write_corpora(tmp_path: Path) -> str:
    """Writes a corpus of each format and a recipe that names them; returns its path."""
    lines(tmp_path / "a.en.gz", EN)
    lines(tmp_path / "a.de.gz", DE)
    (tmp_path / "b.tsv").write_text("Hallo.\t你好。\textra\nTom.\t汤姆。\nalone\n")
    record = {"fr": "Le chien court.", "ar": "الكلب يركض."}
    (tmp_path / "c.jsonl").write_text(json.dumps(record) + "\n{}\n")
    unit = "".join(
        f'<tuv xml:lang="{lang}"><seg>{text}</seg></tuv>'
        for lang, text in (("en-GB", "The dog runs."), ("de", "Der Hund läuft."))
    )
    (tmp_path / "d.tmx").write_text(f"<tmx><body><tu>{unit}</tu></body></tmx>")
    table = pa.table({"en": ["We eat bread."], "sw": ["Tunakula mkate."]})
    pq.write_table(table, tmp_path / "e.parquet")
    (tmp_path / "mono").mkdir()
    lines(tmp_path / "mono" / "1.th", ["แมวนอน", "แมวนอน"])
    lines(tmp_path / "mono" / "2.th", ["หมาวิ่ง", "แมวนอน"])
    return write_recipe(
        tmp_path,
        bitext=[
            {"corpus": "web", "languages": ["en", "de"], "files": ["a.en.gz", "a.de.gz"]},
            {"corpus": "talks", "languages": ["de", "zh"], "files": ["b.tsv"]},
            {"corpus": "news", "languages": ["fr", "ar"], "files": ["c.jsonl"]},
            {"corpus": "memory", "languages": ["en", "de"], "files": ["d.tmx"], "split": "test"},
            {"corpus": "books", "languages": ["en", "sw"], "files": ["e.parquet"]},
        ],
        mono=[{"corpus": "captions", "language": "TH", "files": ["mono/*.th"]}],
        splits={"valid": 0.0, "test": 0.0},
    )


@pytest.fixture(scope="module")
def ingested(tmp_path_factory) -> Path:
    """A folder with the corpora, their recipe, and what one process made of them, in `out`."""
    folder = tmp_path_factory.mktemp("ingested")
    succeed(write_corpora(folder), "--out", str(folder / "out"), "--workers", "1")
    return folder


@pytest.fixture
def small(tmp_path) -> str:
    """A recipe of one small file."""
    lines(tmp_path / "m.th", ["แมวนอน", "หมาวิ่ง"])
    return write_recipe(tmp_path, mono=[{"corpus": "c", "language": "th", "files": ["m.th"]}])


def run(*arguments: str) -> None:
    main(["ingest", *arguments])


def rejects(dataset: Dataset) -> list[dict]:
    return [
        row
        for shard in dataset.manifest.rejects
        for batch in read_shard(dataset.path, shard, REJECTS, columns=None, batch_rows=99)
        for row in batch.to_pylist()
    ]


def succeed(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 0


def test_every_format_in_one_recipe(ingested: Path) -> None:
    out = ingested / "out"
    pairs, mono = verify_dataset(str(out / "pairs")), verify_dataset(str(out / "mono"))
    assert pairs.keys == ["ar-fr", "de-en", "de-zh", "en-sw"]
    rows = pairs.table().to_pylist()
    assert sorted((r["corpus"], r["src"], r["tgt"], r["file"], r["line"]) for r in rows) == sorted(
        [
            ("memory", EN[0], DE[0], "d.tmx", 1),
            ("web", EN[1], DE[1], "a.en.gz", 2),
            ("web", EN[2], DE[2], "a.en.gz", 3),
            ("talks", "Hallo.", "你好。", "b.tsv", 1),
            ("talks", "Tom.", "汤姆。", "b.tsv", 2),
            ("news", "Le chien court.", "الكلب يركض.", "c.jsonl", 1),
            ("books", "We eat bread.", "Tunakula mkate.", "e.parquet", 1),
        ]
    )
    assert {r["corpus"] for r in rows if r["split"] == "test"} == {"memory"}
    dropped = sorted((r["rule"], r["corpus"], r["file"], r["line"]) for r in rejects(pairs))
    assert dropped == [
        ("empty/1", "web", "a.en.gz", 5),
        ("held_out/1", "web", "a.en.gz", 1),
        ("held_out/1", "web", "a.en.gz", 4),
        ("missing_columns/1", "news", "c.jsonl", 2),
        ("missing_columns/1", "talks", "b.tsv", 3),
    ]
    assert pairs.manifest.counts.read == 12 == len(rows) + len(dropped)
    assert sorted(mono.table().column("text").to_pylist()) == ["หมาวิ่ง", "แมวนอน"]
    assert mono.manifest.counts.rejected == {"duplicate/1": 2}
    assert {r["tgt"] for r in rejects(mono)} == {None}


def test_the_manifest_says_what_was_read_and_how(ingested: Path) -> None:
    manifest = open_dataset(str(ingested / "out" / "pairs")).manifest
    names = ["a.en.gz", "a.de.gz", "b.tsv", "c.jsonl", "d.tmx", "e.parquet"]
    assert [entry["path"] for entry in manifest.inputs] == names
    assert all(entry["digest"].startswith("sha256:") for entry in manifest.inputs)
    assert manifest.config["command"] == "ingest"
    assert manifest.config["filters"]["max_words"] == 200
    assert manifest.config["splits"] == {"valid": 0.0, "test": 0.0, "seed": 0}
    assert {"bitextile", "pyarrow", "apache-beam"} <= set(manifest.software)
    assert str(ingested) not in json.dumps([manifest.config, manifest.inputs])


def digests(out: Path) -> dict[str, tuple]:
    found = {}
    for name in ("pairs", "mono"):
        manifest = verify_dataset(str(out / name)).manifest
        found[name] = (manifest.digest, manifest.rejects, manifest.counts, manifest.keys)
    return found


def test_two_processes_write_what_one_writes(ingested: Path, tmp_path) -> None:
    succeed(str(ingested / "recipe.yaml"), "--out", str(tmp_path), "--workers", "2", "--overwrite")
    assert digests(tmp_path) == digests(ingested / "out")


def test_the_order_of_files_and_the_folder_change_no_byte(ingested: Path, tmp_path) -> None:
    content = yaml.safe_load((ingested / "recipe.yaml").read_text())
    content["bitext"].reverse()
    content["mono"][0]["files"] = ["mono/2.th", "mono/1.th"]
    (ingested / "turned.yaml").write_text(yaml.safe_dump(content))
    succeed(str(ingested / "turned.yaml"), "--out", str(tmp_path / "deep" / "er"))
    assert digests(tmp_path / "deep" / "er") == digests(ingested / "out")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("languages", ["en de", "de en"])
def test_a_corpus_that_is_held_out_loses_nothing_to_one_to_train_on(
    tmp_path, order: int, languages: str
) -> None:
    lines(tmp_path / "crawl.en", EN[:4])
    lines(tmp_path / "crawl.de", DE[:4])
    lines(tmp_path / "gold.en", EN[:2])
    lines(tmp_path / "gold.de", DE[:2])
    gold = languages.split()
    bitext = [
        {"corpus": "crawl", "languages": ["en", "de"], "files": ["crawl.en", "crawl.de"]},
        {"corpus": "gold", "languages": gold, "files": [f"gold.{lang}" for lang in gold]}
        | {"split": "test"},
    ]
    lines(tmp_path / "crawl.th", ["แมวนอน", "หมาวิ่ง", "ปลาว่ายน้ำ", "แมวนอน"])
    lines(tmp_path / "gold.th", ["แมวนอน", "หมาวิ่ง"])
    mono = [
        {"corpus": "web", "language": "th", "files": ["crawl.th"]},
        {"corpus": "set", "language": "th", "files": ["gold.th"], "split": "valid"},
    ]
    recipe = write_recipe(tmp_path, bitext=bitext[::order], mono=mono[::order])
    succeed(recipe, "--out", str(tmp_path / "out"))
    pairs = verify_dataset(str(tmp_path / "out" / "pairs"))
    assert pairs.manifest.counts.rejected == {"held_out/1": 3}
    found = [(r["corpus"], r["line"], r["split"]) for r in pairs.table().to_pylist()]
    assert sorted(found) == [("crawl", 3, "train"), ("gold", 1, "test"), ("gold", 2, "test")]
    sentences = verify_dataset(str(tmp_path / "out" / "mono"))
    assert sentences.manifest.counts.rejected == {"held_out/1": 3}
    assert sentences.manifest.keys["th"]["corpus"] == {"set": 2, "web": 1}
    assert "corpus gold (test)" in rejects(pairs)[0]["detail"]
    assert "corpus set (valid)" in rejects(sentences)[0]["detail"]


@pytest.fixture
def multi_parallel(tmp_path) -> str:
    """A recipe of English with three languages, and of its sentences alone; nothing is held out."""
    n = 40
    english = [f"Sentence {i // 2} of the book." for i in range(n)]
    lines(tmp_path / "en", english)
    for lang, word in (("de", "Satz"), ("th", "ประโยค"), ("ar", "جملة")):
        lines(tmp_path / lang, [f"{word} {i} {word}" for i in range(n)])
    names = [("en", "de"), ("th", "en"), ("en", "ar")]
    bitext = [
        {"corpus": f"book-{a}-{b}", "languages": [a, b], "files": [a, b]}
        | {"split": "test" if b == "ar" else ""}
        for a, b in names
    ]
    (tmp_path / "ar").write_text("\n" * 30 + "".join(f"جملة {i}\n" for i in range(10)))
    mono = [{"corpus": "alone", "language": lang, "files": [lang]} for lang in ("en", "de")]
    return write_recipe(tmp_path, bitext=bitext, mono=mono, splits={"valid": 0.2, "test": 0.2})


def test_no_sentence_of_valid_or_test_is_trained_on_in_another_pair_or_alone(
    multi_parallel: str, tmp_path
) -> None:
    succeed(multi_parallel, "--out", str(tmp_path / "out"))
    pairs, mono = (verify_dataset(str(tmp_path / "out" / name)) for name in ("pairs", "mono"))
    splits: dict[tuple[str, str], set[str]] = {}
    for row in [*pairs.table().to_pylist(), *mono.table().to_pylist()]:
        sides = [("lang", "text")] if "text" in row else [("src_lang", "src"), ("tgt_lang", "tgt")]
        for lang, text in sides:
            splits.setdefault((row[lang], row[text]), set()).add(row["split"])
    assert {len(found) for found in splits.values()} == {1}
    assert set().union(*splits.values()) == {"train", "valid", "test"}
    # Ten pairs are held out: five English sentences, each with two of German and Thai.
    assert pairs.manifest.keys["ar-en"]["split"] == {"test": 10}
    assert pairs.manifest.counts.rejected == {"empty/1": 30, "held_out/1": 20}
    assert mono.manifest.counts.rejected == {"duplicate/1": 20, "held_out/1": 5}
    details = {row["detail"] for row in rejects(pairs) if row["rule"] == "held_out/1"}
    assert details == {"shares a sentence with corpus book-en-ar (test)"}


@pytest.mark.slow
def test_splits_are_the_same_in_two_processes(multi_parallel: str, tmp_path) -> None:
    for workers in ("1", "2"):
        succeed(multi_parallel, "--out", str(tmp_path / workers), "--workers", workers)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def texts(out: Path) -> set[str]:
    return set(open_dataset(str(out / "mono")).table().column("text").to_pylist())


def test_what_was_done_is_told_on_stderr_alone(small: str, tmp_path, capsys) -> None:
    lines(tmp_path / "m.th", ["แมวนอน", "", "แมวนอน"])
    succeed(small, "--out", str(tmp_path / "out"))
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{tmp_path}/out/mono: mono, 1 rows of 3," in told.err
    assert "rejected 1 duplicate/1, 1 empty/1" in told.err


def test_an_output_that_is_there_is_reused_or_replaced_as_asked(small, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    succeed(small, "--out", str(out))
    first = (out / "mono" / "manifest.json").stat().st_mtime_ns
    for again in (["--reuse"], ["--reuse", "--overwrite"]):
        succeed(small, "--out", str(out), *again)
        assert (out / "mono" / "manifest.json").stat().st_mtime_ns == first
        assert "reused" in capsys.readouterr().err
    lines(tmp_path / "m.th", ["ปลาว่ายน้ำ"])
    succeed(small, "--out", str(out), "--overwrite")
    assert texts(out) == {"ปลาว่ายน้ำ"}
    assert [p.name for p in out.iterdir()] == ["mono"]
    lines(tmp_path / "m.th", ["นกบิน"])
    succeed(small, "--out", str(out), "--overwrite", "--reuse")
    assert texts(out) == {"นกบิน"}


def test_an_empty_corpus_makes_an_empty_dataset(small, tmp_path) -> None:
    lines(tmp_path / "m.th", [])
    succeed(small, "--out", str(tmp_path / "out"))
    assert verify_dataset(str(tmp_path / "out" / "mono")).manifest.counts.read == 0
    assert not (tmp_path / "out" / "pairs").exists()


def test_arguments_for_beam_hold_for_one_call_only(small: str, tmp_path) -> None:
    arguments = [small, "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        run(*arguments, "--", "--no_such_option=1")
    assert ended.value.code == 2
    succeed(*arguments)
