"""The lexicon, step by step: counts merge over batches, and entries are kept + rejected."""

import apache_beam as beam
import pyarrow as pa
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED
from bitextile.transforms.lexicon import CountLexicon, _MergeCounts


def aligned(*pairs: tuple[str, str], src_lang: str = "de", tgt_lang: str = "zh") -> pa.RecordBatch:
    """Rows of one word a side, linked."""
    fixed = {"src_lang": src_lang, "tgt_lang": tgt_lang, "corpus": "c", "file": "f"}
    fixed |= {"split": "train", "align_score": 0.0}
    return pa.RecordBatch.from_pylist(
        [
            fixed
            | {"pair_id": stable_id(src, tgt, str(n)), "src": src, "tgt": tgt, "line": n}
            | {"src_spans": [{"start": 0, "end": len(src)}]}
            | {"tgt_spans": [{"start": 0, "end": len(tgt)}]}
            | {"links": [{"src": 0, "tgt": 0, "score": 1.0}]}
            for n, (src, tgt) in enumerate(pairs, 1)
        ],
        schema=ALIGNED.schema,
    )


BATCHES = [
    aligned(("Hund", "狗"), ("Katze", "猫")),
    aligned(("狗", "hund"), src_lang="zh", tgt_lang="de"),
    aligned(("dog", "狗"), src_lang="en"),
    aligned(("...", "。")),
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
