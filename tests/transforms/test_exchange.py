"""Word exchange in a pipeline: each variant of each pair is a row or a reject."""

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.exchange import ExchangeConfig
from bitextile.transforms.exchange import ExchangeWords
from pair_rows import linked_words


def test_each_variant_of_a_pair_is_a_row_or_a_reject(pipeline, check_counts) -> None:
    batch = linked_words(("Hund", "狗"), ("...", "。"))
    with pipeline() as root:
        rows = root | beam.Create([batch]) | ExchangeWords(ExchangeConfig(rate=1.0, variants=2))
        check_counts(rows, read=4, kept=2, rejected=2)
        new = rows.kept | "Texts" >> beam.FlatMap(lambda b: b["src_exchanged"].to_pylist())
        assert_that(new, equal_to(["狗", "狗"]))
