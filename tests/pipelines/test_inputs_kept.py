"""No command replaces what it reads, or a folder that holds it, by whatever name it is given."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

SENTENCES = {
    "en": ["The dog runs.", "A cat sleeps.", "We eat bread.", "He drinks water."],
    "de": ["Der Hund läuft.", "Eine Katze schläft.", "Wir essen Brot.", "Er trinkt Wasser."],
    "el": ["Ο σκύλος τρέχει.", "Μια γάτα κοιμάται.", "Τρώμε ψωμί.", "Πίνει νερό."],
    "zh": ["狗在跑。", "一只猫在睡觉。", "我们吃面包。", "他喝水。"],
}
NLI = "premise\thypothesis\tlabel\nthe dog runs\tthe dog sleeps\tcontradiction\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory, call) -> Path:
    """Datasets of each step, an export and a tokenizer, and inputs that lie in their folders."""
    folder = tmp_path_factory.mktemp("made")
    for lang, lines in SENTENCES.items():
        (folder / f"{lang}.txt").write_text("\n".join(lines) + "\n")
    bitext = [
        {"corpus": lang, "languages": ["en", lang], "files": ["en.txt", f"{lang}.txt"]}
        for lang in ("de", "el", "zh")
    ]
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"bitext": bitext}))
    for command in (
        "ingest recipe.yaml --out out",
        "align out/pairs --out out/aligned",
        "lexicon out/aligned --min-count 1 --out out/lexicon",
        "exchange out/aligned --out out/exchange",
        "codeswitch out/aligned --method alignment --out out/codeswitch",
        "export out/aligned --format pharaoh --out out/export",
    ):
        arguments = [
            str(folder / a) if a.startswith(("out/", "recipe")) or a == "out" else a
            for a in command.split()
        ]
        assert call(*arguments) == 0
    # All by which a tokenizer's folder is known.
    (folder / "out" / "tokenizer").mkdir()
    (folder / "out" / "tokenizer" / "tokenizer_manifest.json").write_text("{}")
    for held in ("pairs", "aligned", "exchange", "export", "tokenizer"):
        inner = folder / "out" / held / "kept"
        inner.mkdir()
        shutil.copy(folder / "recipe.yaml", inner)
        for lang in SENTENCES:
            shutil.copy(folder / f"{lang}.txt", inner)
        shutil.copytree(folder / "out" / "lexicon", inner / "lexicon")
        (inner / "nli.tsv").write_text(NLI)
        (inner / "text").write_text("the dog ||| der Hund\n")
        (inner / "en-de.tsv").write_text("dog\tHund\n")
    shutil.copytree(folder / "out" / "aligned", folder / "out" / "export" / "kept" / "aligned")
    shutil.copytree(folder / "out" / "pairs", folder / "out" / "tokenizer" / "kept" / "pairs")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "here")
    (tmp_path / "here" / "link").symlink_to("out")
    (tmp_path / "here" / "deep").symlink_to("out/aligned/kept")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def state_of(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


COMMANDS = [
    "ingest out/pairs/kept/recipe.yaml --out out",
    "ingest link/../out/pairs/kept/recipe.yaml --out link",
    "align out/pairs --out link/pairs",
    "align out/pairs --out out/aligned --lexicon de,en=deep/lexicon",
    "lexicon out/aligned --out out/../link/aligned",
    "exchange link/aligned --out out/aligned",
    "codeswitch out/aligned --method alignment --out out/aligned/kept/..",
    "codeswitch out/pairs --method dictionary --lexicon en,de=out/exchange/kept/en-de.tsv"
    " --out out/exchange",
    "derive out/pairs --transforms invert --out link/pairs",
    "export out/export/kept/aligned --format pharaoh --out out/export",
    "tokenizer link/tokenizer/kept/pairs --vocab-size 320 --out out/tokenizer",
    "report out/pairs out/aligned --out link/aligned/manifest.json",
    "evaluate out/aligned --task alignment --data out/pairs --out out/pairs/manifest.json",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_read_is_not_replaced(place: Path, call, capsys, command: str) -> None:
    before = state_of(place)
    assert call(*command.split(), "--overwrite") == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"bitextile: [^\n]+, which is never replaced; give another [^\n]+\n", told)
    assert state_of(place) == before


def test_a_recipe_whose_corpora_lie_in_the_output_is_refused(place: Path, call, capsys) -> None:
    (place / "all.yaml").write_text(
        yaml.safe_dump(
            {
                "mono": [
                    {"corpus": "c", "language": "zh", "files": ["link/pairs/../mono/kept/zh.txt"]}
                ]
            }
        )
    )
    shutil.copytree("out/pairs", "out/mono")
    before = state_of(place)
    assert call("ingest", "all.yaml", "--out", "out", "--overwrite") == 2, capsys.readouterr().err
    assert "out/mono holds the input" in capsys.readouterr().err
    assert state_of(place) == before


@pytest.mark.parametrize(
    "outputs",
    [
        "-o out/aligned/kept/text",
        "-o deep/text",
        "-o links --scores deep/text",
        "-o a --scores ./a",
    ],
)
def test_align_text_keeps_its_input(place: Path, call, outputs: str) -> None:
    before = state_of(place)
    assert call("align-text", "-i", "out/aligned/kept/text", *outputs.split()) == 2
    assert state_of(place) == before


def test_align_text_follows_links_and_writes_to_devices(place: Path, call) -> None:
    (place / "links").symlink_to("out/links")
    text = place / "out/aligned/kept/text"
    assert call("align-text", "-i", text, "-o", "links", "--scores", "/dev/null") == 0
    assert (place / "links").is_symlink()
    assert (place / "out" / "links").read_text() == "0-0 1-1\n"
    assert not Path("/dev/null").is_file()


def test_results_may_stand_in_an_inputs_folder_and_be_replaced(place: Path, call) -> None:
    page = ("report", "out/pairs", "--out", "out/pairs/kept/page.html")
    assert call(*page) == 0
    assert call(*page) == 2
    assert call(*page, "--overwrite") == 0


def test_a_task_file_is_derived_anew_with_overwrite(place: Path, call, capsys) -> None:
    derive = (
        "derive",
        "deep/nli.tsv",
        "--task",
        "nli",
        "--language",
        "en",
        "--transforms",
        "invert",
    )
    for more, code in ((), 0), ((), 2), (("--overwrite",), 0):
        assert call(*derive, "--out", "nli", *more) == code, capsys.readouterr().err
    assert json.loads(Path("nli", "derive.json").read_text())["task"] == "nli"
    inside = (
        "derive",
        "nli/here.tsv",
        "--task",
        "nli",
        "--language",
        "en",
        "--transforms",
        "invert",
    )
    Path("nli", "here.tsv").write_text(NLI)
    assert call(*inside, "--out", "nli", "--overwrite") == 2
    assert Path("nli", "here.tsv").read_text() == NLI
