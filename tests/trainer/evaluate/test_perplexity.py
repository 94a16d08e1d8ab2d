"""Masked perplexity: by hand, of an untrained model, refusals."""

import math

import pytest

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError, SchemaError
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.perplexity import perplexity


def test_masked_perplexity_of_an_untrained_model_is_about_the_vocabulary(model, datasets):
    results = evaluate(model, task="perplexity", data=[datasets["pairs"]], split="all")["results"][
        "pairs"
    ]
    assert set(results) == {"en", "ar"}
    for result in results.values():
        # Fresh weights give every one of the 150 pieces about the same probability.
        assert result["perplexity"]["value"] == pytest.approx(150, rel=0.15)
        assert result["perplexity"]["low"] < result["perplexity"]["value"]
        assert result["sentences"] == open_dataset(datasets["pairs"]).manifest.rows


def test_perplexity_by_hand():
    result = perplexity([(2.0, 2), (0.0, 0), (4.0, 1)])
    assert result.perplexity.value == pytest.approx(math.exp(2.0))
    assert (result.sentences, result.predictions) == (3, 3)
    with pytest.raises(InputError, match="not one subword was masked"):
        perplexity([(0.0, 0)])


def test_what_cannot_be_measured_is_refused(model, datasets, make_dataset, tmp_path):
    empty = make_dataset(tmp_path / "empty", "mono", rows=0)
    with pytest.raises(InputError, match="no row of split 'valid'"):
        evaluate(model, task="perplexity", data=[empty], split="valid")
    with pytest.raises(SchemaError, match="holds kind mono, expected pairs or aligned"):
        evaluate(model, task="conditional-perplexity", data=[datasets["mono"]])
