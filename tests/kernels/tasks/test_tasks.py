import json

import pytest

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.tasks import (
    TASKS,
    derive_task,
    get_task_format,
    get_text_fields,
    text_fields_of,
    undo_derive_task,
)
from bitextile.schema.errors import ConfigError, SchemaError
from derive_cases import PLAIN_CONLLU, file

BACK = [("transliterate",), ("invert",), ("permute",), ("permute", "transliterate", "invert")]


@pytest.mark.parametrize("transforms", BACK)
@pytest.mark.parametrize(
    ("task", "name", "lang"),
    [
        ("pos", "a.conllu", "en"),
        ("ner", "a.tsv", "de"),
        ("nli", "n.tsv", "fr"),
        ("qa", "q.json", "en"),
    ],
)
def test_task_files_come_back(tmp_path, task, name, lang, transforms) -> None:
    context = "The big dog barked. It didn't run away, 5m off! \u72d7 \U00020000."
    answers = [{"text": t, "answer_start": context.index(t)} for t in ("dog", "5m", "It")]
    qas = [{"id": str(n), "question": "Who ran?", "answers": [a]} for n, a in enumerate(answers)]
    qa = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}
    text = {
        "pos": PLAIN_CONLLU,
        "ner": "Anton\tB-PER\nMaria\tI-PER\nsieht\tO\nBonn\tB-LOC\nKöln\tB-LOC\n.\tO\n\n"
        "Bonn\tI-LOC\n\n",
        "nli": "L'été  vient.\tIl s'en va !\tneutral\n\tOui.\tentailment\n",
        "qa": json.dumps(qa, ensure_ascii=False, indent=1) + "\n",
    }[task]
    config = DeriveConfig(transforms=transforms)
    made = derive_task(task, file(tmp_path, text, name), lang=lang, config=config)
    assert made.lines != text.splitlines()
    derived = file(tmp_path, "\n".join(made.lines) + "\n", f"derived-{name}")
    records = file(tmp_path, "\n".join(made.records) + "\n", "derive.jsonl")
    back = undo_derive_task(task, derived, records, config=config)
    if made.counts["kept"] == made.counts["read"]:
        assert "\n".join(back).split("\n") == text.split("\n")[:-1]
    else:
        assert task == "qa"
        (paragraph,) = json.loads("\n".join(back))["data"][0]["paragraphs"]
        assert paragraph["context"] == context
        assert paragraph["qas"] == [q for q in qas if q in paragraph["qas"]]


def test_tasks_are_found_by_name_and_by_columns() -> None:
    assert [get_task_format(task.name) for task in TASKS] == list(TASKS)
    with pytest.raises(ConfigError, match="task is 'parse', expected one of pos, ner, nli, qa"):
        get_task_format("parse")
    with pytest.raises(ConfigError, match="task is 'pos', expected one of nli, qa"):
        get_text_fields("pos")
    assert text_fields_of(["text", "context", "question"]) is get_text_fields("qa")
    with pytest.raises(SchemaError, match="columns premise, text; expected"):
        text_fields_of(["premise", "text"])


def test_only_a_parse_has_syntax(tmp_path) -> None:
    config = DeriveConfig(transforms=("syntax",))
    for task in TASKS:
        if not task.parsed:
            with pytest.raises(ConfigError, match=f"task {task.name} has none"):
                derive_task(task.name, str(tmp_path / "x"), lang="en", config=config)
