"""What a run trained is what is evaluated: pooling, language embeddings, positions."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.collate import Collation, collate
from bitextile.trainer.data.examples import Example, join
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.masked_lm import _masking
from bitextile.trainer.evaluate.task import WITH, WITHOUT
from bitextile.trainer.evaluate.trained import default_pooling
from bitextile.trainer.evaluate.vectors import load_embedder, sentence_vectors, word_vectors
from bitextile.trainer.objectives.objective import records
from bitextile.trainer.train.pretrain import pretrain

TEXTS = ["the red dog sees a house", "كلب أحمر", "birds"]


@pytest.fixture
def run(config, tmp_path):
    """Trains a few steps of objectives, and returns the run's folder."""

    def train(*data, name: str = "run", **settings) -> str:
        pretrain(config(data=list(data), lr=5e-3, **settings), str(tmp_path / name))
        return str(tmp_path / name)

    return train


@pytest.fixture
def moco(datasets):
    return {"objective": "moco", "dataset": datasets["pairs"], "queue": 32, "projection": 8}


def states(run: str, text: str, language: str | None = None, layer: int = -1) -> np.ndarray:
    """Vectors of [CLS] text [SEP] by transformers; with the embedding of a language by hand."""
    model = AutoModelForMaskedLM.from_pretrained(run).eval().base_model
    tokenizer = AutoTokenizer.from_pretrained(run)
    inner = tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[tokenizer.cls_token_id, *inner, tokenizer.sep_token_id]])
    embedded = model.get_input_embeddings()(ids)
    if language is not None:
        with safe_open(f"{run}/languages.safetensors", framework="pt") as file:
            tags = json.loads(file.metadata()["languages"])
            embedded = embedded + file.get_tensor("language")[tags.index(language)]
    with torch.no_grad():
        found = model(inputs_embeds=embedded, output_hidden_states=True).hidden_states[layer][0]
    return found.numpy()


def projected(run: str, vector: np.ndarray) -> np.ndarray:
    """The two layers that moco compares by, from the checkpoint's own file."""
    (checkpoint,) = sorted(Path(run, "checkpoints").iterdir())[-1:]
    own = load_file(checkpoint / "objectives.safetensors")
    w = {name: tensor.numpy() for name, tensor in own.items()}
    hidden = np.maximum(w["0.project.0.weight"] @ vector + w["0.project.0.bias"], 0)
    return w["0.project.2.weight"] @ hidden + w["0.project.2.bias"]


def test_poolings_equal_those_of_transformers(run, moco):
    folder = run(moco)
    for pooling, expected in {
        "mean": lambda text: states(folder, text, layer=1)[1:-1].mean(0),
        "cls": lambda text: states(folder, text)[0],
        "projection": lambda text: projected(folder, states(folder, text)[0]),
    }.items():
        embedder = load_embedder(folder, pooling=pooling)
        assert embedder.layer == (1 if pooling == "mean" else 2)
        for vector, text in zip(sentence_vectors(embedder, TEXTS), TEXTS):
            assert np.allclose(vector, expected(text), atol=1e-5)
    layer = load_embedder(folder, pooling="cls", layer=1)
    assert np.allclose(sentence_vectors(layer, TEXTS[:1])[0], states(folder, TEXTS[0], layer=1)[0])
    with pytest.raises(ConfigError, match="layer is 1, but the projection was trained on layer 2"):
        load_embedder(folder, pooling="projection", layer=1)


def test_a_prefix_is_text_before_the_sentence(model):
    plain = sentence_vectors(load_embedder(model), [f"query: {text}" for text in TEXTS])
    prefixed = sentence_vectors(load_embedder(model, prefix="query: "), TEXTS)
    assert np.array_equal(plain, prefixed)


def test_words_are_found_behind_a_prefix(model, tmp_path):
    gold = {"src_lang": "en", "tgt_lang": "ar", "src": "red dog", "tgt": "كلب أحمر"}
    gold |= {"src_spans": [[0, 3], [4, 7]], "tgt_spans": [[0, 3], [4, 8]], "sure": [[0, 1]]}
    (tmp_path / "g.jsonl").write_text(json.dumps(gold) + "\n")
    report = evaluate(
        model, task="alignment", data=[str(tmp_path / "g.jsonl")], prefix="query: ", layer=2
    )
    assert (report["prefix"], report["layer"]) == ("query: ", 2)
    found = states(model, "query: red dog")
    pieces = AutoTokenizer.from_pretrained(model)(
        "query: red dog", return_offsets_mapping=True, add_special_tokens=False
    )["offset_mapping"]
    own = [1 + k for k, (start, end) in enumerate(pieces) if start < 10 and end > 7]
    embedder = load_embedder(model, prefix="query: ", layer=2)
    vectors = word_vectors(embedder, ["red dog"], [((0, 3), (4, 7))])[0]
    assert np.allclose(vectors[0], found[own].mean(0), atol=1e-5)


def test_the_default_is_what_the_run_trained_and_the_report_says_it(run, moco, model, datasets):
    folder, pairs = run(moco), [datasets["pairs"]]
    report = evaluate(folder, task="retrieval", data=pairs)
    assert (report["pooling"], report["layer"], report["prefix"]) == ("projection", 2, "")
    same = evaluate(folder, task="retrieval", data=pairs, pooling="projection")
    assert same["results"] == report["results"]
    (checkpoint,) = sorted(Path(folder, "checkpoints").iterdir())[-1:]
    again = evaluate(str(checkpoint), task="retrieval", data=pairs)
    assert (again["pooling"], again["results"]) == ("projection", report["results"])
    layer = evaluate(folder, task="retrieval", data=pairs, layer=1)
    assert (layer["pooling"], layer["layer"]) == ("mean", 1)
    plain = evaluate(model, task="retrieval", data=pairs)
    assert (plain["pooling"], plain["layer"]) == ("mean", 1)
    with pytest.raises(ConfigError, match=r"has no projection\.safetensors.*--pooling cls or mean"):
        evaluate(model, task="retrieval", data=pairs, pooling="projection")
    with pytest.raises(ConfigError, match="pooling is 'max', expected one of mean, cls, projecti"):
        evaluate(model, task="retrieval", data=pairs, pooling="max")
    # A run from before projections were written: what they were made of is there.
    Path(folder, "projection.safetensors").unlink()
    assert evaluate(folder, task="retrieval", data=pairs)["pooling"] == "cls"


def test_of_two_projections_none_is_the_default(run, moco):
    folder = run(moco, moco | {"tlm": False}, name="two")
    assert default_pooling(folder) == "cls"
    with pytest.raises(ConfigError, match="has 2 projections"):
        load_embedder(folder, pooling="projection")


@pytest.fixture
def spoken(run, moco, datasets):
    """A run with language embeddings, made larger than a few steps make them."""
    tlm = {"objective": "tlm", "dataset": datasets["pairs"]}
    folder = run(moco, tlm, language_embeddings=True)
    path = Path(folder, "languages.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata, table = file.metadata(), file.get_tensor("language")
    save_file({"language": table * 20}, path, metadata)
    return folder


def accuracy(src: np.ndarray, tgt: np.ndarray, texts: list[str]) -> float:
    hits = 0
    for i, query in enumerate(src):
        cos = [query @ c / np.linalg.norm(query) / np.linalg.norm(c) for c in tgt]
        hits += texts[int(np.argmax(cos))] == texts[i]
    return hits / len(src)


def test_retrieval_of_a_run_with_language_embeddings_is_measured_both_ways(
    spoken, datasets, tmp_path
):
    report = evaluate(spoken, task="retrieval", data=[datasets["pairs"]], split="all")
    assert report["language_embeddings"] == ["ar", "en"]
    rows = open_dataset(datasets["pairs"]).table().to_pylist()
    both = report["results"]["ar-en"]
    for way, tags in ((WITHOUT, (None, None)), (WITH, ("ar", "en"))):
        src = [projected(spoken, states(spoken, row["tgt"], tags[0])[0]) for row in rows]
        tgt = [projected(spoken, states(spoken, row["src"], tags[1])[0]) for row in rows]
        expected = accuracy(np.stack(src), np.stack(tgt), [row["src"] for row in rows])
        assert both[way]["src_to_tgt"]["value"] == expected
    # Of files nobody knows the language, unless it is named; a language that the run has not is
    # measured without alone.
    paths = [str(tmp_path / name) for name in ("ar.txt", "en.txt")]
    for path, side in zip(paths, ("tgt", "src")):
        Path(path).write_text("".join(f"{row[side]}\n" for row in rows), "utf-8")
    found = {
        tags: evaluate(spoken, task="retrieval", data=paths, languages=tags)["results"]["files"]
        for tags in ((), ("ara", "en"), ("sw", "en"))
    }
    assert found[("ara", "en")] == both
    assert found[()] == found[("sw", "en")] == {WITHOUT: both[WITHOUT]}


@pytest.mark.parametrize("task", ["perplexity", "conditional-perplexity"])
def test_perplexity_of_a_run_with_language_embeddings_is_measured_both_ways(task, spoken, datasets):
    report = evaluate(spoken, task=task, data=[datasets["pairs"]], split="all")
    assert report["language_embeddings"] == ["ar", "en"]
    both = report["results"]["pairs"]
    assert set(both) == {WITHOUT, WITH}
    # Without them it is what a folder that never had any gives.
    with safe_open(f"{spoken}/languages.safetensors", framework="pt") as file:
        language = file.get_tensor("language")
    Path(spoken, "languages.safetensors").unlink()
    plain = evaluate(spoken, task=task, data=[datasets["pairs"]], split="all")
    assert plain["results"]["pairs"] == both[WITHOUT]
    assert "language_embeddings" not in plain
    if task == "perplexity":
        for tag, row in (("ar", 0), ("en", 1)):
            value = _perplexity(spoken, datasets, tag, language[row])
            assert both[WITH][tag]["perplexity"]["value"] == pytest.approx(value, rel=1e-4)


def _perplexity(folder: str, datasets, tag: str, added: torch.Tensor) -> float:
    """Masked perplexity with one vector added to every token, one sentence at a time."""
    embedder = load_embedder(folder)
    tokenizer, mlm = embedder.tokenizer, embedder.encoder.mlm
    collation = Collation(masking=_masking(tokenizer), pad=tokenizer.pad, width=embedder.max_length)
    table = open_dataset(datasets["pairs"]).table()
    total, count = 0.0, 0
    texts = table["src" if tag == "en" else "tgt"].to_pylist()
    for text, record, key in zip(texts, *records(table)):
        one = join(tokenizer, tokenizer.encode([text])[0], languages=(tag,))
        batch = collate([Example(record, key, 0, (one,))], collation)
        shown = batch.packed.inputs[:, : len(one.tokens)]
        with torch.no_grad():
            embedded = mlm.get_input_embeddings()(shown) + added
            scores = mlm(inputs_embeds=embedded).logits[0].log_softmax(-1)
        for place, target in zip(batch.predicted.tolist(), batch.targets.tolist()):
            total, count = total - float(scores[place, target]), count + 1
    return math.exp(total / count)


def test_word_alignment_of_a_run_with_language_embeddings_is_measured_both_ways(spoken, tmp_path):
    gold = {"src_lang": "en", "tgt_lang": "ar", "src": "red dog", "tgt": "كلب أحمر"}
    gold |= {"src_spans": [[0, 3], [4, 7]], "tgt_spans": [[0, 3], [4, 8]], "sure": [[0, 1]]}
    other = gold | {"tgt_lang": "fa"}
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps(gold) + "\n" + json.dumps(other) + "\n")
    report = evaluate(spoken, task="alignment", data=[str(path)])
    both = report["results"]["g.jsonl"]
    assert (both[WITHOUT]["pairs"], both[WITHOUT]["missing"]) == (2, 0)
    # Persian has no embedding.
    assert (both[WITH]["pairs"], both[WITH]["missing"]) == (1, 1)
    assert report["language_embeddings"] == ["ar", "en"]


def test_positions_of_pairs_are_those_of_the_run(run, datasets):
    pairs = [datasets["pairs"]]
    tlm = {"objective": "tlm", "dataset": datasets["pairs"]}
    found = {}
    for reset in (False, True):
        folder = run(tlm | {"reset_positions": reset}, name=f"reset-{reset}", steps=12)
        ways = {
            how: evaluate(folder, task="conditional-perplexity", data=pairs, positions=how)
            for how in (None, "continued", "reset")
        }
        usual = "reset" if reset else "continued"
        assert ways[None]["positions"] == usual
        assert ways[None]["results"] == ways[usual]["results"]
        assert ways["reset"]["results"] != ways["continued"]["results"]
        found[reset] = json.loads(Path(folder, "bitextile.json").read_text())["datasets"][0]
    assert found[True]["options"] == {"reset_positions": True}
    assert "options" not in found[False]
