"""Question answering in SQuAD's JSON: contexts, questions, and answers as spans of the context.

SQuAD, XQuAD, MLQA, TyDi QA GoldP. Derived, answers go where their words now stand; a question
whose answer no longer stands in one piece is left out. Switched, the question changes and the
context stays, so that the answer's offsets hold.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.files import read_bytes
from bitextile.kernels.tasks.records import (
    DerivedTexts,
    OriginalText,
    Records,
    derive_task_texts,
    in_first_script,
    original_text,
    to_records,
)
from bitextile.kernels.tasks.task import DerivedTask, TaskExample, TaskFormat, TextFields
from bitextile.kernels.text.private_script import transliterate
from bitextile.schema.errors import InputError
from bitextile.schema.json_file import parse_json
from bitextile.schema.kinds import list_of

ANSWERS = list_of(pa.struct([pa.field("start", pa.int32(), False), pa.field("text", pa.string())]))


def read_qa(path: str) -> dict[str, Any]:
    """Reads question answering in SQuAD's form.

    Raises:
        InputError: it is not JSON of this form, or an answer is not where it says.
    """
    try:
        data = parse_json(read_bytes(path))
        # Walked once here, so that a key that is missing is an InputError with the file's name and
        # not a KeyError in a later step.
        for context, qa in questions(data):
            for answer in qa["answers"]:
                start, text = answer["answer_start"], answer["text"]
                # Offsets are of code points, as Python counts; files that count UTF-16 units or
                # bytes fail here.
                if context[start : start + len(text)] != text:
                    raise InputError(
                        f"{path}: question {qa['id']}: the answer {text!r} is not at "
                        f"{start} of its context; correct the file or leave the question out"
                    )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not in SQuAD's form ({type(error).__name__}: {error})"
        ) from error
    return data


def questions(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each question with its context; a question has id, question and answers."""
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                yield paragraph["context"], qa


def _examples(path: str) -> list[TaskExample]:
    return [
        TaskExample(
            (context, qa["question"]),
            [{"start": a["answer_start"], "text": a["text"]} for a in qa["answers"]],
            str(qa["id"]),
        )
        for context, qa in questions(read_qa(path))
    ]


def _paragraphs(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for article in data["data"] for p in article["paragraphs"]]


def _qa_lines(data: dict[str, Any]) -> list[str]:
    return [json.dumps(data, ensure_ascii=False, indent=1)]


def _derive(path: str, lang: str, config: DeriveConfig) -> DerivedTask:
    data, counts = read_qa(path), Counter({"read": 0, "kept": 0})
    records = _derive_questions(data, path, lang, config)
    paragraphs = _paragraphs(data)
    texts = derive_task_texts([p["context"] for p in paragraphs], path, lang, config)
    records += to_records(texts, (f"context {n}" for n in range(len(paragraphs))))
    for paragraph, context in zip(paragraphs, _contexts(texts), strict=True):
        kept = []
        for qa in paragraph["qas"]:
            found = [_move_answer(answer, context) for answer in qa["answers"]]
            qa["answers"] = [answer for answer in found if answer is not None]
            # A question without answers (SQuAD 2.0) has lost none and is kept.
            if qa["answers"] or not found:
                kept.append(qa)
        counts.update(read=len(paragraph["qas"]), kept=len(kept))
        paragraph["context"], paragraph["qas"] = context.derived, kept
    if counts["read"] > counts["kept"]:
        counts["answer_scattered"] = counts["read"] - counts["kept"]
    return DerivedTask(_qa_lines(data), dict(counts), records)


def _derive_questions(
    data: dict[str, Any], path: str, lang: str, config: DeriveConfig
) -> list[str]:
    """Puts derived questions in the place of a file's questions; returns their records."""
    asked = [qa for _, qa in questions(data)]
    texts = derive_task_texts([qa["question"] for qa in asked], path, lang, config)
    records = to_records(texts, (f"question {qa['id']}" for qa in asked))
    for qa, text in zip(asked, texts.derived.texts.to_pylist(), strict=True):
        qa["question"] = text
    return records


class _Context(NamedTuple):
    """A context before and after it was derived.

    Attributes:
        original: text as it was.
        derived: text as it is now.
        original_spans: [words, 2] in `original`.
        derived_spans: of the words in `derived`.
        source_index: for each of them the number of the word it was.
    """

    original: str
    derived: str
    original_spans: I64
    derived_spans: list[dict[str, int]]
    source_index: list[int]


def _contexts(texts: DerivedTexts) -> Iterator[_Context]:
    words, derived = texts
    for row, source_index in enumerate(texts.source_indices()):
        low, high = words.words[row : row + 2]
        base, end = words.texts.offsets[row : row + 2]
        original = words.texts.points[base:end].tobytes().decode("utf-32-le")
        spans = np.stack([words.starts[low:high], words.ends[low:high]], axis=1) - base
        now = derived.texts[row].as_py(), spans, derived.spans[row].as_py()
        yield _Context(original, *now, source_index)


def _move_answer(answer: dict[str, Any], context: _Context) -> dict[str, Any] | None:
    """Returns an answer where its words now stand, None if they no longer stand together."""
    start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
    order, old = context.source_index, context.original_spans
    # The words stand as they did, so any span can be moved, parts of words too. In the private
    # script only rarer Han changes its length; `places` of `transliterate` says by how much.
    if order == sorted(order):
        moved = start, end
        if context.derived != context.original:
            points = np.frombuffer(context.original.encode("utf-32-le"), np.uint32)
            moved = tuple(transliterate(points)[1][[start, end]].tolist())
    else:
        # In another order only whole words have a place: those that the answer touches must lie
        # within it.
        inside = np.flatnonzero((old[:, 0] < end) & (old[:, 1] > start))
        whole = len(inside) and old[inside[0], 0] >= start and old[inside[-1], 1] <= end
        # Together, in whatever order: the answer is then a span of the context again.
        places = sorted(order.index(word) for word in inside.tolist())
        if not whole or places[-1] - places[0] + 1 != len(places):
            return None
        moved = context.derived_spans[places[0]]["start"], context.derived_spans[places[-1]]["end"]
    return {**answer, "answer_start": moved[0], "text": context.derived[moved[0] : moved[1]]}


def _undo_derive(path: str, records: Records, config: DeriveConfig) -> list[str]:
    data = read_qa(path)
    for _, qa in questions(data):
        name = f"question {qa['id']}"
        qa["question"] = original_text(qa["question"], name, records, config).text
    for n, paragraph in enumerate(_paragraphs(data)):
        name, derived = f"context {n}", paragraph["context"]
        original = original_text(derived, name, records, config)
        spans = records[name]["words"]
        for qa in paragraph["qas"]:
            qa["answers"] = [
                _move_answer_back(answer, derived, original, spans, config)
                for answer in qa["answers"]
            ]
        paragraph["context"] = original.text
    return _qa_lines(data)


def _move_answer_back(
    answer: dict[str, Any],
    derived: str,
    original: OriginalText,
    spans: list[list[int]],
    config: DeriveConfig,
) -> dict[str, Any]:
    """Returns an answer where it stood: the span from its first word to its last."""
    start, end = answer["answer_start"], answer["answer_start"] + len(answer["text"])
    if original.derived_index == sorted(original.derived_index):
        length = len(in_first_script(derived[start:end], config))
        # Lengths in the first script, as rarer Han takes two code points in the private one.
        start = len(in_first_script(derived[:start], config))
        end = start + length
    else:
        words = enumerate(original.derived_index)
        inside = [word for word, place in words if start <= spans[place][0] < end]
        start, end = original.starts[inside[0]], original.ends[inside[-1]]
    return {**answer, "answer_start": start, "text": original.text[start:end]}


QA = TaskFormat(
    name="qa",
    doc="SQuAD's JSON",
    derive=_derive,
    undo_derive=_undo_derive,
    fields=TextFields(
        names=("context", "question"),
        switchable=("question",),
        label=pa.field("answers", ANSWERS, False),
        read=_examples,
        by_line=False,
    ),
)
