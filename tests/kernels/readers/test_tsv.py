"""TSV: columns by number, rows with too few."""

from corpus_files import read, source, texts


def tsv(tmp_path, content: str, **fields) -> tuple[list[dict], list[dict]]:
    (tmp_path / "t.tsv").write_text(content, encoding="utf-8", newline="")
    return read(source(tmp_path, "t.tsv", **{"format": "tsv", "columns": ("0", "1")} | fields))


def test_a_tsv_by_column_with_and_without_a_header(tmp_path) -> None:
    kept, _ = tsv(tmp_path, "7\tDog\tكلب\tCC-BY\n8\tCat\tقطة\r\n", columns=("1", "2"))
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "Cat", "قطة")]
    kept, _ = tsv(tmp_path, "en\tar\nDog\tكلب\n", header=True)
    assert texts(kept) == [(2, "Dog", "كلب")]


def test_a_row_with_too_few_columns_is_a_reject(tmp_path) -> None:
    kept, [reject] = tsv(tmp_path, "Dog\tكلب\nonly one\nCat\tقطة\n")
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["line"], reject["value"]) == ("missing_columns/1", 2, 1)
    assert reject["detail"] == "1 columns, expected at least 2"
    assert reject["src"] == "only one"


def test_quotes_in_a_tsv_are_text(tmp_path) -> None:
    kept, _ = tsv(tmp_path, '"Dog\tكلب"\n')
    assert texts(kept) == [(1, '"Dog', 'كلب"')]


def test_columns_by_name_where_there_is_a_header(tmp_path) -> None:
    fields = {"header": True, "columns": ("en", "ar")}
    kept, [reject] = tsv(tmp_path, "ar\tid\ten\nكلب\t1\tDog\nقطة\t2\tCat\tx\n", **fields)
    assert texts(kept) == [(2, "Dog", "كلب")]
    assert (reject["rule"], reject["line"]) == ("extra_columns/1", 3)


def test_cells_in_quotes_where_they_are_asked_for(tmp_path) -> None:
    content = '"He said ""stop""\tnow."\t"توقف"\n"Multi\nline"\t"سطر"\n"open\tx\nDog\tكلب\n'
    kept, [reject] = tsv(tmp_path, content, quoted=True)
    assert texts(kept) == [
        (1, 'He said "stop"\tnow.', "توقف"),
        (2, "Multi\nline", "سطر"),
        (5, "Dog", "كلب"),
    ]
    assert (reject["rule"], reject["line"]) == ("invalid_quotes/1", 4)
