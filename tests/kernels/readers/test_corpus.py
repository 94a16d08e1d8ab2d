"""Corpus files as batches: kinds, provenance, batches of a size, rejects with their place."""

from bitextile.kernels.readers.corpus import read_corpus
from corpus_files import source


def test_batches_are_of_the_size_asked_for_and_count_rejects_too(tmp_path) -> None:
    (tmp_path / "m.txt").write_bytes(b"one\n\xff\nthree\nfour\n")
    found = list(read_corpus(source(tmp_path, "m.txt", languages=("en",)), batch_rows=3))
    assert [(kept.num_rows, rejects.num_rows) for kept, rejects in found] == [(2, 1), (1, 0)]
    assert found[1].kept["line"].to_pylist() == [4]


def test_a_file_without_rows_gives_no_batch(tmp_path) -> None:
    (tmp_path / "m.txt").write_bytes(b"")
    assert not list(read_corpus(source(tmp_path, "m.txt", languages=("en",))))
