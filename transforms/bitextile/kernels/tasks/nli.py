"""Natural-language inference: lines of premise TAB hypothesis TAB label, with or without a header.

XNLI, PAWS-X (XTREME's form), SICK. Derived, both sentences change and the label stays; so premise
and hypothesis may each be switched.
"""

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
    # All three names must be there: a premise may well be the word "label".
    header = tuple(names) if min(found) >= 0 else ()
    columns = found if header else [0, 1, 2]
    rows = rows[1:] if header else rows
    # Lines are counted as an editor does, the header included.
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
    # Premise, hypothesis, premise, ...: a duplicate names the line it stood on first.
    texts, lines, fields = map(list, zip(*cells))
    text, n = normalise_text(pa.array(texts, pa.string())), len(texts)
    ids = text_ids(lang, text)
    columns = [ids, pa.repeat(lang, n), text, pa.repeat("nli", n), pa.repeat(path, n)]
    columns += [pa.array(lines, pa.int64()), pa.repeat("train", n)]
    batch = pa.RecordBatch.from_arrays(columns, schema=MONO.schema)
    # After normalisation, which may leave nothing of a cell of spaces.
    spoken = np.array([t not in NO_SENTENCE for t in text.to_pylist()])
    size = pc.utf8_length(text).to_numpy().astype(float)
    some, silent = split_rejects(batch, spoken, rule="no_sentence/1", value=size, detail=fields)
    first: dict[str, int] = {}
    kept_ids = some.column("text_id").to_pylist()
    where = [first.setdefault(i, place) for place, i in enumerate(kept_ids)]
    # `where` is the place a text had first; at its own place a row is that first one.
    own = np.arange(some.num_rows) == where
    at = some.column("line").to_numpy()[where].astype(float)
    named = [name for name, has in zip(fields, spoken) if has]
    kept, again = split_rejects(some, own, rule="duplicate/1", value=at, detail=named)
    return Filtered(kept, join([silent, again]))


def nli_lines(table: NliTable) -> list[str]:
    """Returns a table as the lines of its file."""
    head = ["\t".join(table.header)] if table.header else []
    return [*head, *("\t".join(row) for row in table.rows)]


def _examples(path: str) -> list[TaskExample]:
    table = read_nli(path)
    return [
        TaskExample((row[table.premise], row[table.hypothesis]), row[table.label], str(line))
        for line, row in enumerate(table.rows)
    ]


def _labels_agree(label: str, translated: str) -> bool:
    return label.strip() == translated.strip()


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
    ),
)
