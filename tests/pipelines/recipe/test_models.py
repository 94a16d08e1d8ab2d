"""The circle in one recipe: a model writes pseudo translations, the next stage learns from them."""

import html
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from bitextile.kernels.model_digest import encoder_digest
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.recipe.recipe import load_recipe
from bitextile.pipelines.run import Summary, run
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import BitextileError
from bitextile.trainer.observe.metrics import Metrics

WHO = (("the dog", "der Hund"), ("a cat", "eine Katze"), ("my friend", "mein Freund"))
DOES = (("sleeps", "schläft"), ("sings", "singt"), ("waits", "wartet"), ("laughs", "lacht"))
WHERE = (("here", "hier"), ("today", "heute"), ("at home", "zu Hause"), ("outside", "draußen"))
TINY = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
# What three steps have taught stutters, so the translation filter, which has tests of its own,
# must keep it.
LET = {"max_repetition": 1, "max_copied_source": 1, "max_length_ratio": 100}
BODY = {
    "bitext": [{"corpus": "toy", "languages": ["en", "de"], "files": ["toy.tsv"]}],
    "mono": [{"corpus": "m", "language": "de", "files": ["mono.txt"]}],
    "splits": {"valid": 0.1, "test": 0.3},
    "tokenizer": {"vocab_size": 310},
    "pretrain": [
        {
            "steps": 4,
            "lr": 0.01,
            "warmup_steps": 1,
            "batch_tokens": 128,
            "model": {"config": TINY},
            "language_embeddings": True,
            "objectives": {"mlm": 1, "camlm": 1},
        },
        # So small a rate leaves the weights where they began.
        {"steps": 3, "lr": 1.0e-9, "objectives": {"camlm": 1, "btmlm": 3}},
    ],
    "backtranslate": {"to": "en", "top_k": 20, "translation_filter": LET},
    "candidates": {"languages": ["en"], "min_probability": 0, "min_cosine": -1, "min_count": 1},
    "codeswitch": [{}, {"method": "candidates", "token_rate": 1.0}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Returns a folder with a recipe and its texts, of a few dozen pairs."""
    folder = tmp_path_factory.mktemp("round")
    sentences = [
        (f"{who} {does} {where}", f"{wer} {tut} {wo}")
        for who, wer in WHO
        for does, tut in DOES
        for where, wo in WHERE
    ]
    (folder / "toy.tsv").write_text("".join(f"{en}\t{de}\n" for en, de in sentences))
    (folder / "mono.txt").write_text("".join(f"{de} & <i>singt</i>\n" for _, de in sentences))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(BODY))
    return folder


@pytest.fixture(scope="module")
def going(folder: Path) -> Callable[..., tuple[Summary, list[str]]]:
    """Runs the recipe, to a stage if one is named; tells which stages began."""

    def go(*, until: str = "", reuse: bool = True) -> tuple[Summary, list[str]]:
        told = []

        def tell(news: object) -> None:
            told.extend([news] if isinstance(news, str) else [])
            if news == until:
                raise KeyboardInterrupt

        options = RunOptions(workers=1, reuse=reuse)
        recipe = load_recipe(str(folder / "recipe.yaml"))
        return run(recipe, folder, str(folder / "out"), options=options, progress=tell), told

    return go


@pytest.fixture(scope="module")
def made(folder, going) -> tuple[Path, Summary]:
    """A run that was interrupted between its stages and went on."""
    with pytest.raises(KeyboardInterrupt):
        going(until="backtranslate", reuse=False)
    out = folder / "out"
    assert not (out / "pseudo").exists()
    first = encoder_digest(str(out / "model"))
    summary, told = going()
    assert encoder_digest(str(out / "model")) == first
    learned = ["pretrain", "backtranslate", "pretrain, stage 2", "candidates"]
    assert told[told.index("pretrain") :] == [*learned, "evaluate", "report"]
    return out, summary


def test_the_first_stage_writes_and_the_second_learns_from_it(made) -> None:
    out, _ = made
    pseudo = verify_dataset(str(out / "pseudo"))
    first = encoder_digest(str(out / "model"))
    rows = pseudo.table().to_pylist()
    assert len(rows) > 20
    assert {row["generator"] for row in rows} == {f"camlm {first}"}
    assert first in [entry["digest"] for entry in pseudo.manifest.inputs]

    settings = yaml.safe_load((out / "model-2/run.yaml").read_text())
    assert settings["model"]["checkpoint"] == str(out / "model")
    identity = json.loads((out / "model-2/bitextile.json").read_text())
    assert {d["objective"]: d["digest"] for d in identity["datasets"]}["btmlm"] == (
        pseudo.manifest.digest
    )
    metrics = (out / "model-2/metrics.jsonl").read_text().splitlines()
    assert any("btmlm" in json.loads(line)["losses"] for line in metrics)


@pytest.mark.parametrize("file", ["model.safetensors", "languages.safetensors"])
def test_the_second_stage_begins_where_the_first_ended(made, file) -> None:
    out, _ = made
    first, second = (load_file(out / name / file) for name in ("model", "model-2"))
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    if file == "model.safetensors":
        initial = load_file(out / "initial" / file)
        assert any(not torch.allclose(initial[n], first[n], atol=1e-3) for n in first)


def test_candidates_are_those_of_the_last_model(made) -> None:
    out, _ = made
    last = encoder_digest(str(out / "model-2"))
    candidates = open_dataset(str(out / "candidates")).manifest
    assert last in [entry["digest"] for entry in candidates.inputs]
    switched = open_dataset(str(out / "codeswitch-candidates")).manifest
    assert [entry["digest"] for entry in switched.inputs] == [candidates.digest]
    assert switched.rows > 0


def test_every_model_is_measured(made) -> None:
    out, summary = made
    figures = json.loads((out / "evaluation.json").read_text())
    assert figures == list(summary.evaluations)
    assert any(figure["name"].startswith("masked perplexity") for figure in figures)
    for figure in figures:
        (between,) = figure["between"]
        assert between != figure["before"] or "retrieval" in figure["name"]
        assert between == pytest.approx(figure["after"], rel=1e-3)


def test_the_page_shows_pseudo_pairs_as_text_with_score_and_generator(made) -> None:
    out, summary = made
    page = Path(summary.report).read_text(encoding="utf-8")
    assert "<i>singt" not in page
    begin = page.index('<h2>pseudo <span class="kind">pseudo</span>')
    section = page[begin : page.index("</section>", begin)]
    generator = encoder_digest(str(out / "model")).removeprefix("sha256:")[:12]
    shown = [r for r in open_dataset(str(out / "pseudo")).table().to_pylist() if _on(section, r)]
    assert len(shown) == section.count('<article class="example">') == 8
    assert section.count(f"by camlm {generator}") == 8
    assert section.count("log probability −") == 8
    assert "<b>de → en</b>" in section
    assert "dashed line is where stage 2 begins" in page
    assert '<th scope="col" class="r">Stage 1</th>' in page


def _on(section: str, row: dict) -> bool:
    source, target = (html.escape(row[side], quote=False) for side in ("src", "tgt"))
    return f">{source}</p>" in section and html.unescape(target) in html.unescape(section)


def test_all_is_reused(made, going, folder) -> None:
    out, _ = made
    files = [out / m / "model.safetensors" for m in ("model", "model-2")]
    before = [(encoder_digest(str(f.parent)), f.stat().st_mtime_ns) for f in files]
    summary, _ = going()
    assert all(finished.reused for finished in summary.datasets)
    assert {finished.dataset.path.rsplit("/", 1)[1] for finished in summary.datasets} >= {
        *("pseudo", "candidates", "codeswitch-candidates")
    }
    assert [(encoder_digest(str(f.parent)), f.stat().st_mtime_ns) for f in files] == before


def test_all_is_reused_where_the_folder_was_moved(made, folder) -> None:
    # `pseudo` and `candidates` name the run's own models by path; their digests are the same.
    out, _ = made
    moved = folder / "elsewhere" / "moved"
    moved.parent.mkdir()
    out.rename(moved)
    try:
        summary = run(
            load_recipe(str(folder / "recipe.yaml")),
            folder,
            str(moved),
            options=RunOptions(workers=1, reuse=True),
            progress=lambda _: None,
        )
    finally:
        moved.rename(out)
    assert all(finished.reused for finished in summary.datasets)
    assert {"pseudo", "candidates"} <= {Path(f.dataset.path).name for f in summary.datasets}


def test_a_second_stage_that_is_interrupted_goes_on(made, folder, monkeypatch, capsys) -> None:
    # Longer than before: what the model supplies is no longer the same, and is replaced.
    body = yaml.safe_load((folder / "recipe.yaml").read_text())
    body["pretrain"][1]["steps"] = 5
    (folder / "longer.yaml").write_text(yaml.safe_dump(body))
    out, write = str(folder / "out"), Metrics.write
    arguments = ["run", str(folder / "longer.yaml"), "--out", out, "--reuse", "--overwrite"]

    def call() -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--workers", "1"])
        return int(ended.value.code or 0), capsys.readouterr().err

    def write_and_be_stopped(self, values) -> None:
        write(self, values)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", write_and_be_stopped)
        code, told = call()
    assert code == 143, told
    assert "model-2: interrupted after 4 of 5 steps, which are kept" in told
    code, told = call()
    assert code == 0, told
    assert len((folder / "out/model-2/metrics.jsonl").read_text().splitlines()) == 5


def test_a_filter_that_keeps_nothing_is_said(folder, tmp_path) -> None:
    body = yaml.safe_load((folder / "recipe.yaml").read_text())
    body["backtranslate"] = {
        "to": "en",
        "translation_filter": {"max_repetition": 0},
    }  # the commonest token, always
    body["codeswitch"], body["candidates"] = {}, None
    (folder / "strict.yaml").write_text(yaml.safe_dump(body))
    recipe = load_recipe(str(folder / "strict.yaml"))
    with pytest.raises(BitextileError, match="the filter kept no translation"):
        run(
            recipe,
            folder,
            str(tmp_path / "out"),
            options=RunOptions(workers=1),
            progress=lambda _: None,
        )
