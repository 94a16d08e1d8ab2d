"""Derived languages in a pipeline: pairs taken apart, links kept, parsed files read."""

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.text.private_script import transliterate_text
from bitextile.transforms.batches import track
from bitextile.transforms.derive import DeriveAligned, DeriveLanguage, DeriveParsed, ExplodePairs
from pair_rows import linked_words, pairs_batch

CONLLU = "1\tdogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\t_\n2\trun\trun\tVERB\t_\t_\t0\troot\t_\t_\n\n"


def test_a_pair_counts_once_for_each_sentence_taken_from_it(pipeline, check_counts) -> None:
    batch = pairs_batch("de", "zh", [("der Hund", "狗"), (transliterate_text("Hund"), "犬")])
    config = DeriveConfig()
    with pipeline() as root:
        # Tracked from the start: of a plain PCollection the sentences would be counted, not pairs.
        rows = track(root | beam.Create([batch])) | ExplodePairs("both") | DeriveLanguage(config)
        check_counts(rows, read=2 * 2, kept=3, rejected=1)


def test_aligned_pairs_stay_pairs(pipeline, check_counts) -> None:
    batch = linked_words(("Hund", "狗"), (transliterate_text("Hund"), "犬"))
    with pipeline() as root:
        rows = root | beam.Create([batch]) | DeriveAligned(DeriveConfig())
        check_counts(rows, read=2, kept=1, rejected=1)


def test_equal_sentences_of_a_parsed_file_count_once(pipeline, tmp_path, check_counts) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(CONLLU + CONLLU)
    with pipeline() as root:
        rows = root | DeriveParsed((str(path),), "en", DeriveConfig(transforms=("syntax",)))
        assert rows.rejects == ()
        kept = rows.kept | "Links" >> beam.FlatMap(lambda batch: batch["links"].to_pylist())
        pairs = kept | beam.Map(lambda links: [(link["src"], link["tgt"]) for link in links])
        assert_that(pairs, equal_to([[(0, 1), (1, 0)]]))
