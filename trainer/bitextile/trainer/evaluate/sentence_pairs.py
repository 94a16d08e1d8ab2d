"""Labelled sentence pairs, from files and datasets: rows of premise, hypothesis and label."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.tasks.nli import NO_SENTENCE, read_nli
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError, SchemaError
from bitextile.schema.ids import stable_id, text_ids
from bitextile.schema.kinds import CODESWITCH
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists, file_sha256
from bitextile.trainer.evaluate.task import TaskData
from bitextile.trainer.finetune.config import TaskSource

FIELDS = ("premise", "hypothesis")
UNKNOWN = "und"
"""BCP-47 for a language that nobody has named; of files that are only scored."""

SENTENCE_PAIRS = pa.schema(
    [
        pa.field(name, pa.string(), False)
        for name in ("record", "premise_id", "hypothesis_id", *FIELDS, "label")
    ]
)
"""Columns: the id of the row, `text_id` and text of both fields, the label."""


def read_source(source: TaskSource) -> TaskData:
    """Reads what a configuration names as training data.

    Raises:
        InputError: a file is not of its form, or has no row.
        DatasetError: a dataset is not whole, or no task data.
    """
    if source.dataset is not None:
        return _read_dataset(source.dataset)
    return read_file(str(source.file), language=str(source.language))  # TaskSource has both


def read_file(path: str, *, language: str = UNKNOWN) -> TaskData:
    """Reads a task file: lines of premise TAB hypothesis TAB label, a line of names or none.

    Text is normalised as `ingest` does it, so that a field has the id its candidates have.

    Args:
        path: plain or compressed.
        language: BCP-47 tag of the text.

    Raises:
        InputError: it is not of this form, or no row is left.
    """
    if exists(f"{path}/{FILE_NAME}"):
        raise InputError(f"{path}: is a dataset, expected a TSV file; name it as dataset")
    table = read_nli(path)
    labels = [row[table.label].strip() for row in table.rows]
    if not table.header:
        _refuse_cells(path, table.rows)
        _refuse_header(path, labels)
    premises, hypotheses = (
        [row[column] for row in table.rows] for column in (table.premise, table.hypothesis)
    )
    rows = _rows(language, premises, hypotheses, labels)
    return _sentences_only(path, rows, f"sha256:{file_sha256(path)}")


def _refuse_cells(path: str, rows: Sequence[Sequence[str]]) -> None:
    for line, row in enumerate(rows, 1):
        if len(row) != 3:
            raise InputError(
                f"{path}, line {line}: {len(row)} cells, expected 3 (premise, hypothesis and label "
                "between tabs); a text must hold no tab"
            )


def _refuse_header(path: str, labels: Sequence[str]) -> None:
    if len(labels) > 2 and labels[0] not in labels[1:]:
        known = ", ".join(sorted(set(labels[1:]))[:8])
        raise InputError(
            f"{path}, line 1: the label {labels[0]!r} occurs nowhere else (others are {known}); if "
            "the line holds names, call them premise, hypothesis and label, or take it out"
        )


def _read_dataset(path: str) -> TaskData:
    dataset = open_dataset(path, CODESWITCH)
    table = dataset.table()
    if missing := [name for name in (*FIELDS, "label") if name not in table.column_names]:
        raise SchemaError(
            f"{path}: has no column {' or '.join(missing)}, so it holds no sentence pairs with "
            "labels; expected what `codeswitch --method task-field --task nli` writes"
        )
    parts = []
    # By language, which is part of a text's id.
    for language in sorted(table.column("matrix_lang").unique().to_pylist()):
        part = table.filter(pc.equal(table.column("matrix_lang"), language)).combine_chunks()
        premises, hypotheses, labels = (
            part.column(name).to_pylist() for name in (*FIELDS, "label")
        )
        parts.append(_rows(language, premises, hypotheses, [label.strip() for label in labels]))
    rows = pa.concat_tables(parts) if parts else SENTENCE_PAIRS.empty_table()
    return _sentences_only(path, rows, dataset.manifest.digest)


def _rows(
    language: str, premises: Sequence[str], hypotheses: Sequence[str], labels: Sequence[str]
) -> pa.Table:
    fields = [normalise_text(pa.array(f, pa.string())) for f in (premises, hypotheses)]
    pairs = zip(*(f.to_pylist() for f in fields))
    # As the rows of `codeswitch --method task-field` have it.
    records = [stable_id(f"{language}\x1f{premise}\n{hypothesis}") for premise, hypothesis in pairs]
    ids = [text_ids(language, f) for f in fields]
    columns = [pa.array(records, pa.string()), *ids, *fields]
    return pa.Table.from_arrays([*columns, pa.array(labels, pa.string())], schema=SENTENCE_PAIRS)


def _sentences_only(path: str, rows: pa.Table, digest: str) -> TaskData:
    none = pa.array(NO_SENTENCE, pa.string())
    empty = pc.or_(*(pc.is_in(rows.column(name), none) for name in FIELDS))
    kept = rows.filter(pc.invert(empty)).combine_chunks()
    if not len(kept):
        raise InputError(
            f"{path}: no row with two sentences among {len(rows)}; expected lines of premise TAB "
            "hypothesis TAB label"
        )
    return TaskData(path, kept, len(rows) - len(kept), digest)


def labels_of(data: Sequence[TaskData]) -> tuple[str, ...]:
    """Returns the labels of the training data, sorted; their places are the classes.

    Raises:
        InputError: there is one label only.
    """
    counts = Counter(label for part in data for label in part.rows.column("label").to_pylist())
    if len(counts) < 2:
        only = next(iter(counts))
        raise InputError(f"{data[0].path}: every row has the label {only!r}; nothing to tell apart")
    return tuple(sorted(counts))


def classes(data: TaskData, labels: Sequence[str]) -> np.ndarray:
    """Returns [n] the class of each row.

    Raises:
        InputError: a label is none of `labels`.
    """
    found = pc.index_in(data.rows.column("label"), pa.array(labels, pa.string()))
    if found.null_count:
        row = pc.index(pc.is_null(found), True).as_py()
        got = data.rows.column("label")[row].as_py()
        raise InputError(
            f"{data.path}: a row has the label {got!r}, but the model knows {', '.join(labels)}; "
            f"its premise begins {data.rows.column('premise')[row].as_py()[:40]!r}"
        )
    return found.to_numpy().astype(np.int64)
