"""`--root`: what lies outside is neither read nor written, by whatever name and command.

Everything named outside is fit to be used: each call would succeed without `--root`, or fail later.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="torch is not installed: bitextile[train]")

from bitextile.pipelines.cli.main import main

SECRET = "Geheimnis"
RECIPE = {
    "bitext": [
        {"corpus": "t", "languages": ["en", "de"], "files": ["t.tsv"], "columns": [0, 1]},
        {"corpus": "u", "languages": ["en", "ar"], "files": ["u.tsv"], "columns": [0, 1]},
    ],
    "mono": [{"corpus": "m", "language": "zh", "files": ["m.txt"]}],
}


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def fill(folder: Path) -> None:
    folder.mkdir()
    words = ["dog", "house", "tree", "old", "red", "sees"]
    pairs = [f"{a} {b}\t{SECRET} {a}{b}" for a in words for b in words]
    (folder / "t.tsv").write_text("\n".join(pairs) + "\n")
    (folder / "u.tsv").write_text("\n".join(f"{line}كلب" for line in pairs) + "\n")
    (folder / "m.txt").write_text("\n".join(f"犬在{SECRET}{i}" for i in range(20)) + "\n")
    (folder / "words.txt").write_text("dog ||| Hund\n")
    (folder / "dictionary.txt").write_text("dog Hund\n")
    (folder / "nli.tsv").write_text("premise\thypo\tlabel\na dog\ta tree\tneutral\n")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    (folder / "run.yaml").write_text(yaml.safe_dump({"tokenizer": "tokenizer", "data": []}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a root and a folder beside it that have the same files, datasets too."""
    place = tmp_path_factory.mktemp("confined")
    outside = place / "outside"
    fill(outside)
    assert call("ingest", str(outside / "recipe.yaml"), "--out", str(outside / "d")) == 0
    aligned = str(outside / "aligned")
    assert call("align", str(outside / "d/pairs"), "--out", aligned) == 0
    assert call("lexicon", aligned, "--out", str(outside / "lexicon")) == 0
    shutil.copytree(outside, place / "root")
    (place / "root/link").symlink_to(outside)
    return place


@pytest.fixture
def root(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("BITEXTILE_ROOT", raising=False)
    monkeypatch.chdir(made / "root")
    yield made / "root"
    shutil.rmtree(made / "root/new", ignore_errors=True)
    assert not (made / "outside/new").exists()


WAYS: dict[str, Callable[[Path, str], str]] = {
    "absolute": lambda root, name: str(root.parent / "outside" / name),
    "parent": lambda root, name: f"../outside/{name}",
    "around": lambda root, name: f"{root}/d/../../outside/{name}",
    "link": lambda root, name: f"link/{name}",
    "uri": lambda root, name: f"file://{root.parent}/outside/{name}",
    "uri and link": lambda root, name: f"file://{root}/link/{name}",
}

# `{name}` is a way to a file or folder outside, NAME one inside the root.
SWITCH = "codeswitch d/mono --method dictionary --out new"
CALLS = {
    "ingest": "ingest {recipe.yaml} --out new",
    "align": "align {d/pairs} --out new",
    "align encoder": "align d/pairs --aligner simalign --encoder {d} --out new",
    "align-text": "align-text --input {words.txt} --out new",
    "align-text lexicon": "align-text --input words.txt --lexicon {words.txt} --out new",
    "align-text model": "align-text --input words.txt --model {aligned} --out new",
    "lexicon": "lexicon {aligned} --out new",
    "exchange": "exchange {aligned} --out new",
    "codeswitch": "codeswitch {aligned} --method alignment --out new",
    "dictionary": f"{SWITCH} --lexicon zh,de={{dictionary.txt}}",
    "dictionary lexicon": f"{SWITCH} --lexicon zh,de={{lexicon}}",
    "derive": "derive {d/pairs} --transforms invert --out new",
    "derive task": "derive {nli.tsv} --transforms transliterate --task nli --out new",
    "backtranslate": "backtranslate {d/mono} --model d --to de --out new",
    "backtranslate model": "backtranslate d/mono --model {d} --to de --out new",
    "candidates": "candidates {d/mono} --model d --languages de --out new",
    "candidates model": "candidates d/mono --model {d} --languages de --out new",
    "tokenizer": "tokenizer {d/mono} --vocab-size 100 --out new",
    "report": "report {d/pairs} --out new",
    "verify": "verify {d/pairs}",
    "export": "export {aligned} --format pharaoh --out new",
    "pretrain": "pretrain {run.yaml} --out new",
    "finetune": "finetune {run.yaml} --out new",
    "evaluate model": "evaluate {d} --task perplexity --data d/mono --out new",
    "evaluate data": "evaluate aligned --task alignment --data {words.txt} --out new",
    "evaluate bli": "evaluate lexicon --task bli --data {dictionary.txt} --out new",
    "run": "run {recipe.yaml} --out new",
}


def filled(line: str, way: Callable[[Path, str], str], root: Path) -> list[str]:
    return [re.sub(r"{(.*)}", lambda name: way(root, name[1]), part) for part in line.split()]


def refused(arguments: list[str], root: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """Returns the sentence that a call ends with."""
    code = call(*arguments, "--root", str(root))
    heard = capfd.readouterr()
    assert heard.out == ""
    assert SECRET not in heard.err
    sentence = heard.err.strip().splitlines()[-1]
    # Some commands know paths and no URIs; to them that is the name of no file here.
    local_only = "file:/" in sentence and re.search("(?i)no (such|file matches|model)", sentence)
    assert "which --root confines this run to" in sentence or local_only, sentence
    assert code == 2 or local_only
    assert not (root / "new").exists()
    return sentence


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("line", CALLS.values(), ids=CALLS)
def test_no_command_reads_outside(line, way, root, capfd) -> None:
    refused(filled(line, way, root), root, capfd)


OUTPUTS = {
    "ingest": "ingest recipe.yaml --out {new}",
    "align": "align d/pairs --out {new}",
    "align-text": "align-text --input words.txt --out {new}",
    "align-text model": "align-text --input words.txt --save-model {new} --out new",
    "lexicon": "lexicon aligned --out {new}",
    "derive task": "derive nli.tsv --transforms transliterate --task nli --out {new}",
    "tokenizer": "tokenizer d/mono --vocab-size 100 --out {new}",
    "report": "report d/pairs --out {new}",
    "export": "export aligned --format pharaoh --out {new}",
    "evaluate": "evaluate lexicon --task bli --data dictionary.txt --out {new}",
    "demo": "demo --out {new}",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("line", OUTPUTS.values(), ids=OUTPUTS)
def test_no_command_writes_outside(line, way, root, capfd) -> None:
    before = sorted(os.listdir(root.parent / "outside"))
    refused(filled(line, way, root), root, capfd)
    assert sorted(os.listdir(root.parent / "outside")) == before


Place = Callable[[str], str]
PARTS: dict[str, Callable[[Place], dict]] = {
    "bitext": lambda place: {"bitext": [RECIPE["bitext"][0] | {"files": [place("t.tsv")]}]},
    "mono": lambda place: {"mono": [RECIPE["mono"][0] | {"files": [place("m.txt")]}]},
    "pattern": lambda place: {"mono": [RECIPE["mono"][0] | {"files": [place("*.txt")]}]},
    "dictionary": lambda place: {
        "codeswitch": {
            "method": "dictionary",
            "dictionaries": [{"languages": ["en", "de"], "file": place("dictionary.txt")}],
        }
    },
    "gold": lambda place: {"evaluate": {"alignment": [{"name": "g", "gold": place("words.txt")}]}},
    "texts": lambda place: {
        "evaluate": {
            "retrieval": [
                {
                    "name": "r",
                    "files": [place("m.txt"), place("m.txt")],
                }
            ]
        }
    },
    "model": lambda place: {"backtranslate": {"to": {"de": 1}, "model": place("d")}},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_no_recipe_reads_outside(part, way, root, capfd) -> None:
    content = {"bitext": RECIPE["bitext"], "mono": RECIPE["mono"]} | part(
        lambda name: way(root, name)
    )
    (root / "other.yaml").write_text(yaml.safe_dump(content))
    refused(["run", "other.yaml", "--out", "new"], root, capfd)


def test_a_file_of_a_dataset_or_model_that_is_a_link_is_not_followed(root, capfd) -> None:
    linked = root / "linked"
    shutil.copytree(root / "d/pairs", linked / "pairs")
    for shard in (linked / "pairs/data").rglob("*.parquet"):
        place = shard.relative_to(linked / "pairs")
        shard.unlink()
        shard.symlink_to(root.parent / "outside/d/pairs" / place)
    (linked / "model").mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (linked / "model" / name).symlink_to(root.parent / "outside/t.tsv")
    try:
        for line in (
            "verify linked/pairs",
            "align linked/pairs --out new",
            "align linked/pairs --out new --workers 2",
            "report linked/pairs --out new",
            "backtranslate d/mono --engine seq2seq --model linked/model --to de --out new",
            "align d/pairs --aligner simalign --encoder linked/model --out new",
        ):
            refused(line.split(), root, capfd)
    finally:
        shutil.rmtree(linked)


def test_within_the_root_everything_works_as_without(root, capfd) -> None:
    for line in (
        "ingest recipe.yaml --out new/d",
        "align new/d/pairs --out new/aligned --workers 2",
        "lexicon new/aligned --out new/lexicon",
        "tokenizer new/d/mono new/d/pairs --vocab-size 300 --out new/tokenizer",
        "report new/aligned new/lexicon --out new/page.html",
        "export new/aligned --format pharaoh --out new/text",
        f"verify file://{root}/new/aligned",
        "align-text --input words.txt --out new/links --save-model new/m",
    ):
        assert call(*line.split(), f"--root={root}") == 0, (line, capfd.readouterr().err)
    for name in ("aligned", "lexicon"):
        digests = [
            json.loads((folder / name / "manifest.json").read_text())["digest"]
            for folder in (root, root / "new")
        ]
        assert digests[0] == digests[1]
    assert sorted(os.listdir(root.parent)) == ["outside", "root"]


def test_the_environment_confines_too_and_a_later_root_counts(root, monkeypatch, capfd) -> None:
    monkeypatch.setenv("BITEXTILE_ROOT", str(root / "d"))
    assert call("verify", "aligned") == 2
    assert f"outside {root}/d, which" in capfd.readouterr().err
    assert call("verify", "aligned", "--root", str(root)) == 0
    assert os.environ["BITEXTILE_ROOT"] == str(root / "d")
    monkeypatch.delenv("BITEXTILE_ROOT")
    assert call("verify", str(root.parent / "outside/aligned")) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["verify", "aligned", "--root", "absent"], "--root absent: no such folder"),
        (["verify", "aligned", "--root", ""], "--root is empty"),
        (["verify", "aligned", "--root"], "--root is empty"),
        (["verify", "s3://bucket/d", "--root", "."], "is not local"),
        (["align", "d/pairs", "--out", "gs://b/x", "--root", "."], "is not local"),
        (
            ["align", "d/pairs", "--out", "new", "--root", ".", "--", "--runner=FlinkRunner"],
            "on this machine alone",
        ),
        (
            ["align", "d/pairs", "--aligner=eflomal", "--eflomal-bin=d", "--out=new", "--root=."],
            "only those on PATH are run",
        ),
    ],
)
def test_what_cannot_be_confined_is_refused(arguments, sentence, root, capfd) -> None:
    assert call(*arguments) == 2
    assert sentence in capfd.readouterr().err


def test_the_sample_is_read_from_the_package(root) -> None:
    folder = resources.files("bitextile.pipelines.sample")
    shutil.copytree(str(folder), root / "new")
    assert call("ingest", "new/recipe.yaml", "--out", "new/out", "--root", ".") == 0
