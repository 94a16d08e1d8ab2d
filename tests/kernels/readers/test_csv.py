"""CSV: by the rules of the csv module, columns by name, the delimiters of spreadsheets."""

import pytest

from bitextile.schema.errors import InputError
from corpus_files import read, source, texts


def csv(tmp_path, content: str, **fields) -> tuple[list[dict], list[dict]]:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8", newline="")
    fields = {"format": "csv", "columns": ("en", "ar"), "header": True} | fields
    return read(source(tmp_path, "t.csv", **fields))


@pytest.mark.parametrize("delimiter", ",;\t|")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cells_in_quotes_and_rows_of_several_lines(tmp_path, delimiter: str, end: str) -> None:
    rows = ["ar,id,en", '"نعم, طبعا.",1,"Yes, of ""course""."', 'لا,2,"One', 'two"', "هنا,3,Here"]
    content = end.join(row.replace(",", delimiter) for row in rows) + end
    kept, rejects = csv(tmp_path, content)
    yes = 'Yes, of "course".'.replace(",", delimiter)
    assert texts(kept) == [
        (2, yes, "نعم, طبعا.".replace(",", delimiter)),
        (3, "One\ntwo", "لا"),
        (5, "Here", "هنا"),
    ]
    assert not rejects


def test_columns_by_number_without_a_header(tmp_path) -> None:
    kept, _ = csv(tmp_path, "1;Dog;كلب\n2;Cat;قطة\n", columns=(1, 2), header=False)
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "Cat", "قطة")]


def test_rows_of_too_few_or_too_many_cells_and_blank_lines_are_rejects(tmp_path) -> None:
    kept, rejects = csv(tmp_path, "en,ar\nDog\nYes, of course,نعم\n\nCat,قطة\n")
    assert texts(kept) == [(5, "Cat", "قطة")]
    assert [(r["rule"], r["line"], r["value"]) for r in rejects] == [
        ("missing_columns/1", 2, 1),
        ("extra_columns/1", 3, 3),
        ("missing_columns/1", 4, 1),
    ]
    assert len({r["id"] for r in rejects}) == 3


def test_a_file_without_the_named_columns_is_refused(tmp_path) -> None:
    for content in ("source,target\na,b\n", "", "\nen,ar\n"):
        with pytest.raises(InputError, match=r"t\.csv: no column 'en'; its header is "):
            csv(tmp_path, content)


def test_sentences_of_one_language(tmp_path) -> None:
    kept, _ = csv(tmp_path, "text\n\ufeffa\n", languages=("en",), columns=("text",))
    assert texts(kept) == [(2, "\ufeffa")]
