"""Formats: the one list of readers, and which format a file name tells."""

import pytest

from bitextile.kernels.readers.formats import FORMATS, format_of
from bitextile.kernels.readers.lines import LINES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tsv", "tsv"),
        ("a.tab.xz", "tsv"),
        ("A.TMX.gz", "tmx"),
        ("a.jsonl.zst", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.json", "jsonl"),
        ("a.csv.gz", "csv"),
        ("A.CSV.GZ", "csv"),
        ("corpora.tar.gz#en-ar.tmx", "tmx"),
        ("corpora.tar.gz", "lines"),
        ("part-00000.parquet", "parquet"),
        ("web.zip#corpus.en-ar.tsv", "tsv"),
        ("a.tsv.zip#member", "lines"),
        ("train.en.bz2", "lines"),
        ("tsv", "lines"),
    ],
)
def test_an_ending_tells_the_format_whatever_the_compression(name: str, expected: str) -> None:
    assert format_of(name, default=LINES).name == expected


def test_no_two_formats_share_a_name_or_an_ending() -> None:
    endings = [ending for format in FORMATS.values() for ending in format.endings]
    assert len(endings) == len(set(endings))
    assert [format.name for format in FORMATS.values()] == list(FORMATS)
