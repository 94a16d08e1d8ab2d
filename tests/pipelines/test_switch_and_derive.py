"""Switching by every method, and derived languages, as commands: whole datasets from files."""

import gzip
import json
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pytest
from apache_beam import Create, Pipeline
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from bitextile.kernels.bitext.dictionary.source import DictionarySource
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import undo_derive, undo_derive_aligned
from bitextile.kernels.exchange import ExchangeConfig, undo_exchange
from bitextile.kernels.exchange import exchange as exchange_words
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.kernels.text.truecase import casing_of
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.codeswitch import (
    codeswitch_by_candidates,
    codeswitch_by_dictionary,
    codeswitch_multilingual,
    codeswitch_task_fields,
)
from bitextile.pipelines.derive import derive, derive_conllu, derive_file
from bitextile.pipelines.exchange import exchange
from bitextile.pipelines.export import export_dataset
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.schema.ids import language_key, pair_ids, text_ids
from bitextile.schema.kinds import ALIGNED, CANDIDATES, CODESWITCH, MONO, PAIRS
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.derive import DeriveAligned, DeriveLanguage, ExplodePairs
from bitextile.transforms.exchange import ExchangeWords
from bitextile.transforms.ingest import DropDuplicates
from bitextile.transforms.read import ReadDataset
from bitextile.transforms.switch import (
    SwitchByCandidates,
    SwitchByDictionary,
    SwitchMultilingual,
)
from bitextile.transforms.write import WriteDataset

LANGS = ("de", "es", "fr", "zh")
CONLLU = "1\tdogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\trun\trun\tVERB\t_\t_\t0\troot\t_\t_\n\n"


def write(rows: list[dict], kind, path: Path) -> str:
    batch = pa.RecordBatch.from_pylist(rows, schema=kind.schema)
    with Pipeline(runner=FnApiRunner()) as root:
        kept = root | Create([batch])
        read = root | "Read" >> Create([batch.num_rows])
        _ = TrackedRows(kept, (), read) | WriteDataset(str(path), kind)
    return str(path)


def sample() -> list[dict[str, str]]:
    text = (resources.files("bitextile.pipelines.sample") / "sentences.tsv").read_text("utf-8")
    head, *lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(head, line)) for line in lines][:120]


def aligned_rows() -> list[dict]:
    """English with four translations, word i linked to word i."""
    rows = []
    for line, row in enumerate(sample(), 1):
        for lang in LANGS:
            pair = {"src_lang": "en", "tgt_lang": lang, "src": row["en"], "tgt": row[lang]}
            words = []
            for side in ("src", "tgt"):
                at, spans = 0, []
                for word in pair[side].split(" "):
                    if word:
                        spans.append({"start": at, "end": at + len(word)})
                    at += len(word) + 1
                pair[f"{side}_spans"] = spans
                words.append(len(spans))
            ids = pair_ids("en", pa.array([row["en"]]), lang, pa.array([row[lang]]))
            pair |= {"pair_id": ids[0].as_py(), "corpus": "s", "file": "f", "line": line}
            links = [{"src": k, "tgt": k, "score": 0.9} for k in range(min(words))]
            rows.append(pair | {"split": "train", "links": links, "align_score": -0.1})
    return list({row["pair_id"]: row for row in rows}.values())


def turned(row: dict) -> dict:
    """The row with word i linked to word i + 1, so that first words meet inner ones."""
    n = len(row["links"])
    return row | {"links": [{"src": i, "tgt": (i + 1) % n, "score": 0.9} for i in range(n)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with an aligned, a mono and a candidates dataset, a dictionary and task files."""
    path = tmp_path_factory.mktemp("data")
    write(aligned_rows(), ALIGNED, path / "aligned")
    write([turned(row) for row in aligned_rows()], ALIGNED, path / "turned")
    pairs = [{name: row[name] for name in PAIRS.schema.names} for row in aligned_rows()]
    write(pairs, PAIRS, path / "pairs")
    texts = sorted({row["en"] for row in sample()})
    ids = text_ids("en", pa.array(texts)).to_pylist()
    place = {"corpus": "s", "file": "f", "line": 1, "split": "train", "lang": "en"}
    mono = [place | {"text_id": i, "text": text} for i, text in zip(ids, texts)]
    write(mono, MONO, path / "mono")
    found = [
        {"text": "犬", "lang": "ja", "score": 0.5},
        {"text": "Hund", "lang": "de", "score": 0.5},
    ]
    rows = [
        {"text_id": i, "lang": "en", "text": text, "candidates": [found]}
        | {"spans": [{"start": 0, "end": len(text.split(" ")[0])}]}
        for i, text in zip(ids, texts)
    ]
    write(rows, CANDIDATES, path / "candidates")
    (path / "en-ja.txt.gz").write_bytes(gzip.compress("the ザ\na ア\nis は\nin に\n".encode()))
    (path / "nli.en.tsv").write_text("He left.\tShe stayed.\tneutral\n" * 1)
    (path / "nli.de.tsv").write_text("Er ging.\tSie blieb.\tneutral\n" * 1)
    (path / "a.conllu").write_text(CONLLU)
    return path


def commands(folder: Path, out: Path, options: RunOptions) -> dict[str, DatasetResult]:
    dictionary = DictionarySource(path=str(folder / "en-ja.txt.gz"), src_lang="en", tgt_lang="ja")
    files = TaskFiles(
        task="nli",
        language="en",
        file=str(folder / "nli.en.tsv"),
        translations={"de": str(folder / "nli.de.tsv")},
    )
    aligned, mono = str(folder / "aligned"), str(folder / "mono")
    return {
        "recased": exchange(
            str(folder / "turned"),
            str(out / "recased"),
            config=ExchangeConfig(recase=True, many_to_many=True, variants=2),
            options=options,
        ),
        "multilingual": codeswitch_multilingual(
            aligned,
            str(out / "multilingual"),
            config=MultilingualSwitchConfig(variants=2),
            options=options,
        ),
        "dictionary": codeswitch_by_dictionary(
            mono,
            str(out / "dictionary"),
            dictionaries=[dictionary],
            config=DictionarySwitchConfig(token_rate=0.5),
            options=options,
        ),
        "model": codeswitch_by_candidates(
            str(folder / "candidates"),
            str(out / "model"),
            config=CandidatesSwitchConfig(),
            options=options,
        ),
        "sentence": codeswitch_task_fields(
            files,
            str(out / "sentence"),
            config=TaskFieldSwitchConfig(token_rate=1.0, variants=2),
            options=options,
        ),
        "derive": derive(
            mono,
            str(out / "derive"),
            config=DeriveConfig(transforms=("transliterate", "permute")),
            options=options,
        ),
        "derive pairs": derive(
            str(folder / "pairs"),
            str(out / "derive-pairs"),
            config=DeriveConfig(transforms=("invert",)),
            options=options,
        ),
        "derive aligned": derive(
            aligned,
            str(out / "derive-aligned"),
            config=DeriveConfig(transforms=("permute", "transliterate"), sides="src"),
            options=options,
        ),
        "parsed": derive_conllu(
            str(folder / "a.conllu"),
            str(out / "parsed"),
            lang="en",
            config=DeriveConfig(transforms=("syntax",)),
            options=options,
        ),
    }


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory) -> dict[str, DatasetResult]:
    return commands(folder, tmp_path_factory.mktemp("one"), RunOptions(workers=1))


def test_every_dataset_verifies_and_says_what_was_drawn(made) -> None:
    for name, finished in made.items():
        dataset = verify_dataset(finished.dataset.path)
        counts = dataset.manifest.counts
        assert counts.read == counts.kept + sum(counts.rejected.values()), name
        assert counts.kept > 0, name
        if dataset.kind is CODESWITCH:
            drawn = dataset.manifest.keys["en"]["drawn"]
            assert drawn["words_drawn"] == dataset.manifest.keys["en"]["replacements"]
            undrawn = counts.rejected.get("not_sampled/1", 0)
            assert drawn["sentences"] == counts.read
            assert drawn["sentences_drawn"] == counts.read - undrawn


def test_multilingual_switching_reads_each_sentence_once_and_mixes(made) -> None:
    manifest = made["multilingual"].dataset.manifest
    assert manifest.counts.read == 2 * len({row["en"] for row in sample()})
    drawn = manifest.keys["en"]["drawn"]
    assert {name for name in drawn if name.startswith("words_to_")} == {
        f"words_to_{lang}" for lang in LANGS
    }
    table = made["multilingual"].dataset.table().to_pylist()
    assert any(len({c["lang"] for c in row["replacements"]}) > 1 for row in table)


def test_a_dictionary_is_an_input_with_its_counts(made) -> None:
    manifest = made["dictionary"].dataset.manifest
    assert [entry["path"].rsplit("/")[-1] for entry in manifest.inputs] == ["mono", "en-ja.txt.gz"]
    (described,) = manifest.config["dictionaries"]
    assert (described["columns"], described["order"]) == ("src,tgt", "by the scripts")
    assert described["counts"] == {"entries": 4}


def test_task_data_keep_their_label_beside_the_text(made) -> None:
    rows = made["sentence"].dataset.table().to_pylist()
    assert {(r["premise"], r["hypothesis"], r["label"]) for r in rows} == {
        ("Er ging.", "Sie blieb.", "neutral")
    }


def test_derived_datasets_go_back(made) -> None:
    for name in ("derive", "derive pairs", "parsed"):
        for batch in made[name].dataset.batches():
            assert undo_derive(batch).equals(batch["src"])
    assert made["parsed"].dataset.table()["tgt"].to_pylist() == ["run dogs"]
    assert made["parsed"].dataset.keys == ["en-en-headswap"]


def test_pairs_are_derived_sentence_by_sentence_aligned_ones_with_their_links(made) -> None:
    pairs, aligned = made["derive pairs"].dataset, made["derive aligned"].dataset
    assert pairs.keys == sorted(f"{lang}-{lang}-inverted" for lang in ("en", *LANGS))
    texts = {row["en"] for row in sample()}
    assert pairs.manifest.keys["en-en-inverted"]["rows"] == len(texts)
    assert pairs.manifest.counts.read == 2 * len(aligned_rows())
    assert aligned.keys == sorted(language_key((lang, "en-Qaaa-permuted")) for lang in LANGS)
    config = DeriveConfig(transforms=("permute", "transliterate"), sides="src")
    before = {(row["tgt"], row["src"]): len(row["links"]) for row in aligned_rows()}
    for batch in aligned.batches():
        src, _ = undo_derive_aligned(batch, config=config)
        for tgt, text, links in zip(batch["tgt"].to_pylist(), src.to_pylist(), batch["links"]):
            assert before[tgt, text] == len(links)


def test_recased_pairs_go_back_and_have_other_capitals(made) -> None:
    n_other = 0
    for batch in made["recased"].dataset.batches():
        assert [side.to_pylist() for side in undo_exchange(batch)] == [
            batch[side].to_pylist() for side in ("src", "tgt")
        ]
        config = ExchangeConfig(many_to_many=True, variants=2)
        plain = exchange_words(batch.select(ALIGNED.schema.names), config=config).kept
        known = {(r["pair_id"], r["variant"]): r["src_exchanged"] for r in plain.to_pylist()}
        for row in batch.to_pylist():
            was = known[row["pair_id"], row["variant"]]
            assert was.casefold() == row["src_exchanged"].casefold()
            n_other += was != row["src_exchanged"]
    assert n_other > 0


def test_any_batch_size_gives_the_same_digests(folder, made, tmp_path) -> None:
    dictionary = DictionarySource(path=str(folder / "en-ja.txt.gz"), src_lang="en", tgt_lang="ja")
    casing = casing_of(open_dataset(str(folder / "turned")).batches())
    recased = ExchangeConfig(recase=True, many_to_many=True, variants=2)
    both = DeriveConfig(transforms=("transliterate", "permute"))
    one = DeriveConfig(transforms=("permute", "transliterate"), sides="src")
    steps = {
        "recased": ("turned", [ExchangeWords(recased, casing)]),
        "multilingual": ("aligned", [SwitchMultilingual(MultilingualSwitchConfig(variants=2))]),
        "dictionary": (
            "mono",
            [SwitchByDictionary((dictionary,), DictionarySwitchConfig(token_rate=0.5))],
        ),
        "model": ("candidates", [SwitchByCandidates(CandidatesSwitchConfig())]),
        "derive": ("mono", [DeriveLanguage(both)]),
        "derive pairs": (
            "pairs",
            [
                ExplodePairs(),
                DropDuplicates(kind=MONO),
                DeriveLanguage(DeriveConfig(transforms=("invert",))),
            ],
        ),
        "derive aligned": ("aligned", [DeriveAligned(one)]),
    }
    for name, (source, transforms) in steps.items():
        out = str(tmp_path / name)
        with Pipeline(runner=FnApiRunner()) as root:
            rows = root | "Read" >> ReadDataset(open_dataset(str(folder / source)), batch_rows=7)
            for transform in transforms:
                rows = rows | transform
            _ = rows | WriteDataset(out, made[name].dataset.kind)
        assert open_dataset(out).manifest.digest == made[name].dataset.manifest.digest, name


@pytest.mark.slow
def test_two_workers_give_the_same_digests(folder, made, tmp_path) -> None:
    two = commands(folder, tmp_path, RunOptions(workers=2))
    assert {n: f.dataset.manifest.digest for n, f in two.items()} == {
        n: f.dataset.manifest.digest for n, f in made.items()
    }


def test_reuse_sees_that_a_dictionary_changed(folder, made, tmp_path) -> None:
    changed = tmp_path / "en-ja.txt"
    changed.write_text("the ザ\n")
    again = DictionarySource(path=str(changed), src_lang="en", tgt_lang="ja")
    with pytest.raises(OutputExistsError, match="other inputs"):
        codeswitch_by_dictionary(
            str(folder / "mono"),
            made["dictionary"].dataset.path,
            dictionaries=[again],
            config=DictionarySwitchConfig(token_rate=0.5),
            options=RunOptions(reuse=True),
        )


def test_a_lexicon_is_exported_and_switched_with(folder, tmp_path) -> None:
    from bitextile.kernels.bitext.lexicon import LexiconConfig

    options = RunOptions(workers=1)
    counted = str(tmp_path / "lexicon")
    lexicon(str(folder / "aligned"), counted, config=LexiconConfig(min_count=1), options=options)
    summary = export_dataset(counted, str(tmp_path / "muse"), format="muse")
    assert {"en-de.txt", "de-en.txt"} <= set(summary.files)
    for source in (counted, str(tmp_path / "muse/en-de.txt")):
        dictionary = DictionarySource(
            path=source,
            src_lang="en",
            tgt_lang="de",
            columns="auto" if source == counted else "src,tgt",
        )
        made = codeswitch_by_dictionary(
            str(folder / "mono"),
            str(tmp_path / f"out{len(source)}"),
            dictionaries=[dictionary],
            config=DictionarySwitchConfig(),
            options=options,
        )
        assert made.dataset.manifest.rows > 0


def call(*arguments: str) -> int:
    try:
        main(list(arguments))
    except SystemExit as exit:
        return int(exit.code or 0)
    return 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "magic"], "'magic' is not one of 'alignment', 'pivot', 'dictionary'"),
        (
            ["--method", "candidates", "--pivot", "en"],
            "--pivot is not an option of --method candidates",
        ),
        (["--method", "dictionary", "--lexicon", "en=x"], "expected SRC,TGT=PATH"),
        (["--method", "dictionary", "--lexicon", "sw,de=x"], "holds sentences in"),
        (["--method", "dictionary"], "--method dictionary needs --lexicon"),
        (["--method", "pivot", "--pivot", "de"], "have no side in de"),
        (["--method", "pivot", "--pivot", "en", "--weight", "ja=2"], "given for ja"),
        (["--method", "pivot", "--pivot", "en", "--weight", "de=two"], "is not a number"),
    ],
)
def test_wrong_calls_are_said_in_a_sentence(folder, tmp_path, capsys, arguments, sentence) -> None:
    out = tmp_path / "out"
    assert call("codeswitch", str(folder / "aligned"), *arguments, "--out", str(out)) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_derive_by_command(folder, tmp_path, capsys) -> None:
    mono, out = str(folder / "mono"), str(tmp_path / "out")
    assert call("derive", mono, "--transforms", "syntax", "--out", out) == 2
    assert "CoNLL-U" in capsys.readouterr().err
    for source in (mono, str(folder / "a.conllu")):
        given = ["--transforms", "invert", "--sides", "src", "--out", out]
        assert call("derive", source, *given) == 2
        assert "holds sentences, not pairs" in capsys.readouterr().err
    assert call("derive", str(folder / "pairs"), "--transforms", "invert", "--sides", "x") == 2
    task = ["--task", "pos", "--transforms", "transliterate,syntax", "--out", out]
    assert call("derive", str(folder / "a.conllu"), *task) == 0
    assert "read 1, kept 1" in capsys.readouterr().err
    marker = json.loads((tmp_path / "out/derive.json").read_text())
    assert marker["language"] == "en-Qaaa-headswap"
    assert (tmp_path / "out/a.en-Qaaa-headswap.conllu").read_text().startswith("# text = ")
    with pytest.raises(OutputExistsError):
        derive_file(str(folder / "a.conllu"), out, task="pos", lang="en", config=DeriveConfig())
    with pytest.raises(ConfigError, match="local"):
        derive_file("x", "gs://b/o", task="pos", lang="en", config=DeriveConfig())
