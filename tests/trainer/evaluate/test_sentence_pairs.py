"""Labelled sentence pairs: what is a row, what is left out, and what is refused with its line."""

import pytest
from pydantic import ValidationError

from bitextile.schema.errors import InputError
from bitextile.schema.ids import stable_id, text_ids
from bitextile.trainer.evaluate.sentence_pairs import (
    SENTENCE_PAIRS,
    labels_of,
    read_file,
    read_source,
)
from bitextile.trainer.finetune.config import FinetuneConfig, TaskSource


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


def rows_of(*counts: tuple[str, int]) -> str:
    """Returns a file of so many rows of each label."""
    labels = [label for label, n in counts for _ in range(n)]
    return "".join(f"premise {i}\thypothesis {i}\t{label}\n" for i, label in enumerate(labels))


def test_rows_without_a_class_are_left_out_and_counted(write):
    data = read_file(write("a\tb\tyes\nc\td\t-\ne\tf\t \nNS\tg\tno\nNS\th\t-\ni\tj\tyes\n"))
    assert (len(data.rows), data.left_out, data.unlabelled) == (2, 1, 3)
    named = write("label\tsentence1\tsentence2\n0\ta\tb\n1\tc\td\n2\te\tf\n-1\tg\th\n")
    assert (read_file(named).unlabelled, labels_of([read_file(named)])) == (1, ("0", "1", "2"))
    with pytest.raises(InputError, match="among 3 has a label, 3 have none"):
        read_file(write(rows_of(("-", 3))))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        # A hypothesis where the label should be, or a slip of the pen: one row among many.
        (
            [("0", 60), ("1", 60), ("a house", 1)],
            "begins 'premise 120' has .*'a house', which 1 of",
        ),
        ([("yes", 40), ("no", 40), ("on", 4)], "'on', which 4 of 84 rows have"),
        # Few rows in all, but the labels are those of natural language inference.
        (
            [("entailment", 3), ("neutral", 3), ("contradiction", 2), ("entailement", 2)],
            "'entailement', beside labels of the set contradiction, entailment, neutral",
        ),
        (
            [("entailment", 30), ("neutral", 30), ("contradiction", 20), ("contradictory", 20)],
            "'contradictory', beside labels",
        ),
        ([("neutral", 30), ("Neutral", 30), ("other", 5)], "which differs from .* in case alone"),
    ],
)
def test_labels_that_are_hardly_classes_are_refused(write, counts, message):
    data = [read_file(write(rows_of(*counts)))]
    with pytest.raises(InputError, match=message):
        labels_of(data)
    declared = sorted(label for label, _ in counts)
    assert labels_of(data, declared) == tuple(declared)
    with pytest.raises(InputError, match="but labels are declared to be"):
        labels_of(data, declared[1:])


@pytest.mark.parametrize(
    "counts",
    [
        [("0", 100), ("1", 100), ("2", 50), ("3", 20), ("4", 5)],
        [("entailment", 30), ("not_entailment", 20)],
        [("contradictory", 10), ("entailment", 10), ("neutral", 10)],
        [("ENTAILMENT", 3), ("NEUTRAL", 2), ("CONTRADICTION", 1)],
        [("-1", 10), ("0", 10), ("1", 10)],
        [("a", 1), ("b", 1)],
    ],
)
def test_classes_of_published_and_small_data_are_taken(write, counts):
    assert labels_of([read_file(write(rows_of(*counts)))]) == tuple(sorted(c for c, _ in counts))


def test_declared_labels_may_be_numbers_and_stand_in_their_order():
    source = {"file": "en.tsv", "language": "en"}
    config = FinetuneConfig.model_validate({"model": "m", "train": [source], "labels": [1, 0]})
    assert config.labels == ("1", "0")
    for labels in (["a"], ["a", "a"], [True, False]):
        with pytest.raises(ValidationError):
            FinetuneConfig.model_validate({"model": "m", "train": [source], "labels": labels})
