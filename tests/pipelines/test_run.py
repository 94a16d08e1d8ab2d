"""The whole chain: stages told as they begin, and --reuse keeps only what is the same."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bitextile.pipelines.cli.main import main
from bitextile.trainer.observe.metrics import Metrics

ENGLISH = ("the dog", "a cat", "my friend", "the child", "our teacher", "the old man")
GERMAN = ("der Hund", "eine Katze", "mein Freund", "das Kind", "unser Lehrer", "der alte Mann")
VERBS = (("sleeps", "schläft"), ("sings", "singt"), ("waits", "wartet"), ("laughs", "lacht"))
PLACES = (("here", "hier"), ("today", "heute"), ("at home", "zu Hause"), ("outside", "draußen"))
STAGES = [
    "ingest",
    "align",
    "lexicon",
    "exchange",
    "codeswitch",
    "tokenizer",
    "pretrain",
    "evaluate",
    "report",
]


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[int], str]:
    """Returns what writes a recipe for a vocabulary of a given size, and gives its path."""
    rows = [
        f"{who} {does} {where}\t{wer} {tut} {wo}\n"
        for who, wer in zip(ENGLISH, GERMAN, strict=True)
        for does, tut in VERBS
        for where, wo in PLACES
    ]
    (tmp_path / "toy.tsv").write_text("".join(rows), encoding="utf-8")
    body = {
        "bitext": [{"corpus": "toy", "languages": ["en", "de"], "files": ["toy.tsv"]}],
        "splits": {"valid": 0.1, "test": 0.2},
        "pretrain": {
            "steps": 3,
            "warmup_steps": 1,
            "batch_tokens": 128,
            "model": {
                "config": {
                    "model_type": "bert",
                    "hidden_size": 16,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "intermediate_size": 32,
                }
            },
        },
    }

    def write(vocab_size: int) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(body | {"tokenizer": {"vocab_size": vocab_size}}))
        return str(path)

    return write


def test_a_chain_interrupted_in_training_goes_on_and_keeps_no_other_tokenizer(
    recipe, tmp_path, monkeypatch, capsys
) -> None:
    out = tmp_path / "out"

    def run(vocab_size: int, *options: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["run", recipe(vocab_size), "--out", str(out), *options])
        return int(ended.value.code or 0), capsys.readouterr().err

    write = Metrics.write

    def write_and_be_stopped(self, values) -> None:
        write(self, values)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", write_and_be_stopped)
        code, told = run(310)
    assert code == 143, told
    assert "[pretrain]" in told
    assert "[evaluate]" not in told
    assert f"{out}/model: interrupted after 1 of 3 steps, which are kept; the same call" in told

    code, told = run(311, "--reuse")
    assert code == 2, told
    assert f"{out}/tokenizer was made from other inputs or with other options" in told

    code, told = run(310, "--reuse")
    assert code == 0, told
    assert [line for line in told.splitlines() if line.strip("[]") in STAGES] == [
        f"[{stage}]" for stage in STAGES
    ]
    assert (out / "report.html").is_file()


def test_a_recipe_trains_by_any_mixture_on_its_own_datasets(recipe, tmp_path, capsys) -> None:
    path = Path(recipe(310))
    body = yaml.safe_load(path.read_text())
    names = ("mlm", "tlm", "weam", "camlm", "align_mlm")
    objectives = dict.fromkeys(names, 1) | {"moco": {"weight": 2, "queue": 16}}
    body["pretrain"] |= {"objectives": objectives, "grad_accumulation": 16, "steps": 1}
    path.write_text(yaml.safe_dump(body))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(path), "--out", str(tmp_path / "out")])
    assert ended.value.code in (0, None), capsys.readouterr().err
    step = json.loads((tmp_path / "out/model/metrics.jsonl").read_text().splitlines()[0])
    assert {name.split("/")[0] for name in step["losses"]} == objectives.keys()
