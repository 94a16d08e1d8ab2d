"""Natural-language inference: lines of premise TAB hypothesis TAB label, with or without a header.

SNLI, MNLI, XNLI, PAWS-X (XTREME's form), SICK. Derived, both sentences change and the label stays;
so premise and hypothesis may each be switched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.rejects import Filtered, join, split_rejects
from bitextile.kernels.tasks.files import read_lines
from bitextile.kernels.tasks.records import Records, derive_task_texts, original_text, to_records
from bitextile.kernels.tasks.task import DerivedTask, TaskExample, TaskFormat, TextFields
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.errors import InputError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO

NO_SENTENCE = ("", "NS")
"""What PAWS-X has in place of a sentence that was not translated."""

NO_CONSENSUS = ("", "-")
"""Labels that are no class: an empty cell, and what SNLI has where annotators disagreed."""

KNOWN_LABELS = (
    frozenset({"entailment", "neutral", "contradiction"}),
    # As the machine-translated training data of XNLI have it.
    frozenset({"entailment", "neutral", "contradictory"}),
    frozenset({"entailment", "not_entailment"}),
    frozenset({"0", "1", "2"}),
)
"""Sets of labels of published data, in lower case."""

_NAMES = (
    ("premise", "sentence1", "sentence_a"),
    ("hypothesis", "sentence2", "sentence_b"),
    ("label", "gold_label", "entailment_label"),
)
"""What a line of names may call the three columns, in lower case."""


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

    @property
    def labels(self) -> list[str]:
        """The label of each row, "" where it has none."""
        return classes_of([row[self.label] for row in self.rows])


def classes_of(labels: Sequence[str]) -> list[str]:
    """Returns labels without space around them, "" in place of one that is no class.

    >>> classes_of(["neutral ", "-", "entailment", ""])
    ['neutral', '', 'entailment', '']
    >>> classes_of(["0", "1", "2", "-1"]), classes_of(["0", "1", "-1"])
    (['0', '1', '2', ''], ['0', '1', '-1'])
    """
    found = [label.strip() for label in labels]
    # Hugging Face's copy of SNLI numbers its labels and has -1 for "-"; elsewhere -1 is a class.
    none = (*NO_CONSENSUS, "-1") if {"0", "1", "2"}.issubset(found) else NO_CONSENSUS
    return ["" if label in none else label for label in found]


def read_nli(path: str) -> NliTable:
    """Reads an NLI file, with or without a line of names.

    Raises:
        InputError: a line has other cells than the line of names, or than three where there is
            none, the first line has names that are not those of the columns, or the file is empty.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    if not rows:
        raise InputError(f"{path}: empty, expected lines of premise TAB hypothesis TAB label")
    columns = _named_columns(path, rows[0])
    header = tuple(rows[0]) if columns else ()
    rows = rows[1:] if columns else rows
    _refuse_cells(path, rows, header)
    table = NliTable(header, rows, *(columns or (0, 1, 2)))
    if not header:
        _refuse_names(path, table.labels)
    return table


def _named_columns(path: str, cells: Sequence[str]) -> tuple[int, int, int] | None:
    """Returns the numbers of premise, hypothesis and label in a line of names; None if it is none.

    Raises:
        InputError: it names two of the three.
    """
    names = [cell.strip().lower() for cell in cells]
    found = [next((names.index(n) for n in known if n in names), -1) for known in _NAMES]
    missing = [known[0] for known, column in zip(_NAMES, found) if column < 0]
    # One of the names alone says nothing: a premise may well be the word "label".
    if len(missing) > 1:
        return None
    if missing:
        raise InputError(
            f"{path}, line 1: names {', '.join(cells)}, none of them the {missing[0]}; expected "
            "premise, hypothesis and label, or lines of these three without a line of names"
        )
    premise, hypothesis, label = found
    return premise, hypothesis, label


def _refuse_cells(path: str, rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    expected = len(header) or 3
    # Lines are counted as an editor does, the header included.
    for line, row in enumerate(rows, 2 if header else 1):
        if len(row) != expected:
            # One cell more or less and what follows is read from the wrong column.
            columns = "as line 1 names" if header else "premise, hypothesis and label between tabs"
            raise InputError(
                f"{path}, line {line}: {len(row)} cells, expected {expected} ({columns}); a text "
                "must hold no tab"
            )


def _refuse_names(path: str, labels: Sequence[str]) -> None:
    first, others = labels[0], set(labels[1:])
    if len(labels) < 3 or not first or first in others:
        return
    if not any(first.lower() in known for known in KNOWN_LABELS):
        known = ", ".join(sorted(others - {""})[:8])
        raise InputError(
            f"{path}, line 1: the label {first!r} occurs nowhere else (others are {known}); if "
            "the line holds names, call them premise, hypothesis and label, or take it out"
        )


def nli_sentences(path: str, *, lang: str) -> Filtered:
    """Returns the fields of an NLI file as sentences, each once, for commands that take sentences.

    Args:
        path: the file.
        lang: BCP-47 tag of its text.

    Returns:
        Kept: rows of MONO, normalised, premise before hypothesis, split "train". Rejects:
        "no_label/1" (fields of a row that has no class), "no_sentence/1" (value: characters),
        "duplicate/1" (value: the line it stood on first).

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
    # Premise, hypothesis, premise, ...: a duplicate names the line it stood on first.
    texts, lines, fields = map(list, zip(*cells))
    text, n = normalise_text(pa.array(texts, pa.string())), len(texts)
    ids = text_ids(lang, text)
    columns = [ids, pa.repeat(lang, n), text, pa.repeat("nli", n), pa.repeat(path, n)]
    columns += [pa.array(lines, pa.int64()), pa.repeat("train", n)]
    batch = pa.RecordBatch.from_arrays(columns, schema=MONO.schema)
    # Nothing is learned from a row without a class, so that its words need no candidates.
    known = np.repeat([bool(label) for label in table.labels], 2)
    batch, unlabelled = split_rejects(batch, known, rule="no_label/1", value=0.0, detail=fields)
    fields = [name for name, has in zip(fields, known) if has]
    # After normalisation, which may leave nothing of a cell of spaces.
    spoken = np.array([t not in NO_SENTENCE for t in batch.column("text").to_pylist()], bool)
    size = pc.utf8_length(batch.column("text")).to_numpy().astype(float)
    some, silent = split_rejects(batch, spoken, rule="no_sentence/1", value=size, detail=fields)
    first: dict[str, int] = {}
    kept_ids = some.column("text_id").to_pylist()
    where = [first.setdefault(i, place) for place, i in enumerate(kept_ids)]
    # `where` is the place a text had first; at its own place a row is that first one.
    own = np.arange(some.num_rows) == where
    at = some.column("line").to_numpy()[where].astype(float)
    named = [name for name, has in zip(fields, spoken) if has]
    kept, again = split_rejects(some, own, rule="duplicate/1", value=at, detail=named)
    return Filtered(kept, join([unlabelled, silent, again]))


def nli_lines(table: NliTable) -> list[str]:
    """Returns a table as the lines of its file."""
    head = ["\t".join(table.header)] if table.header else []
    return [*head, *("\t".join(row) for row in table.rows)]


def _examples(path: str) -> list[TaskExample]:
    table = read_nli(path)
    return [
        TaskExample((row[table.premise], row[table.hypothesis]), label, str(line))
        for line, (row, label) in enumerate(zip(table.rows, table.labels))
    ]


def _labels_agree(label: str, translated: str) -> bool:
    return label == translated


def _derive(path: str, lang: str, config: DeriveConfig) -> DerivedTask:
    table, records = read_nli(path), []
    for column in (table.premise, table.hypothesis):
        texts = derive_task_texts([row[column] for row in table.rows], path, lang, config)
        for row, text in zip(table.rows, texts.derived.texts.to_pylist(), strict=True):
            row[column] = text
        records += to_records(texts, (f"{n} {column}" for n in range(len(table.rows))))
    counts = {"read": len(table.rows), "kept": len(table.rows)}
    return DerivedTask(nli_lines(table), counts, records)


def _undo_derive(path: str, records: Records, config: DeriveConfig) -> list[str]:
    table = read_nli(path)
    for n, row in enumerate(table.rows):
        for column in (table.premise, table.hypothesis):
            row[column] = original_text(row[column], f"{n} {column}", records, config).text
    return nli_lines(table)


NLI = TaskFormat(
    name="nli",
    doc="TSV of premise, hypothesis, label",
    derive=_derive,
    undo_derive=_undo_derive,
    fields=TextFields(
        names=("premise", "hypothesis"),
        switchable=("premise", "hypothesis"),
        label=pa.field("label", pa.string(), False),
        read=_examples,
        by_line=True,
        labels_agree=_labels_agree,
        has_label=bool,
    ),
)
