"""Length ratios against counts of the tokenizer."""

import pytest

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.generate.length_ratios import measure_ratios


def test_ratios_are_those_of_mean_subword_counts(datasets, tokenizer) -> None:
    found = measure_ratios(tokenizer, [datasets["pairs"]])
    rows = open_dataset(datasets["pairs"]).table().to_pylist()
    en, ar = (
        sum(len(tokenizer.pretrained.tokenize(r[side])) for r in rows) for side in ("src", "tgt")
    )
    assert found == {
        ("ar", "en"): pytest.approx(en / ar, abs=1e-4),
        ("en", "ar"): pytest.approx(ar / en, abs=1e-4),
    }
