"""An encoder without a trained head: seeded where it is trained, refused where it is to predict."""

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.generate.camlm import camlm_engine
from bitextile.trainer.generate.candidates import candidates_engine
from bitextile.trainer.generate.checkpoint import load_checkpoint
from bitextile.trainer.generate.config import CamlmConfig, CandidatesConfig
from bitextile.trainer.model.build import load_masked_lm
from bitextile.trainer.train.pretrain import pretrain, save_initial

SIZE = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
GEOMETRIES = {
    "bert": {"intermediate_size": 48},
    "xlm-roberta": {"intermediate_size": 48},
    "modernbert": {"intermediate_size": 48},
}
LACK = "has no trained head of masked language modelling"


@pytest.fixture
def bare(config, tokenizer: Tokenizer, tmp_path):
    """Writes an encoder without its head, as AutoModel saves it."""

    def write(model_type: str, name: str = "bare") -> str:
        whole, folder = tmp_path / f"{name}-whole", tmp_path / name
        geometry = SIZE | {"model_type": model_type} | GEOMETRIES[model_type]
        save_initial(config(model={"config": geometry}), str(whole))
        AutoModel.from_pretrained(whole).save_pretrained(folder)
        tokenizer.pretrained.save_pretrained(folder)
        return str(folder)

    return write


def head(folder: Path) -> dict[str, torch.Tensor]:
    weights = load_file(folder / "model.safetensors")
    return {n: t for n, t in weights.items() if n.startswith(("cls.", "lm_head.", "head."))}


@pytest.mark.parametrize("model_type", GEOMETRIES)
def test_a_missing_head_follows_the_seed_and_nothing_else(
    bare, config, tmp_path, model_type, caplog, capfd
):
    model = {"checkpoint": bare(model_type)}
    # The fixture has transformers write, which says what it leaves out.
    capfd.readouterr()
    caplog.clear()
    heads = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        torch.rand(7)  # whatever the caller's generator stands at
        save_initial(config(model=model, seed=seed), str(tmp_path / name))
        heads[name] = head(tmp_path / name)
    assert capfd.readouterr().err == ""
    assert all(torch.equal(heads["one"][n], heads["again"][n]) for n in heads["one"])
    fresh = [n for n, t in heads["one"].items() if t.dim() == 2 and "decoder" not in n]
    assert fresh
    assert not any(torch.equal(heads["one"][n], heads["other"][n]) for n in fresh)
    with caplog.at_level(logging.WARNING):
        pretrain(config(model=model, seed=1, steps=2), str(tmp_path / "a"))
        pretrain(config(model=model, seed=1, steps=2), str(tmp_path / "b"))
    # One sentence for each run, in place of a table of transformers.
    assert [r.getMessage().split("; ")[1] for r in caplog.records] == [
        "it starts from fresh weights, drawn from seed 1"
    ] * 2
    assert "LOAD REPORT" not in capfd.readouterr().err
    a, b = (load_file(tmp_path / run / "model.safetensors") for run in "ab")
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert "head" not in json.loads((tmp_path / "a" / "bitextile.json").read_text())


def refused_everywhere(folder: str, datasets) -> None:
    for task, kind in (("perplexity", "mono"), ("conditional-perplexity", "pairs")):
        with pytest.raises(ConfigError, match=LACK):
            evaluate(folder, task=task, data=[datasets[kind]], split="all")
    with pytest.raises(ConfigError, match=LACK):
        candidates_engine(
            folder,
            digest="sha256:0",
            sources=["en"],
            vocabulary_data=[datasets["pairs"]],
            config=CandidatesConfig(languages=("ar",)),
        )
    with pytest.raises(ConfigError, match=LACK):
        load_checkpoint(folder)


@pytest.mark.parametrize("model_type", GEOMETRIES)
def test_a_missing_head_predicts_nothing_and_is_not_missed_where_vectors_are_asked(
    bare, datasets, model_type, capfd
):
    folder = bare(model_type)
    capfd.readouterr()
    refused_everywhere(folder, datasets)
    evaluate(folder, task="bli", data=[datasets["lexicon"]])
    assert capfd.readouterr().err == ""


def test_a_head_that_no_objective_has_trained_predicts_nothing(config, datasets, tmp_path):
    moco = {"objective": "moco", "dataset": datasets["pairs"], "queue": 8, "projection": 4}
    for name, data, trained in (
        ("alone", [moco | {"tlm": False}], False),
        ("tlm", [moco], True),
        ("mlm", [moco | {"tlm": False}, {"objective": "mlm", "dataset": datasets["mono"]}], True),
    ):
        run = tmp_path / name
        pretrain(config(data=data, steps=4, checkpoint_every=2), str(run))
        noted = json.loads((run / "bitextile.json").read_text())
        assert ("head" in noted) != trained
        if trained:
            evaluate(str(run), task="perplexity", data=[datasets["mono"]], split="all")
        else:
            refused_everywhere(str(run), datasets)
    # Resumed, it has learned no more of words; with words, its next run has.
    alone = tmp_path / "alone"
    pretrain(
        config(data=[moco | {"tlm": False}], steps=6, checkpoint_every=2), str(alone), resume=True
    )
    refused_everywhere(str(alone), datasets)
    follows = {"model": {"checkpoint": str(alone)}, "steps": 2}
    pretrain(config(**follows), str(tmp_path / "next"))
    load_checkpoint(str(tmp_path / "next"))
    pretrain(config(**follows, data=[moco | {"tlm": False}]), str(tmp_path / "still"))
    refused_everywhere(str(tmp_path / "still"), datasets)


def test_weights_that_a_run_starts_from_can_be_measured(config, datasets, tmp_path):
    folder = str(tmp_path / "initial")
    save_initial(config(), folder)
    evaluate(folder, task="perplexity", data=[datasets["mono"]], split="all")
    with pytest.raises(ConfigError, match=LACK):
        load_checkpoint(folder)


def test_a_camlm_model_that_has_lost_its_head_writes_nothing(config, datasets, tmp_path):
    run = tmp_path / "run"
    camlm = {"objective": "camlm", "dataset": datasets["pairs"]}
    pretrain(config(data=[camlm], steps=2, language_embeddings=True), str(run))
    weights = load_file(run / "model.safetensors")
    kept = {n: t for n, t in weights.items() if not n.startswith("lm_head")}
    save_file(kept, run / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match=LACK):
        camlm_engine(str(run), digest="", directions=[("en", "ar")], pairs=[], config=CamlmConfig())


def test_a_body_that_is_not_whole_or_of_another_size_is_refused(
    config, tokenizer, tmp_path, caplog
):
    folder = tmp_path / "model"
    save_initial(config(), str(folder))
    file, settings = folder / "model.safetensors", folder / "config.json"
    weights, geometry = load_file(file), json.loads(settings.read_text())
    name = "roberta.encoder.layer.1.output.dense.weight"
    save_file({n: t for n, t in weights.items() if n != name}, file, {"format": "pt"})
    with pytest.raises(ConfigError, match=f"its weights lack {name}; is it the whole model"):
        load_masked_lm(str(folder))
    save_file(weights, file, {"format": "pt"})
    settings.write_text(json.dumps(geometry | {"intermediate_size": 80}))
    with pytest.raises(ConfigError, match=r"are \d+.*, expected 80.* by config.json"):
        load_masked_lm(str(folder))
    settings.write_text(json.dumps(geometry | {"num_hidden_layers": 1}))
    with caplog.at_level(logging.WARNING):
        load_masked_lm(str(folder))
    (record,) = caplog.records
    assert "16 of its weights have no place in the model" in record.getMessage()
