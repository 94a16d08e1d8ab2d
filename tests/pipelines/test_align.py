"""The align command's engines: configurations, refusals, what the manifest tells, workers."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from bitextile.kernels.align.eflomal.config import EflomalConfig
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.recipe.recipe import Recipe, parse
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import ConfigError, OutputExistsError
from fake_eflomal import install

TEXTS = [
    ("a small dog runs .", "我 狗 。"),
    ("two men see a house .", "两 人 房子 。"),
    ("the house is small .", "房子 小 。"),
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pairs")
    lines = "".join(f"{src}\t{tgt}\n" for src, tgt in TEXTS)
    (folder / "text.tsv").write_text(lines, encoding="utf-8")
    corpus = {"corpus": "c", "languages": ["en", "zh"], "files": ["text.tsv"]}
    (folder / "recipe.yaml").write_text(json.dumps({"bitext": [corpus]}))
    made = ingest(str(folder / "recipe.yaml"), str(folder), options=RunOptions())
    return made[0].dataset.path


@pytest.fixture
def eflomal(tmp_path: Path) -> str:
    return install(tmp_path / "programs")


@pytest.fixture
def encoder(tmp_path: Path) -> Callable[[int], str]:
    def make(seed: int) -> str:
        folder = str(tmp_path / "encoder")
        tokenizer = BertWordPieceTokenizer(lowercase=False)
        texts = [text for pair in TEXTS for text in pair]
        tokenizer.train_from_iterator(texts, vocab_size=200, show_progress=False)
        BertTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder)
        torch.manual_seed(seed)
        shape = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
        BertModel(BertConfig(vocab_size=200, num_hidden_layers=2, **shape)).save_pretrained(folder)
        return folder

    return make


def test_an_encoder_aligns_and_stands_in_the_manifest(pairs, encoder, tmp_path) -> None:
    config = SimalignConfig(encoder=encoder(0), prefix="query: ", segmenter="characters")
    out = str(tmp_path / "aligned")
    made = align(pairs, out, config=config, options=RunOptions())
    manifest = verify_dataset(out).manifest
    assert manifest.config["encoder"] == config.encoder
    assert manifest.config["aligner"] == "simalign"
    assert (manifest.config["layer"], manifest.config["prefix"]) == (1, "query: ")
    assert [entry["path"] for entry in manifest.inputs] == [pairs, config.encoder]
    assert manifest.inputs[1]["digest"].startswith("sha256:")
    assert not (Path(out) / "models").exists()
    assert all(row["links"] for row in made.dataset.table(columns=["links"]).to_pylist())
    again = align(pairs, out, config=config, options=RunOptions(reuse=True))
    assert again.reused
    encoder(1)  # other weights in the same folder
    with pytest.raises(OutputExistsError, match="other inputs"):
        align(pairs, out, config=config, options=RunOptions(reuse=True))


@pytest.mark.slow
def test_two_workers_give_the_digest_of_one_by_encoder(encoder, tmp_path) -> None:
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        made = ingest(str(folder / "recipe.yaml"), str(tmp_path), options=RunOptions(workers=1))
    arguments = ["align", made[0].dataset.path, "--aligner", "simalign", "--encoder", encoder(0)]
    digests = []
    for workers in ("1", "2"):
        out = str(tmp_path / f"aligned-{workers}")
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--layer", "1", "--out", out, "--workers", workers])
        assert ended.value.code == 0
        manifest = verify_dataset(out).manifest
        assert manifest.rows == made[0].dataset.manifest.rows
        digests.append(manifest.digest)
    assert digests[0] == digests[1]
    rows = open_dataset(out).table(columns=["links"])["links"]
    assert sum(map(len, rows.to_pylist())) > manifest.rows


def test_eflomal_makes_priors_once_and_the_manifest_says_what_it_cannot_promise(
    pairs, eflomal, tmp_path, capsys
) -> None:
    out = str(tmp_path / "aligned")
    arguments = ["align", pairs, "--out", out, "--aligner", "eflomal", "--eflomal-bin", eflomal]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--segmenter", "characters", "--symmetrize", "intersect"])
    assert (ended.value.code, capsys.readouterr().out) == (0, "")
    dataset = verify_dataset(out)
    assert dataset.manifest.config["aligner"] == "eflomal"
    assert dataset.manifest.config["reproducible"] is False
    model = json.loads((Path(out) / "models/en-zh/model.json").read_text())
    assert model["statistics"]["pairs"] == len(TEXTS)
    rows = dataset.table(columns=["links", "src_spans", "tgt_spans"]).to_pylist()
    assert all(row["links"] for row in rows)
    assert {x["score"] for row in rows for x in row["links"]} == {1}


def test_known_translations_are_an_input_that_counts(pairs, tmp_path) -> None:
    lexicon = tmp_path / "en-zh.txt"
    lexicon.write_text("\u72d7 dog\n\u623f house\n", encoding="utf-8")

    def digest(name: str, **fields) -> tuple[str, list[dict[str, str]], dict[str, object]]:
        out = str(tmp_path / name)
        config = HmmConfig(segmenter="characters", **fields)
        manifest = align(pairs, out, config=config, options=RunOptions()).dataset.manifest
        model = json.loads((tmp_path / name / "models/en-zh/model.json").read_text())
        return manifest.digest, manifest.inputs, model["statistics"]

    plain, _, _ = digest("plain")
    known, inputs, statistics = digest("known", lexicons=(f"zh,en={lexicon}",))
    assert known != plain
    assert [entry["path"] for entry in inputs] == [pairs, str(lexicon)]
    assert statistics["lexicon"]["used"] == 2


def test_eflomal_that_is_not_there_is_a_wrong_call(pairs, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["align", pairs, "--out", str(tmp_path / "out"), "--aligner", "eflomal"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "eflomal-align is not in the folders of PATH" in told
    assert "pip install eflomal" in told
    assert not (tmp_path / "out").exists()


def test_a_recipe_chooses_the_engine() -> None:
    assert parse(Recipe, {}, "r").align == HmmConfig()
    assert parse(Recipe, {"align": {"symmetrize": "union"}}, "r").align == HmmConfig(
        symmetrize="union"
    )
    chosen = {"aligner": "simalign", "encoder": "models/bert", "matching": "itermax", "layer": 6}
    config = parse(Recipe, {"align": chosen}, "r").align
    assert config == SimalignConfig(encoder="models/bert", matching="itermax", layer=6)
    assert config.resolve_paths(Path("/recipes")).encoder == "/recipes/models/bert"
    assert HmmConfig().resolve_paths(Path("/recipes")) == HmmConfig()
    known = parse(Recipe, {"align": {"lexicons": ["en,de=d.txt"]}}, "r").align
    assert known.resolve_paths(Path("/recipes")).lexicons == ("en,de=/recipes/d.txt",)
    other = parse(Recipe, {"align": {"aligner": "eflomal", "bin_dir": "e/bin"}}, "r").align
    assert other == EflomalConfig(bin_dir="e/bin")
    assert other.resolve_paths(Path("/recipes")).bin_dir == "/recipes/e/bin"
    assert EflomalConfig().resolve_paths(Path("/recipes")) == EflomalConfig()


@pytest.mark.parametrize(
    "content",
    [
        {"aligner": "giza"},
        {"aligner": "simalign"},
        {"aligner": "simalign", "encoder": "e", "symmetrize": "union"},
        {"aligner": "simalign", "encoder": "e", "matching": "best"},
        {"aligner": "simalign", "encoder": "e", "distortion": 2.0},
        {"aligner": "simalign", "encoder": "e", "matching": "softmax", "distortion": 0.5},
        {"aligner": "simalign", "encoder": "e", "threshold": 0.5},
        {"aligner": "eflomal", "symmetrize": "posterior"},
        {"aligner": "eflomal", "model": 4},
        {"aligner": "eflomal", "length": 0.0},
        {"symmetrize": "best"},
        {"threshold": 1.5},
        {"lexicons": ["en-de.txt"]},
        {"lexicons": ["en,de=a.txt", "de,en=b.txt"]},
        {"encoder": "e"},
        "simalign",
    ],
)
def test_a_recipe_with_a_wrong_engine_is_refused(content: object) -> None:
    with pytest.raises(ConfigError, match="align"):
        parse(Recipe, {"align": content}, "r")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--aligner", "giza"], "'giza' is not one of 'hmm', 'eflomal', 'simalign'"),
        (
            ["--aligner", "eflomal", "--threshold", "0.5"],
            "--threshold is not an option of",
        ),
        (["--lexicon", "en,de=x"], "a lexicon of de-en, but"),
        (["--lexicon", "x"], "expected SRC,TGT=PATH"),
        (["--eflomal-bin", "e"], "--eflomal-bin is not an option of --aligner hmm"),
        (["--symmetrize", "best"], "'best' is not one of 'intersect', 'union'"),
        (["--threshold", "1"], "threshold is 1.0"),
        (["--aligner", "simalign", "--encoder", "e", "--threshold", "0.5"], "for softmax"),
        (["--aligner", "simalign"], "needs --encoder"),
        (["--aligner", "simalign", "--encoder", "e", "--seed", "1"], "--seed is not an option"),
        (["--token-type", "word"], "--token-type is not an option of --aligner hmm"),
        (
            ["--aligner", "simalign", "--encoder", "e", "--matching", "x"],
            "'x' is not one of",
        ),
        (["--aligner", "simalign", "--encoder", "bert-base-cased"], "never by name from a hub"),
    ],
)
def test_the_command_refuses_in_a_sentence(pairs, tmp_path, capsys, arguments, sentence) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["align", pairs, "--out", str(tmp_path / "out"), *arguments])
    assert stopped.value.code == 2
    assert sentence in capsys.readouterr().err
