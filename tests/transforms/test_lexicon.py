"""The lexicon, step by step: counts merge over batches, and entries are kept + rejected."""

import apache_beam as beam
import pyarrow as pa
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.transforms.lexicon import CountLexicon, _MergeCounts
from pair_rows import linked_words

BATCHES = [
    linked_words(("Hund", "狗"), ("Katze", "猫")),
    linked_words(("狗", "hund"), src_lang="zh", tgt_lang="de"),
    linked_words(("dog", "狗"), src_lang="en"),
    linked_words(("...", "。")),
]


def test_entries_are_counted_over_batches_and_kept_or_rejected(pipeline) -> None:
    with pipeline() as root:
        rows = root | beam.Create(BATCHES) | CountLexicon(LexiconConfig(min_count=2))

        def entries(batches: beam.PCollection, name: str, last: str) -> beam.PCollection:
            columns = ("src_lang", "tgt_lang", "src", "tgt", last)
            return batches | name >> beam.FlatMap(
                lambda batch: [tuple(row[c] for c in columns) for row in batch.to_pylist()]
            )

        kept = entries(rows.kept, "Kept", "count")
        assert_that(kept, equal_to([("de", "zh", "hund", "狗", 2)]), "kept")
        dropped = entries(rows.rejects[0], "Dropped", "value")
        expected = [("de", "zh", "katze", "猫", 1.0), ("en", "zh", "dog", "狗", 1.0)]
        assert_that(dropped, equal_to(expected), "dropped")
        total = rows.read | "Sum" >> beam.CombineGlobally(sum)
        assert_that(total, equal_to([3]), "read")


def test_links_of_other_splits_are_not_counted(pipeline) -> None:
    train, test = BATCHES[0], BATCHES[1]
    at = test.schema.get_field_index("split")
    test = test.set_column(at, test.schema.field(at), pa.array(["test"] * test.num_rows))
    with pipeline() as root:
        config = LexiconConfig(min_count=1, split="train")
        rows = root | beam.Create([train, test]) | CountLexicon(config)
        counts = rows.kept | beam.FlatMap(
            lambda batch: [(row["src"], row["count"]) for row in batch.to_pylist()]
        )
        assert_that(counts, equal_to([("hund", 1), ("katze", 1)]))


def test_an_accumulator_stays_small_and_loses_nothing() -> None:
    from bitextile.kernels.bitext.lexicon import count_links

    merge = _MergeCounts()
    accumulator = merge.create_accumulator()
    for _ in range(40):
        accumulator = merge.add_input(accumulator, count_links(BATCHES[0]))
        assert len(accumulator) <= 17
    other = merge.add_input(merge.create_accumulator(), count_links(BATCHES[0]))
    whole = merge.extract_output(merge.merge_accumulators([accumulator, other]))
    assert whole["count"].to_pylist() == [41, 41]
