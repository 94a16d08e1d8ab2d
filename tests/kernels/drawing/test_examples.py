"""Which rows are shown, and how the fields of task data are."""

from bitextile.kernels.drawing.examples import _show_switched, examples_of
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import EXCHANGE
from report_rows import aligned_rows, exchange_row, write_dataset


def test_examples_spread_over_keys_and_prefer_what_is_changed(all_kinds, tmp_path):
    aligned, exchange = open_dataset(all_kinds[2]), open_dataset(all_kinds[4])
    assert [e.key for e in examples_of(aligned, 4)] == ["ar-zh", "de-fr", "de-zh", "ja-th"]
    assert len(examples_of(aligned, 2)) == 2
    assert len(examples_of(aligned, 50)) == 5
    assert examples_of(aligned, 0) == []
    assert examples_of(open_dataset(all_kinds[6]), 8) == []
    plain = exchange_row(aligned_rows()[0], [], "x", "y")
    row = exchange_row(aligned_rows()[1], [(1, 2)], "Une Haus rouge", "Ein rotes maison")
    mixed = open_dataset(write_dataset(tmp_path / "mixed", EXCHANGE, [plain, row]))
    (shown_row,) = examples_of(mixed, 1)
    assert [p.text for p in shown_row.texts[0].runs] == ["Une ", "Haus", " rouge"]
    assert [e.key for e in examples_of(exchange, 3)] == ["de-fr"]


def switched(text: str, *replacements: dict, lang: str = "en") -> list:
    row = {"matrix_lang": lang, "text": text, "replacements": list(replacements)}
    row |= {"method": "task-field", "variant": 0, "parent_id": "f" * 32, "label": "neutral"}
    return list(_show_switched(lang, row).texts)


def test_fields_of_task_data_are_lines_in_their_own_direction():
    new = {"start": 0, "end": 4, "lang": "ar", "original": "He left.", "origin": "f.tsv:1"}
    first, second = switched("ذهب.\nShe stayed.", new | {"score": 1.0})
    assert (first.dir, [run.text for run in first.runs]) == ("rtl", ["ذهب."])
    assert "f.tsv:1" in first.runs[0].title
    assert (second.dir, [run.text for run in second.runs]) == ("ltr", ["She stayed."])
