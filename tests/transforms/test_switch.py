"""Code-switching in a pipeline: what is counted, and sentences whose pairs lie in many batches."""

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.transforms.switch import SwitchByAlignment, SwitchMultilingual
from pair_rows import linked_words


def test_each_variant_of_each_side_is_a_row_or_a_reject(pipeline, check_counts) -> None:
    batch = linked_words(("Hund", "狗"), ("...", "。"))
    config = AlignmentSwitchConfig(token_rate=1.0, variants=3)
    with pipeline() as root:
        rows = root | beam.Create([batch]) | SwitchByAlignment(config)
        check_counts(rows, read=2 * 3 * 2, kept=6, rejected=6)


def test_the_pairs_of_a_sentence_meet_from_all_batches(pipeline, check_counts) -> None:
    batches = [
        linked_words(("dog", "Hund"), ("...", "..."), src_lang="en", tgt_lang="de"),
        linked_words(("狗", "dog"), src_lang="zh", tgt_lang="en"),
    ]
    config = MultilingualSwitchConfig(token_rate=1.0, variants=20)
    with pipeline() as root:
        rows = root | beam.Create(batches) | SwitchMultilingual(config, n_buckets=4)
        # Three pairs, but two sentences.
        check_counts(rows, read=2 * 20, kept=20, rejected=20)
        texts = rows.kept | "Texts" >> beam.FlatMap(lambda b: b["text"].to_pylist())
        assert_that(texts | "Distinct" >> beam.Distinct(), equal_to(["Hund", "狗"]))
