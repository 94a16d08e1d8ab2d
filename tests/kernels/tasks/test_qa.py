import json

import pytest

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.qa import read_qa
from bitextile.kernels.tasks.tasks import derive_task
from bitextile.kernels.text.private_script import transliterate_text
from bitextile.schema.errors import InputError
from derive_cases import file


def test_answers_are_carried_along(tmp_path) -> None:
    context = "The big dog barked. It ran away quickly!"
    answers = ["big dog", "ran away", "og bark", "dog barked. It"]
    qas = [
        {
            "id": str(n),
            "question": "Who ran?",
            "answers": [{"text": a, "answer_start": context.index(a)}],
        }
        for n, a in enumerate(answers)
    ]
    data = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}
    path = file(tmp_path, json.dumps(data), "q.json")
    made = derive_task("qa", path, lang="en", config=DeriveConfig(transforms=("invert",)))
    (paragraph,) = json.loads("\n".join(made.lines))["data"][0]["paragraphs"]
    assert paragraph["context"] == "barked dog big The. quickly away ran It!"
    found = {qa["id"]: qa["answers"][0] for qa in paragraph["qas"]}
    assert {n: a["text"] for n, a in found.items()} == {"0": "dog big", "1": "away ran"}
    assert made.counts == {"read": 4, "kept": 2, "answer_scattered": 2}
    made = derive_task("qa", path, lang="en", config=DeriveConfig())
    (paragraph,) = json.loads("\n".join(made.lines))["data"][0]["paragraphs"]
    assert [qa["answers"][0]["text"] for qa in paragraph["qas"]] == [
        transliterate_text(a) for a in answers
    ]
    for qa in paragraph["qas"]:
        (answer,) = qa["answers"]
        end = answer["answer_start"] + len(answer["text"])
        assert paragraph["context"][answer["answer_start"] : end] == answer["text"]


def test_an_answer_that_is_not_where_it_says_is_refused(tmp_path) -> None:
    qa = {"id": "7", "question": "?", "answers": [{"text": "dog", "answer_start": 1}]}
    data = {"data": [{"paragraphs": [{"context": "a dog", "qas": [qa]}]}]}
    with pytest.raises(InputError, match="question 7: the answer 'dog' is not at 1"):
        read_qa(file(tmp_path, json.dumps(data), "q.json"))
    with pytest.raises(InputError, match="not in SQuAD's form"):
        read_qa(file(tmp_path, '{"data": 3}', "p.json"))
