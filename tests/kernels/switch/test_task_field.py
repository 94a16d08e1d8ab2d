"""Whole fields of task data replaced by their translations: labels and answer spans stay."""

import json
from pathlib import Path

import numpy as np
import pytest

from bitextile.kernels.switch.core import rates_of
from bitextile.kernels.switch.task_field import (
    TaskFieldSwitchConfig,
    TaskFiles,
    read_task,
    switch_task_fields,
)
from bitextile.kernels.tasks.files import read_lines
from bitextile.kernels.tasks.nli import nli_lines, read_nli
from bitextile.kernels.tasks.qa import read_qa
from bitextile.kernels.tasks.tagged import read_tagged
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import CODESWITCH, REJECTS
from project import SHARED

EVAL = SHARED / "data/eval"
EN = "He left.\tShe stayed.\tneutral\nA dog.\tNS\tentailment\nA dog.\tNS\tentailment\n"
DE = "Er ging.\tSie blieb.\tneutral\nEin Hund.\tKatze\tentailment\nx\ty\tentailment\n"
ZH = "他走了。\t她留下了。\tneutral\n一只狗。\t猫\tcontradiction\nx\ty\tentailment\n"


def nli(tmp_path: Path, **texts: str) -> TaskFiles:
    paths = {}
    for lang, text in texts.items():
        paths[lang] = str(tmp_path / f"{lang}.tsv")
        Path(paths[lang]).write_text(text, encoding="utf-8")
    return TaskFiles(task="nli", language="en", file=paths.pop("en"), translations=paths)


def test_fields_are_replaced_and_labels_kept(tmp_path) -> None:
    task = read_task(nli(tmp_path, en=EN, de=DE, zh=ZH))
    assert task.rejects["rule"].to_pylist() == ["duplicate/1"]
    assert task.counters == {"en": {"translations_de": 3, "translations_zh": 2}}
    made = switch_task_fields(task.kept, config=TaskFieldSwitchConfig(token_rate=1.0, variants=8))
    check_rows(made.kept, CODESWITCH, "codeswitch")
    seen = set()
    for row in made.kept.to_pylist():
        assert row["text"] == f"{row['premise']}\n{row['hypothesis']}"
        first = row["premise"] in ("Er ging.", "他走了。")
        assert row["label"] == ("neutral" if first else "entailment")
        for change in row["replacements"]:
            new = row["text"][change["start"] : change["end"]]
            assert change["origin"] == "translation"
            assert new in (row["premise"], row["hypothesis"])
            assert new in (DE if change["lang"] == "de" else ZH)
        seen.add(tuple(change["lang"] for change in row["replacements"]))
    assert ("de", "zh") in seen
    assert made.kept.num_rows + made.rejects.num_rows == 2 * 8


def test_files_of_other_length_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="has 1 examples"):
        read_task(nli(tmp_path, en=EN, de=DE.splitlines()[0]))
    with pytest.raises(InputError, match="line 1: 2 cells"):
        read_task(nli(tmp_path, en="a\tb\n", de=DE))
    with pytest.raises(ConfigError, match="other than en"):
        TaskFiles(task="nli", language="en", file="x", translations={"en": "y"})
    with pytest.raises(ConfigError, match="weight of de"):
        TaskFieldSwitchConfig(weights={"de": -1.0})


def test_examples_without_a_class_are_rejects_and_lend_no_translation(tmp_path) -> None:
    en = "He left.\tShe stayed.\tneutral\nA dog.\tA cat.\t-\nA hen.\tA cow.\t\nA.\tB.\tneutral\n"
    de = "Er ging.\tSie blieb.\tneutral\nx\ty\t-\nz\tw\tneutral\nC.\tD.\t-\n"
    task = read_task(nli(tmp_path, en=en, de=de))
    assert task.kept["line"].to_pylist() == [1, 4]
    told = [(r["rule"], r["line"]) for r in task.rejects.to_pylist()]
    assert told == [("no_label/1", 2), ("no_label/1", 3)]
    assert [len(found) for found in task.kept["translations"].to_pylist()] == [2, 0]
    stray = en.replace("A cat.", "A\tcat.")
    with pytest.raises(InputError, match="line 2: 4 cells, expected 3"):
        read_task(nli(tmp_path, en=stray, de=de))


def qa(path: Path, context: str, question: str, answer: str, start: int) -> str:
    qas = [{"id": "1", "question": question, "answers": [{"text": answer, "answer_start": start}]}]
    paragraph = {"context": context, "qas": qas}
    path.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}), encoding="utf-8")
    return str(path)


def test_the_question_switches_and_the_span_stays(tmp_path) -> None:
    en = qa(tmp_path / "en.json", "A dog\nran.", "Who ran?", "dog", 2)
    ar = qa(tmp_path / "ar.json", "ركض كلب.", "من ركض؟", "كلب", 4)
    task = read_task(TaskFiles(task="qa", language="en", file=en, translations={"ar": ar}))
    (row,) = switch_task_fields(
        task.kept, config=TaskFieldSwitchConfig(token_rate=1.0)
    ).kept.to_pylist()
    assert (row["context"], row["question"]) == ("A dog\nran.", "من ركض؟")
    assert row["text"] == "A dog\nran.\nمن ركض؟"
    assert row["answers"] == [{"start": 2, "text": "dog"}]
    assert row["replacements"][0]["original"] == "Who ran?"
    wrong = qa(tmp_path / "x.json", "A dog", "Who?", "dog", 1)
    with pytest.raises(InputError, match="not at 1"):
        read_qa(wrong)
    (tmp_path / "y.json").write_text("{}")
    with pytest.raises(InputError, match="SQuAD"):
        read_qa(str(tmp_path / "y.json"))


@pytest.mark.skipif(not EVAL.exists(), reason="no ../shared/data here")
def test_rates_on_xnli_are_met_within_three_sigma() -> None:
    paths = {lang: str(EVAL / f"xnli/dev-{lang}.tsv.gz") for lang in ("de", "zh", "sw")}
    en = str(EVAL / "xnli/dev-en.tsv.gz")
    task = read_task(TaskFiles(task="nli", language="en", file=en, translations=paths))
    config = TaskFieldSwitchConfig(sentence_rate=0.7, token_rate=0.4, weights={"zh": 2.0})
    made = switch_task_fields(task.kept, config=config)
    rates, tally = rates_of(made.counters), made.counters["en"]
    for drawn, of, rate in (
        (rates.sentences_drawn, rates.sentences, 0.7),
        (rates.words_drawn, rates.words, 0.4),
        (tally["words_to_zh"], rates.words_drawn, 0.5),
    ):
        assert abs(drawn - of * rate) <= 3 * np.sqrt(of * rate * (1 - rate))
    labels = dict(zip(task.kept["text_id"].to_pylist(), task.kept["label"].to_pylist()))
    assert all(labels[r["parent_id"]] == r["label"] for r in made.kept.to_pylist())
    check_rows(made.rejects, REJECTS, "rejects")


@pytest.mark.skipif(not EVAL.exists(), reason="no ../shared/data here")
def test_real_task_files_are_read_and_written_again() -> None:
    sick = read_nli(str(EVAL / "sick/SICK.txt.gz"))
    assert (len(sick.rows), sick.header[sick.label]) == (9_840, "entailment_label")
    assert nli_lines(sick) == read_lines(str(EVAL / "sick/SICK.txt.gz"))
    assert len(read_tagged(str(EVAL / "ud_pos/de_pud-ud-test.conllu.gz"), n_cells=10)) == 1_000
    assert len(read_tagged(str(EVAL / "panx/dev-sw.tsv"), n_cells=2)) == 1_000
    with pytest.raises(InputError, match="line 1: 2 cells, expected 10"):
        read_tagged(str(EVAL / "panx/dev-sw.tsv"), n_cells=10)
