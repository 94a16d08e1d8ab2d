"""A corpus of which nothing is kept ends `ingest` and `run` with exit code 1 and a reason."""

import json
import re
from pathlib import Path

import pytest
import yaml

from bitextile.pipelines.cli.main import main
from bitextile.schema.dataset import open_dataset

PAIRS = [("Where is my brother?", "Где мой брат?"), ("I live here.", "Я живу здесь.")]


@pytest.fixture
def ingest(tmp_path, capsys):
    """Returns what ingests files by a recipe: exit code and what was said."""

    def call(recipe: dict, command: str = "ingest", *more: str, **files: str) -> tuple[int, str]:
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content, encoding="utf-8")
        (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
        with pytest.raises(SystemExit) as ended:
            main([command, str(tmp_path / "r.yaml"), "--out", str(tmp_path / "out"), *more])
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


def bitext(*entries: dict) -> dict:
    common = {"languages": ["en", "ru"], "split": "train"}
    return {"bitext": [{"corpus": f"c{n}"} | common | entry for n, entry in enumerate(entries)]}


TSV = "".join(f"{en}\t{ru}\n" for en, ru in PAIRS)
TUV = '<tuv xml:lang="{}"><seg>a</seg></tuv>'
TMX = f"<tmx><body><tu>{TUV.format('en-US')}{TUV.format('de')}</tu></body></tmx>"


@pytest.mark.parametrize(
    ("name", "content", "entry", "told"),
    [
        ("a_tsv", TSV.replace("\t", ","), {}, r"missing_columns/1.*1 columns.*check its"),
        ("a_jsonl", TSV, {}, r"invalid_json/1.*not JSON.*check its `format`"),
        ("a_jsonl", json.dumps({"src": "a", "tgt": "b"}), {}, r"it has 'src', 'tgt'.*`columns`"),
        ("a_tmx", TMX, {}, r"no <tuv> in ru, but in en-US, de"),
        ("a_tsv", "one two three four\tx\n" * 2, {"columns": [0, 0]}, r"identical/1.*not one and"),
        ("a_tsv", "x" * 300 + "\ty\n", {}, r"long_word/1"),
    ],
)
def test_a_corpus_of_which_nothing_is_kept_is_named_with_the_reason(
    tmp_path, ingest, name: str, content: str, entry: dict, told: str
) -> None:
    code, said = ingest(bitext({"files": [name.replace("_", ".")]} | entry), **{name: content})
    assert code == 1, said
    assert "corpus c0: none of its" in said
    assert re.search(told, said), said
    assert open_dataset(str(tmp_path / "out" / "pairs")).manifest.counts.rejected


def test_one_lost_corpus_among_others_is_named_and_a_reused_dataset_is_no_way_around(
    tmp_path, ingest
) -> None:
    recipe = bitext({"files": ["a.tsv"]}, {"files": ["b.tsv"]})
    files = {"a_tsv": TSV, "b_tsv": "one column\n" * 3}
    for more in ((), ("--reuse",)):
        code, said = ingest(recipe, "ingest", *more, **files)
        assert (code, "corpus c1: none of its 3 rows in en-ru was kept" in said) == (1, True), said
    assert open_dataset(str(tmp_path / "out" / "pairs")).manifest.rows == 2


def test_a_corpus_that_repeats_another_and_an_empty_one_are_not_lost(ingest) -> None:
    recipe = bitext({"files": ["a.tsv"]}, {"files": ["b.tsv"]}, {"files": ["c.tsv"]})
    code, said = ingest(recipe, a_tsv=TSV, b_tsv=TSV, c_tsv="")
    assert code == 0, said


def test_sentences_of_one_language(ingest) -> None:
    entry = {"corpus": "m", "language": "ru", "files": ["m.txt"], "split": "train"}
    code, said = ingest({"mono": [entry]}, m_txt="\n\n\n")
    assert (code, "corpus m: none of its 3 rows in ru was kept: 3 empty/1" in said) == (1, True)


def test_run_stops_there(tmp_path, ingest) -> None:
    code, said = ingest(bitext({"files": ["a.tsv"]}), "run", a_tsv=TSV.replace("\t", ","))
    assert (code, "corpus c0: none of its 2 rows" in said) == (1, True), said
    assert [path.name for path in Path(tmp_path, "out").iterdir()] == ["pairs"]
