"""Task data as it is published: NLI in TSV, question answering in SQuAD's JSON, tagged words.

    nli   premise TAB hypothesis TAB label                       XNLI, PAWS-X (XTREME's form), SICK
    qa    {"data": [{"paragraphs": [{"context", "qas"}]}]}       SQuAD, XQuAD, MLQA, TyDi QA GoldP
    ner   word TAB tag, an empty line between sentences          PAN-X, CoNLL
    pos   CoNLL-U                                                Universal Dependencies

Read whole: task data fit in memory. A file that is not of its form is refused with the line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.rejects import Filtered, join, split_rejects
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.errors import InputError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO
from bitextile.schema.storage import filesystem

MAX_JSON_BYTES = 1 << 29
"""SQuAD's training part, the largest in use, has 30 MB; untrusted files get no more than this."""

NO_SENTENCE = ("", "NS")
"""What PAWS-X has in place of a sentence that was not translated."""

_PREMISE = ("premise", "sentence1", "sentence_A")
_HYPOTHESIS = ("hypothesis", "sentence2", "sentence_B")
_LABEL = ("label", "gold_label", "entailment_label")


@dataclass(frozen=True)
class NliTable:
    """Rows of an NLI file.

    Attributes:
        header: names, or empty.
        rows: cells of each line, as they are.
        premise: number of its column.
        hypothesis: likewise.
        label: likewise.
    """

    header: tuple[str, ...]
    rows: list[list[str]]
    premise: int
    hypothesis: int
    label: int


@dataclass(frozen=True)
class Tagged:
    """One sentence of a file of tagged words.

    Attributes:
        comments: lines that begin with "#" (CoNLL-U).
        rows: cells of each word's line; in CoNLL-U also of word ranges and empty nodes.
    """

    comments: list[str]
    rows: list[list[str]]


def read_lines(path: str) -> list[str]:
    """Returns the lines of a text file, which may be compressed.

    Raises:
        InputError: the file is missing or damaged, or a line is not UTF-8 or too long.
    """
    source = CorpusSource(
        corpus="task", languages=("und",), files=(path,), names=(path,), format="lines"
    )
    lines: list[str] = []
    for kept, rejects in read_corpus(source):
        if rejects.num_rows:
            bad = rejects.slice(0, 1).to_pylist()[0]
            raise InputError(f"{path}, line {bad['line']}: {bad['rule']}, {bad['detail']}")
        lines += kept.column("text").to_pylist()
    return lines


def read_nli(path: str) -> NliTable:
    """Reads an NLI file, with or without a line of names.

    Raises:
        InputError: a line has fewer cells than there are columns, or the file is empty.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    if not rows:
        raise InputError(f"{path}: empty, expected lines of premise TAB hypothesis TAB label")
    names = rows[0]
    found = [
        next((names.index(name) for name in known if name in names), -1)
        for known in (_PREMISE, _HYPOTHESIS, _LABEL)
    ]
    header = tuple(names) if min(found) >= 0 else ()
    columns = found if header else [0, 1, 2]
    rows = rows[1:] if header else rows
    for line, row in enumerate(rows, 2 if header else 1):
        if len(row) <= max(columns):
            raise InputError(
                f"{path}, line {line}: {len(row)} cells, expected {max(columns) + 1} or more "
                "(premise, hypothesis and label between tabs)"
            )
    return NliTable(header, rows, *columns)


def nli_sentences(path: str, *, lang: str) -> Filtered:
    """Returns the fields of an NLI file as sentences, each once, for commands that take sentences.

    Args:
        path: the file.
        lang: BCP-47 tag of its text.

    Returns:
        Kept: rows of MONO, normalised, premise before hypothesis, split "train". Rejects:
        "no_sentence/1" (value: characters), "duplicate/1" (value: the line it stood on first).

    Raises:
        InputError: as `read_nli`.
    """
    table = read_nli(path)
    begin = 2 if table.header else 1
    cells = [
        (row[column], line, name)
        for line, row in enumerate(table.rows, begin)
        for column, name in ((table.premise, "premise"), (table.hypothesis, "hypothesis"))
    ]
    texts, lines, fields = map(list, zip(*cells))
    text, n = normalise_text(pa.array(texts, pa.string())), len(texts)
    ids = text_ids(lang, text)
    columns = [ids, pa.repeat(lang, n), text, pa.repeat("nli", n), pa.repeat(path, n)]
    columns += [pa.array(lines, pa.int64()), pa.repeat("train", n)]
    batch = pa.RecordBatch.from_arrays(columns, schema=MONO.schema)
    spoken = np.array([t not in NO_SENTENCE for t in text.to_pylist()])
    size = pc.utf8_length(text).to_numpy().astype(float)
    some, silent = split_rejects(batch, spoken, rule="no_sentence/1", value=size, detail=fields)
    first: dict[str, int] = {}
    kept_ids = some.column("text_id").to_pylist()
    where = [first.setdefault(i, place) for place, i in enumerate(kept_ids)]
    own = np.arange(some.num_rows) == where
    at = some.column("line").to_numpy()[where].astype(float)
    named = [name for name, has in zip(fields, spoken) if has]
    kept, again = split_rejects(some, own, rule="duplicate/1", value=at, detail=named)
    return Filtered(kept, join([silent, again]))


def nli_lines(table: NliTable) -> list[str]:
    """Returns a table as the lines of its file."""
    head = ["\t".join(table.header)] if table.header else []
    return [*head, *("\t".join(row) for row in table.rows)]


def read_qa(path: str) -> dict[str, Any]:
    """Reads question answering in SQuAD's form.

    Raises:
        InputError: it is not JSON of this form, or an answer is not where it says.
    """
    try:
        data = json.loads(_content(path))
        for context, qa in questions(data):
            for answer in qa["answers"]:
                start, text = answer["answer_start"], answer["text"]
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


def _content(path: str) -> bytes:
    """Returns a whole file, unpacked; JSON may be one line of any length."""
    filesystem_, place = filesystem(path)
    try:
        with filesystem_.open_input_stream(place, compression="detect") as stream:
            content = stream.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if len(content) > MAX_JSON_BYTES:
        raise InputError(f"{path}: more than {MAX_JSON_BYTES >> 20} MiB; split it into parts")
    return content


def questions(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each question with its context; a question has id, question and answers."""
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                yield paragraph["context"], qa


def read_tagged(path: str, *, n_cells: int) -> list[Tagged]:
    """Reads sentences of tagged words: CoNLL-U (10 cells) or word and tag (2).

    Raises:
        InputError: a line has another number of cells.
    """
    sentences: list[Tagged] = []
    comments: list[str] = []
    rows: list[list[str]] = []
    for line, text in enumerate([*read_lines(path), ""], 1):
        cells = text.split("\t")
        if not text.strip():
            if rows:
                sentences.append(Tagged(comments, rows))
            comments, rows = [], []
        elif n_cells == 10 and text.startswith("#"):
            comments.append(text)
        elif len(cells) != n_cells:
            raise InputError(f"{path}, line {line}: {len(cells)} cells, expected {n_cells}")
        else:
            rows.append(cells)
    return sentences


def tagged_lines(sentences: list[Tagged]) -> list[str]:
    """Returns sentences as the lines of their file."""
    lines: list[str] = []
    for sentence in sentences:
        lines += [*sentence.comments, *("\t".join(row) for row in sentence.rows), ""]
    return lines
