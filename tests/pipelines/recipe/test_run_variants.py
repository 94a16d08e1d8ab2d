"""A recipe's variants: every way of switching, the recipe's own lexicon, derived languages."""

from pathlib import Path

import pytest
import yaml

from bitextile.pipelines.recipe.recipe import Recipe, load_recipe, parse
from bitextile.pipelines.recipe.run_variants import check_variants
from bitextile.pipelines.run import run
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import verify_dataset
from bitextile.schema.errors import ConfigError

ENGLISH, GERMAN = ("The dog", "The cat", "A child"), ("Der Hund", "Die Katze", "Ein Kind")
PLACES = [
    ("at home", "zu Hause"),
    ("in town", "in der Stadt"),
    ("today", "heute"),
    ("now", "jetzt"),
]
CONLLU = "1\tdogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\trun\trun\tVERB\t_\t_\t0\troot\t_\t_\n\n"
BITEXT = {"corpus": "toy", "languages": ["en", "de"], "files": ["toy.tsv"]}
CODESWITCH = [
    {"token_rate": 0.5},
    {"method": "pivot", "pivot": "en", "weights": {"de": 2}},
    {
        "method": "dictionary",
        "dataset": "pairs",
        "dictionaries": [{"languages": ["en", "ja"], "file": "en-ja.txt"}],
        "lexicon": [["en", "de"]],
        "min_count": 2,
        "weights": {"de": 3},
    },
    {"method": "dictionary", "name": "mono", "dataset": "mono", "lexicon": [["de", "en"]]},
    {
        "method": "task-field",
        "task": "nli",
        "language": "en",
        "file": "en.tsv",
        "translations": {"de": "de.tsv"},
        "token_rate": 1.0,
    },
]
DERIVE = [
    {"transforms": ["invert"]},
    {"transforms": ["permute", "transliterate"], "dataset": "aligned", "sides": "src"},
    {"transforms": ["syntax"], "file": "a.conllu", "name": "parsed"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        f"{who} sleeps {where}.\t{wer} schläft {wo}.\n"
        for who, wer in zip(ENGLISH, GERMAN, strict=True)
        for where, wo in PLACES
    ]
    (tmp_path / "toy.tsv").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "mono.txt").write_text("Der Hund bellt.\nDie Katze schläft.\n", encoding="utf-8")
    (tmp_path / "en-ja.txt").write_text("dog 犬\ncat 猫\nsleeps 眠る\n", encoding="utf-8")
    (tmp_path / "en.tsv").write_text("He left.\tShe stayed.\tneutral\n")
    (tmp_path / "de.tsv").write_text("Er ging.\tSie blieb.\tneutral\n")
    (tmp_path / "a.conllu").write_text(CONLLU)
    return tmp_path


def test_every_variant_of_a_recipe_is_made(folder: Path) -> None:
    mono = {"corpus": "m", "language": "de", "files": ["mono.txt"]}
    body = {"bitext": [BITEXT], "mono": [mono], "codeswitch": CODESWITCH, "derive": DERIVE}
    body |= {"tokenizer": {"vocab_size": 300}, "lexicon": {"min_count": 1}}
    body["exchange"] = {"recase": True}
    (folder / "r.yaml").write_text(yaml.safe_dump(body))
    told: list[str] = []
    summary = run(
        load_recipe(str(folder / "r.yaml")),
        folder,
        str(folder / "out"),
        options=RunOptions(workers=1),
        progress=lambda news: told.append(news) if isinstance(news, str) else None,
    )
    found = {done.dataset.path.rsplit("/", 1)[1]: done.dataset for done in summary.datasets}
    assert set(found) - {"pairs", "mono", "aligned", "lexicon", "exchange"} == {
        "codeswitch",
        "codeswitch-pivot",
        "codeswitch-dictionary",
        "codeswitch-mono",
        "codeswitch-task-field",
        "derive-invert",
        "derive-permute-transliterate",
        "derive-parsed",
    }
    assert told[3:6] == ["exchange", "codeswitch", "derive"]
    for name, dataset in found.items():
        assert verify_dataset(dataset.path).manifest.rows > 0, name
    drawn = found["codeswitch-dictionary"].manifest.keys["en"]["drawn"]
    assert drawn["words_to_de"] > 0
    assert drawn["words_to_ja"] > 0
    paths = [entry["path"] for entry in found["codeswitch-mono"].manifest.inputs]
    assert [path.rsplit("/", 1)[1] for path in paths] == ["mono", "lexicon"]
    assert found["derive-permute-transliterate"].keys == ["de-en-Qaaa-permuted"]
    page = Path(summary.report).read_text(encoding="utf-8")
    assert all(f"<b>{name}</b>" in page for name in found)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"codeswitch": [{}, {"token_rate": 0.1}]}, "two parts would write codeswitch"),
        ({"derive": {"dataset": "mono"}}, "names no `mono` corpus"),
        (
            {"codeswitch": {"method": "dictionary", "lexicon": [["en", "fr"]]}},
            "the lexicon has no en and fr",
        ),
        ({"codeswitch": {"method": "candidates", "candidates": "there"}}, "there: no such file"),
        ({"derive": {"file": "b.conllu"}}, "b.conllu: no such file"),
    ],
)
def test_what_could_not_be_made_is_said_before_anything_runs(folder, content, sentence) -> None:
    recipe = parse(Recipe, {"bitext": [BITEXT]} | content, "r.yaml")
    with pytest.raises(ConfigError) as error:
        check_variants(recipe, folder)
    assert sentence in str(error.value)
