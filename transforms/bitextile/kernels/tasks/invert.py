"""The way back from derived task files: the text, words, tags and spans they were made from.

A derived file alone does not say where its words begin and which spaces stood there before, so
`derive_task` keeps a record of each text; with it any order and script is undone. What a derived
file cannot hold does not come back: word ranges, empty nodes and enhanced dependencies of CoNLL-U,
and questions that were left out.
"""

import json
from typing import Any, NamedTuple

import numpy as np

from bitextile.kernels.derive.rows import DeriveConfig
from bitextile.kernels.tasks.files import (
    Tagged,
    nli_lines,
    questions,
    read_lines,
    read_nli,
    read_qa,
    read_tagged,
    tagged_lines,
)
from bitextile.kernels.text.private_script import transliterate_text_back
from bitextile.schema.errors import ConfigError, InputError

_ID, _FORM, _LEMMA, _HEAD, _MISC, _COLUMNS = 0, 1, 2, 6, 9, {"pos": 10, "ner": 2}


class _Text(NamedTuple):
    """A text as it was: its words, where each stands, and for each where it stood when derived."""

    text: str
    starts: list[int]
    ends: list[int]
    came: list[int]


def restore_task(task: str, path: str, records: str, *, config: DeriveConfig) -> list[str]:
    """Undoes `derive_task`.

    Args:
        task: "pos", "ner", "nli" or "qa".
        path: the derived file.
        records: the file with the `records` of `derive_task`, a JSON object in each line.
        config: what the file was derived with.

    Returns:
        The lines of the file as it was, but for what a derived file cannot hold.

    Raises:
        InputError: the records are those of another file.
        ConfigError: an unknown task.
    """
    makers = {"pos": _tagged, "ner": _tagged, "nli": _nli, "qa": _qa}
    if task not in makers:
        raise ConfigError(f"task is {task!r}, expected one of {', '.join(makers)}")
    found = {record["name"]: record for record in map(json.loads, read_lines(records))}
    return makers[task](task, path, found, "transliterate" in config.transforms)


def _text_before(text: str, name: str, records: dict[str, Any], script: bool) -> _Text:
    """Returns a text as it was before it was derived."""
    if (record := records.get(name)) is None:
        raise InputError(f"no record named {name!r}: these records belong to another file")
    spans, was, gaps = record["words"], record["was"], record["gaps"]
    if sorted(was) != list(range(len(spans))) or any(end > len(text) for _, end in spans):
        raise InputError(f"record {name!r} does not fit its text; it belongs to another file")
    came = np.argsort(was).tolist()
    before, starts, ends = gaps[0], [], []
    for place, gap in zip(came, gaps[1:], strict=True):
        starts.append(len(before))
        before += _untransliterated(text[slice(*spans[place])], script)
        ends.append(len(before))
        before += gap
    return _Text(before, starts, ends, came)


def _untransliterated(text: str, script: bool) -> str:
    return transliterate_text_back(text) if script else text


def _tagged(task: str, path: str, records: dict[str, Any], script: bool) -> list[str]:
    new = []
    for n, sentence in enumerate(read_tagged(path, n_cells=_COLUMNS[task])):
        comment = [c for c in sentence.comments if c.startswith("# text = ")]
        text = comment[0].removeprefix("# text = ") if comment else _spaced(sentence)
        before = _text_before(text, str(n), records, script)
        if len(before.came) != len(sentence.rows):
            raise InputError(f"{path}: sentence {n + 1} has other words than its record")
        rows = [list(sentence.rows[place]) for place in before.came]
        tags = records[str(n)].get("tags")
        for at, cells in enumerate(rows):
            if tags is not None:
                cells[:] = [_untransliterated(cells[0], script), tags[at]]
            else:
                _untie(cells, at, before, records[str(n)]["was"], script)
        comments = [c if c not in comment else f"# text = {before.text}" for c in sentence.comments]
        new.append(Tagged(comments, rows))
    return tagged_lines(new)


def _spaced(sentence: Tagged) -> str:
    return " ".join(row[0] for row in sentence.rows)


def _untie(cells: list[str], at: int, before: _Text, was: list[int], script: bool) -> None:
    """Puts the cells of a CoNLL-U word back: its number, head, form, lemma and space."""
    head = int(cells[_HEAD]) if cells[_HEAD].isdecimal() else -1
    cells[_ID] = str(at + 1)
    cells[_HEAD] = cells[_HEAD] if head < 1 else str(was[head - 1] + 1)
    for cell in (_FORM, _LEMMA):
        cells[cell] = _untransliterated(cells[cell], script)
    rest = [item for item in cells[_MISC].split("|") if item not in ("_", "SpaceAfter=No")]
    touches = at + 1 < len(before.starts) and before.starts[at + 1] == before.ends[at]
    cells[_MISC] = "|".join([*rest, *(["SpaceAfter=No"] if touches else [])]) or "_"


def _nli(_: str, path: str, records: dict[str, Any], script: bool) -> list[str]:
    table = read_nli(path)
    for n, row in enumerate(table.rows):
        for number in (table.premise, table.hypothesis):
            row[number] = _text_before(row[number], f"{n} {number}", records, script).text
    return nli_lines(table)


def _qa(_: str, path: str, records: dict[str, Any], script: bool) -> list[str]:
    data = read_qa(path)
    for _, qa in questions(data):
        name = f"question {qa['id']}"
        qa["question"] = _text_before(qa["question"], name, records, script).text
    paragraphs = [p for article in data["data"] for p in article["paragraphs"]]
    for n, paragraph in enumerate(paragraphs):
        before = _text_before(paragraph["context"], f"context {n}", records, script)
        for qa in paragraph["qas"]:
            spans = records[f"context {n}"]["words"]
            qa["answers"] = [
                _answer(a, paragraph["context"], before, spans, script) for a in qa["answers"]
            ]
        paragraph["context"] = before.text
    return [json.dumps(data, ensure_ascii=False, indent=1)]


def _answer(
    answer: dict[str, Any], context: str, before: _Text, spans: list[list[int]], script: bool
) -> dict[str, Any]:
    """Returns an answer where it stood: the stretch from its first word to its last."""
    start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
    if before.came == sorted(before.came):
        length = len(_untransliterated(context[start:end], script))
        start = len(_untransliterated(context[:start], script))
        end = start + length
    else:
        inside = [at for at, p in enumerate(before.came) if start <= spans[p][0] < end]
        start, end = before.starts[inside[0]], before.ends[inside[-1]]
    return {**answer, "answer_start": start, "text": before.text[start:end]}
