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


TRANSLATIONS = [{"en": en, "ar": ar} for en, ar in zip(EN, AR)]


@pytest.mark.parametrize("columns", [("en", "ar"), ("translation.en", "translation.ar")])
@pytest.mark.parametrize(
    "kind",
    [
        pa.struct([("ar", pa.string()), ("en", pa.large_string())]),
        pa.map_(pa.string(), pa.string()),
    ],
)
def test_texts_inside_a_column(tmp_path, columns: tuple[str, str], kind: pa.DataType) -> None:
    rows = [list(t.items()) if pa.types.is_map(kind) else t for t in TRANSLATIONS]
    table = pa.table({"id": range(4), "translation": pa.array(rows, kind)})
    kept, rejects = parquet(tmp_path, table, columns=columns)
    assert texts(kept) == list(zip(range(1, 5), EN, AR))
    assert not rejects


def test_nulls_inside_a_column_are_rejects(tmp_path) -> None:
    rows = [None, {"en": None, "ar": "x"}, {"en": "Dog", "ar": "كلب"}]
    kept, rejects = parquet(tmp_path, pa.table({"translation": rows}))
    assert texts(kept) == [(3, "Dog", "كلب")]
    assert [(r["line"], r["value"]) for r in rejects] == [(1, 0), (2, 1)]


def test_names_deeper_down_and_names_with_a_dot(tmp_path) -> None:
    table = pa.table({"a": [{"b": {"c": "Dog"}}], "d.e": ["كلب"]})
    kept, _ = parquet(tmp_path, table, columns=("a.b.c", "d.e"))
    assert texts(kept) == [(1, "Dog", "كلب")]


def test_a_column_of_columns_is_refused_with_their_names(tmp_path) -> None:
    table = pa.table({"translation": TRANSLATIONS})
    with pytest.raises(
        InputError, match=r"no column 'translation'; it has translation\.en, translation\.ar: name"
    ):
        parquet(tmp_path, table, columns=("translation", "translation"))


def not_utf8() -> pa.Array:
    raw = pa.array([b"Dog", b"caf\xe9"], pa.binary())
    return pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])


@pytest.mark.parametrize("wrap", ["plain", "large", "struct"])
def test_strings_that_are_not_utf8_are_rejects_wherever_they_are(tmp_path, wrap: str) -> None:
    text = not_utf8()
    if wrap == "large":
        text = text.cast(pa.large_binary()).view(pa.large_string())
    columns = {"en": text, "ar": pa.array(["كلب", "x"])}
    if wrap == "struct":
        columns = {"translation": pa.StructArray.from_arrays(list(columns.values()), list(columns))}
    kept, [reject] = parquet(tmp_path, pa.table(columns))
    assert texts(kept) == [(1, "Dog", "كلب")]
    assert (reject["rule"], reject["line"]) == ("invalid_utf8/1", 2)


def test_a_dictionary_of_strings_that_are_not_utf8_is_refused_as_arrow_does(tmp_path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), not_utf8())
    with pytest.raises(InputError, match=r"p\.parquet: not readable as Parquet .*UTF8"):
        parquet(tmp_path, pa.table({"en": text, "ar": ["كلب", "x"]}))


def test_parquet_inside_an_archive_and_a_missing_file_are_named(tmp_path) -> None:
    for name, message in (("a.zip#p.parquet", "not read inside an archive"), ("q", "no such file")):
        with pytest.raises(InputError, match=message):
            read(source(tmp_path, name, format="parquet", columns=("en", "ar")))
