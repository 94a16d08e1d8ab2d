"""Labelled sentence pairs: what is a row, what is left out, and what is refused with its line."""

import pytest

from bitextile.schema.errors import InputError
from bitextile.schema.ids import stable_id, text_ids
from bitextile.trainer.evaluate.sentence_pairs import (
    SENTENCE_PAIRS,
    labels_of,
    read_file,
    read_source,
)
from bitextile.trainer.finetune.config import TaskSource


@pytest.fixture
def write(tmp_path):
    def made(content: str, name: str = "task.tsv") -> str:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    return made


def test_rows_are_normalised_and_named_by_their_text(write):
    data = read_file(write("كلب  أحمر\tبيت\tyes\nb\tNS\tno\n \tc\tyes\nd\te\tno\n"), language="ar")
    assert data.rows.schema == SENTENCE_PAIRS
    assert (len(data.rows), data.left_out) == (2, 2)
    row = data.rows.to_pylist()[0]
    assert (row["premise"], row["hypothesis"], row["label"]) == ("كلب أحمر", "بيت", "yes")
    assert row["premise_id"] == text_ids("ar", data.rows["premise"].combine_chunks())[0].as_py()
    assert row["record"] == stable_id("ar\x1fكلب أحمر\nبيت")
    assert data.digest.startswith("sha256:")


def test_a_line_of_names_is_no_row_and_may_name_other_columns(write):
    named = write("label\tid\tsentence2\tsentence1\nyes\t1\tb\ta\nno\t2\td\tc\n")
    rows = read_source(TaskSource(file=named, language="en")).rows.to_pylist()
    assert [(r["premise"], r["hypothesis"], r["label"]) for r in rows] == [
        ("a", "b", "yes"),
        ("c", "d", "no"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("a\tb\n", "line 1: 2 cells"),
        ("a\tb\tyes\na\tb\tno\na\tb\tc\tno\n", "line 3: 4 cells, expected 3"),
        ("one\ttwo\tthree\na\tb\tyes\nc\td\tno\ne\tf\tno\n", "line 1: the label 'three'"),
        ("\tb\tyes\nNS\td\tno\n", "no row with two sentences among 2"),
    ],
)
def test_files_of_another_form_are_refused(write, content, message):
    with pytest.raises(InputError, match=message):
        read_file(write(content))


def test_two_rows_may_have_a_label_each(write):
    # Of two lines nothing tells a line of names from a row.
    assert len(read_file(write("a\tb\tyes\nc\td\tno\n")).rows) == 2


def test_labels_are_sorted_over_all_files_and_one_is_not_enough(write):
    one = read_file(write("a\tb\tno\nc\td\tno\n", "one.tsv"))
    two = read_file(write("e\tf\tmaybe\ng\th\tyes\n", "two.tsv"))
    assert labels_of([one, two]) == ("maybe", "no", "yes")
    with pytest.raises(InputError, match=r"one\.tsv: every row has the label 'no'"):
        labels_of([one])
