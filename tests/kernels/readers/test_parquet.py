"""Parquet: columns by name, nulls, bytes that are no text."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextile.schema.errors import InputError
from corpus_files import AR, EN, read, source, texts


def parquet(tmp_path, table: pa.Table, **fields) -> tuple[list[dict], list[dict]]:
    pq.write_table(table, tmp_path / "p.parquet")
    fields = {"format": "parquet", "columns": ("en", "ar")} | fields
    return read(source(tmp_path, "p.parquet", **fields))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_a_parquet_file_by_column_names(tmp_path, kind: pa.DataType) -> None:
    table = pa.table({"ar": pa.array(AR).cast(kind), "id": range(4), "en": pa.array(EN).cast(kind)})
    kept, rejects = parquet(tmp_path, table)
    assert texts(kept) == list(zip(range(1, 5), EN, AR))
    assert not rejects


def test_nulls_and_other_types_in_a_parquet_file_are_rejects(tmp_path) -> None:
    kept, [reject] = parquet(tmp_path, pa.table({"en": ["Dog", None], "ar": ["كلب", "قطة"]}))
    assert len(kept) == 1
    assert (reject["rule"], reject["line"]) == ("missing_columns/1", 2)
    kept, rejects = parquet(tmp_path, pa.table({"en": [1, 2], "ar": ["كلب", "قطة"]}))
    assert (len(kept), len(rejects)) == (0, 2)


def test_bytes_in_a_parquet_file_that_are_no_text_are_rejects(tmp_path) -> None:
    raw = pa.array([b"Dog", b"caf\xe9", b"Cat"], pa.binary())
    broken = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    kept, [reject] = parquet(tmp_path, pa.table({"en": broken, "ar": ["كلب", "x", "قطة"]}))
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["line"]) == ("invalid_utf8/1", 2)
    assert "caf\\xe9" in reject["src"]


def test_a_missing_column_and_a_file_that_is_no_parquet_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"p\.parquet: no column 'ar'; it has en, de: name"):
        parquet(tmp_path, pa.table({"en": ["a"], "de": ["b"]}))
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(InputError, match=r"p\.parquet: not readable as Parquet"):
        read(source(tmp_path, "p.parquet", format="parquet", columns=("en", "ar")))
