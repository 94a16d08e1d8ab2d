"""Headers of pages, against what is known of the file and what other writers make."""

import contextlib

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.readers.parquet_pages import content_of
from corpus_files import read, source

TEXTS = [f"Satz {n % 700}: 犬 {'und ' * (n % 40)}" for n in range(30_000)]


def contents(path, name: str = "text"):
    """Returns what is found of each row group's column, with the footer's entry."""
    found = []
    with open(path, "rb") as stream, pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            metadata = file.metadata.row_group(group)
            for number in range(metadata.num_columns):
                if metadata.column(number).path_in_schema == name:
                    chunk = metadata.column(number)
                    found.append((content_of(stream, chunk), chunk))
    return found


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_what_arrow_wrote(tmp_path, codec: str, version: str, dictionary: bool) -> None:
    how = {"compression": codec, "data_page_version": version, "use_dictionary": dictionary}
    table = pa.table({"n": range(len(TEXTS)), "text": TEXTS})
    pq.write_table(table, tmp_path / "f", row_group_size=9_000, data_page_size=50_000, **how)
    longest = max(len(text.encode()) for text in TEXTS)
    found = contents(tmp_path / "f")
    assert [content.values for content, _ in found] == [9_000, 9_000, 9_000, 3_000]
    for content, chunk in found:
        assert content.packed <= chunk.total_compressed_size
        # Of a page of plain values the mean, which four bytes of length belong to.
        assert content.longest == longest if dictionary else 20 < content.longest < longest
        assert 0 < content.largest_page <= chunk.total_uncompressed_size
        assert not content.shares_beginnings


def write_by_polars(path) -> None:
    pl.DataFrame({"text": TEXTS}).write_parquet(path, row_group_size=9_000)


def write_by_duckdb(path) -> None:
    texts = pa.table({"text": TEXTS})  # noqa: F841 - duckdb finds it by its name
    duckdb.sql(f"copy texts to '{path}' (format parquet, row_group_size 9000)")


@pytest.mark.parametrize("write", [write_by_polars, write_by_duckdb])
def test_what_others_wrote_is_understood_and_read(tmp_path, write) -> None:
    write(tmp_path / "p.parquet")
    assert sum(content.values for content, _ in contents(tmp_path / "p.parquet")) == len(TEXTS)
    fields = {"languages": ("de",), "format": "parquet", "columns": ("text",)}
    kept, rejects = read(source(tmp_path, "p.parquet", **fields))
    assert sorted(row["text"] for row in kept) == sorted(TEXTS)
    assert not rejects


def test_values_that_share_their_beginnings_are_told(tmp_path) -> None:
    how = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "f", **how)
    assert [content.shares_beginnings for content, _ in contents(tmp_path / "f")] == [True]


@settings(max_examples=60)
@given(st.data())
def test_damaged_headers_are_an_error_and_never_a_crash(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("p") / "f"
    pq.write_table(pa.table({"text": ["a", "b", "a"] * 20}), path)
    content = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as file:
        chunk = file.metadata.row_group(0).column(0)
    at = data.draw(st.integers(4, 3 + chunk.total_compressed_size))
    content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ValueError), open(path, "rb") as stream:
        content_of(stream, chunk)
