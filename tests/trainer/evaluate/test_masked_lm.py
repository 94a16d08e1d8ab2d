"""Likelihoods of masked subwords against one sentence at a time through the whole model."""

import math
from dataclasses import replace

import pytest
import torch

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.data.collate import Collation, collate
from bitextile.trainer.data.examples import Example, join
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.masked_lm import _masking
from bitextile.trainer.evaluate.vectors import load_embedder
from bitextile.trainer.objectives.objective import records


def test_masked_perplexity_equals_the_obvious_way(model, datasets):
    """One sentence at a time, through the whole transformers model."""
    embedder = load_embedder(model)
    tokenizer, total, count = embedder.tokenizer, 0.0, 0
    collation = Collation(masking=_masking(tokenizer), pad=tokenizer.pad, width=embedder.max_length)
    table = open_dataset(datasets["mono"]).table()
    for text, record, key in zip(table["text"].to_pylist(), *records(table)):
        one = join(tokenizer, tokenizer.encode([text])[0], languages=("en",))
        batch = collate([Example(record, key, 0, (one,))], collation)
        shown = batch.packed.inputs[:, : len(one.tokens)]
        with torch.no_grad():
            scores = embedder.encoder.mlm(input_ids=shown).logits[0].log_softmax(-1)
        for place, target in zip(batch.predicted.tolist(), batch.targets.tolist()):
            # None kept or random: what is measured is prediction alone.
            assert shown[0, place] == tokenizer.mask
            total, count = total - float(scores[place, target]), count + 1
    report = evaluate(model, task="perplexity", data=[datasets["mono"]], split="all")
    result = report["results"]["mono"]["en"]
    assert result["predictions"] == count
    assert result["perplexity"]["value"] == pytest.approx(math.exp(total / count), rel=1e-4)


def test_perplexity_given_the_translation_equals_the_obvious_way(model, datasets):
    """One pair at a time through the whole model; one side is masked, the other is whole."""
    embedder = load_embedder(model)
    tokenizer, sums = embedder.tokenizer, {"en": [0.0, 0], "ar": [0.0, 0]}
    collation = Collation(masking=_masking(tokenizer), pad=tokenizer.pad, width=embedder.max_length)
    table = open_dataset(datasets["pairs"]).table()
    sides = list(zip(*(tokenizer.encode(table[c].to_pylist()) for c in ("src", "tgt"))))
    for pair, record, key in zip(sides, *records(table)):
        for masked, language in enumerate(("en", "ar")):
            both = join(tokenizer, *pair, languages=("en", "ar"))
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
    report = evaluate(model, task="conditional-perplexity", data=[datasets["pairs"]], split="all")
    for language, (total, count) in sums.items():
        result = report["results"]["pairs"][language]
        assert result["predictions"] == count
        assert result["perplexity"]["value"] == pytest.approx(math.exp(total / count), rel=1e-4)
