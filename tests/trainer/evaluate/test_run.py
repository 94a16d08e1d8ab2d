"""`evaluate` end to end on tiny models: vectors, perplexity, files, refusals."""

import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, InputError, OutputExistsError
from bitextile.trainer.data.collate import Collation, collate
from bitextile.trainer.data.examples import Example, join
from bitextile.trainer.evaluate.mlm import _masking
from bitextile.trainer.evaluate.run import _in_key_order, evaluate
from bitextile.trainer.evaluate.vectors import load_embedder, sentence_vectors, word_vectors
from bitextile.trainer.objectives.objective import records
from bitextile.trainer.train.pretrain import save_initial


@pytest.fixture
def model(config, tmp_path) -> str:
    path = str(tmp_path / "model")
    save_initial(config(), path)
    return path


def test_the_layer_is_two_thirds_up_by_default(model):
    assert load_embedder(model).layer == 1
    assert load_embedder(model, layer=2).layer == 2
    with pytest.raises(ConfigError, match="layers 0 to 2"):
        load_embedder(model, layer=3)


def test_vectors_are_means_of_subwords_whatever_they_are_batched_with(model):
    embedder = load_embedder(model)
    text, others = "the red dog", ["a", "birds sing under blue skies " * 3]
    vectors = sentence_vectors(embedder, [others[0], text, others[1]])
    alone = sentence_vectors(embedder, [text])
    assert np.allclose(vectors[1], alone[0], atol=1e-6)
    side = embedder.coder.sides([text])[0]
    ids = join(embedder.coder, side, languages=("en",)).tokens
    with torch.no_grad():
        states = embedder.encoder.mlm.base_model(
            input_ids=torch.tensor(ids[None].astype(int)), output_hidden_states=True
        ).hidden_states[embedder.layer][0]
    assert np.allclose(alone[0], states[1:-1].mean(0).numpy(), atol=1e-6)
    spans = ((0, 3), (4, 7), (8, 11))
    words = word_vectors(embedder, [text], [spans])[0]
    for vector, (start, end) in zip(words, spans):
        inside = [k for k, (s, e) in enumerate(side.offsets.tolist()) if s < end and e > start]
        want = states[1:-1][inside].mean(0).numpy()
        assert np.allclose(vector, want, atol=1e-6)


def test_texts_longer_than_the_model_are_cut(model):
    vectors = sentence_vectors(load_embedder(model), ["the red dog sees " * 100, ""])
    assert np.isfinite(vectors).all()
    assert not vectors[1].any()


def test_retrieval_of_a_dataset_and_of_files(model, datasets, tmp_path):
    report = evaluate(model, task="retrieval", data=[datasets["pairs"]])
    assert report["layer"] == 1
    result = report["results"]["ar-en"]
    rows = [r for r in open_dataset(datasets["pairs"]).table().to_pylist() if r["split"] == "test"]
    assert result["pairs"] == len(rows)
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text("".join(r["tgt"] + "\n" for r in rows), "utf-8")
    b.write_text("".join(r["src"] + "\n" for r in rows), "utf-8")
    files = evaluate(model, task="retrieval", data=[str(a), str(b)])["results"]["files"]
    assert files == result  # the key ar-en puts the Arabic side first, as the files do
    assert (
        evaluate(model, task="retrieval", data=[str(a), str(a)])["results"]["files"]["mean"][
            "value"
        ]
        == 1.0
    )


def test_a_pair_is_turned_to_the_order_of_its_key():
    row = {"src_lang": "en", "tgt_lang": "ar", "src": "dog", "tgt": "كلب"}
    other = {"src_lang": "ar", "tgt_lang": "en", "src": "بيت", "tgt": "house"}
    assert _in_key_order([row, other]) == (["كلب", "بيت"], ["dog", "house"])


def test_masked_perplexity_of_an_untrained_model_is_about_the_vocabulary(model, datasets):
    results = evaluate(model, task="mlm", data=[datasets["pairs"]], split="all")["results"]["pairs"]
    assert set(results) == {"en", "ar"}
    for result in results.values():
        assert result["perplexity"]["value"] == pytest.approx(150, rel=0.15)
        assert result["perplexity"]["low"] < result["perplexity"]["value"]
        assert result["sentences"] == open_dataset(datasets["pairs"]).manifest.rows


def test_masked_perplexity_equals_the_obvious_way(model, datasets):
    """One sentence at a time, through the whole transformers model."""
    embedder = load_embedder(model)
    coder, total, count = embedder.coder, 0.0, 0
    collation = Collation(masking=_masking(coder), pad=coder.pad, width=embedder.max_length)
    table = open_dataset(datasets["mono"]).table()
    for text, record, key in zip(table["text"].to_pylist(), *records(table)):
        one = join(coder, coder.sides([text])[0], languages=("en",))
        batch = collate([Example(record, key, 0, (one,))], collation)
        shown = batch.packed.inputs[:, : len(one.tokens)]
        with torch.no_grad():
            scores = embedder.encoder.mlm(input_ids=shown).logits[0].log_softmax(-1)
        for place, target in zip(batch.predicted.tolist(), batch.targets.tolist()):
            assert shown[0, place] == coder.mask
            total, count = total - float(scores[place, target]), count + 1
    report = evaluate(model, task="mlm", data=[datasets["mono"]], split="all")
    result = report["results"]["mono"]["en"]
    assert result["predictions"] == count
    assert result["perplexity"]["value"] == pytest.approx(math.exp(total / count), rel=1e-4)


def test_perplexity_given_the_translation_equals_the_obvious_way(model, datasets):
    """One pair at a time through the whole model; one side is masked, the other is whole."""
    embedder = load_embedder(model)
    coder, sums = embedder.coder, {"en": [0.0, 0], "ar": [0.0, 0]}
    collation = Collation(masking=_masking(coder), pad=coder.pad, width=embedder.max_length)
    table = open_dataset(datasets["pairs"]).table()
    sides = list(zip(*(coder.sides(table[c].to_pylist()) for c in ("src", "tgt"))))
    for pair, record, key in zip(sides, *records(table)):
        for masked, language in enumerate(("en", "ar")):
            both = join(coder, *pair, languages=("en", "ar"))
            one = replace(both, maskable=both.maskable & (both.sides == masked))
            batch = collate([Example(record, key, 0, (one,))], collation)
            shown = batch.packed.inputs[:, : len(one.tokens)]
            assert (
                shown[0].numpy()[both.sides != masked] == both.tokens[both.sides != masked]
            ).all()
            with torch.no_grad():
                scores = embedder.encoder.mlm(input_ids=shown).logits[0].log_softmax(-1)
            for place, target in zip(batch.predicted.tolist(), batch.targets.tolist()):
                sums[language][0] -= float(scores[place, target])
                sums[language][1] += 1
    report = evaluate(model, task="tlm", data=[datasets["pairs"]], split="all")
    for language, (total, count) in sums.items():
        result = report["results"]["pairs"][language]
        assert result["predictions"] == count
        assert result["perplexity"]["value"] == pytest.approx(math.exp(total / count), rel=1e-4)


def test_alignment_by_vectors(model, datasets, tmp_path):
    row = open_dataset(datasets["aligned"]).table().slice(0, 1).to_pylist()[0]
    words = [[w["start"], w["end"]] for w in row["src_spans"]]
    same = {"src_lang": "en", "tgt_lang": "en", "src": row["src"], "tgt": row["src"]}
    distinct = {row["src"][s:e]: i for i, (s, e) in reversed(list(enumerate(words)))}
    same |= {"src_spans": words, "tgt_spans": words}
    same |= {"sure": [[i, i] for i in distinct.values()], "possible": []}
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(same) + "\n")
    report = evaluate(model, task="alignment", data=[str(path)])
    assert (report["links"], report["layer"]) == ("vectors", 1)
    assert report["results"]["gold.jsonl"]["recall"]["value"] == 1.0


def test_datasets_that_end_alike_are_told_apart(model, datasets, tmp_path, make_dataset):
    other = make_dataset(tmp_path / "other" / "mono", "mono", rows=30)
    paths = [datasets["mono"], other, datasets["pairs"]]
    report = evaluate(model, task="mlm", data=paths, split="all")
    assert list(report["results"]) == [datasets["mono"], other, "pairs"]


def test_the_report_is_written_once(model, datasets, tmp_path):
    out = tmp_path / "f.json"
    report = evaluate(model, task="retrieval", data=[datasets["pairs"]], out=str(out))
    assert json.loads(out.read_text()) == report
    with pytest.raises(OutputExistsError):
        evaluate(model, task="retrieval", data=[datasets["pairs"]], out=str(out))
    evaluate(model, task="retrieval", data=[datasets["pairs"]], out=str(out), overwrite=True)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"task": "nli"}, ConfigError, "task is 'nli', expected one of retrieval, alignment, mlm"),
        ({"split": "dev"}, ConfigError, "split is 'dev'"),
        ({"data": []}, ConfigError, "needs data"),
        ({"data": ["a", "b", "c"]}, ConfigError, "got 3 paths"),
        ({"data": ["a.txt", "b.txt"]}, InputError, r"a\.txt: no such file"),
        ({"key": "de-en"}, ConfigError, "has no key de-en; it has ar-en"),
        ({"model": "nowhere"}, ConfigError, "nowhere: no such"),
    ],
)
def test_mistakes_are_named(model, datasets, settings, error, message):
    arguments = {"model": model, "task": "retrieval", "data": [datasets["pairs"]]} | settings
    with pytest.raises(error, match=message):
        evaluate(arguments.pop("model"), **arguments)


def test_text_files_may_be_compressed(model, tmp_path):
    for name, text in (("a", "one\ntwo\n"), ("b", "eins\nzwei\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = (
        evaluate(model, task="retrieval", data=[str(tmp_path / f"{n}{end}") for n in "ab"])
        for end in ("", ".gz")
    )
    assert packed["results"] == plain["results"]


def test_different_line_counts_are_named(model, tmp_path):
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("one\n")
    with pytest.raises(InputError, match=r"b has 1 lines, .*a has 2; line n of one must translate"):
        evaluate(model, task="retrieval", data=[str(tmp_path / "a"), str(tmp_path / "b")])
