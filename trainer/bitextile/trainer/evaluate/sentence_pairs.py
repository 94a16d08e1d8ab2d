"""Labelled sentence pairs, from files and datasets: rows of premise, hypothesis and label."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.tasks.nli import KNOWN_LABELS, NO_SENTENCE, classes_of, read_nli
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
_HANDFUL = 4
_MANY = 20
"""A label of at most four rows, in data of twenty times as many, is rather a slip than a class."""
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
    premises, hypotheses = (
        [row[column] for row in table.rows] for column in (table.premise, table.hypothesis)
    )
    rows = _rows(language, premises, hypotheses, table.labels)
    return _complete_only(path, rows, f"sha256:{file_sha256(path)}")


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
        parts.append(_rows(language, premises, hypotheses, classes_of(labels)))
    rows = pa.concat_tables(parts) if parts else SENTENCE_PAIRS.empty_table()
    return _complete_only(path, rows, dataset.manifest.digest)


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


def _complete_only(path: str, rows: pa.Table, digest: str) -> TaskData:
    none = pa.array(NO_SENTENCE, pa.string())
    empty = pc.or_(*(pc.is_in(rows.column(name), none) for name in FIELDS))
    unlabelled = pc.equal(rows.column("label"), "")
    kept = rows.filter(pc.invert(pc.or_(empty, unlabelled))).combine_chunks()
    n_unlabelled = pc.sum(unlabelled).as_py() or 0
    if not len(kept):
        raise InputError(
            f"{path}: no row with two sentences among {len(rows)}"
            f"{f' has a label, {n_unlabelled} have none' if n_unlabelled else ''}; expected lines "
            "of premise TAB hypothesis TAB label"
        )
    return TaskData(path, kept, len(rows) - len(kept) - n_unlabelled, digest, n_unlabelled)


def labels_of(data: Sequence[TaskData], declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the classes of the training data: those declared, else its labels, sorted.

    Args:
        data: what is learned from.
        declared: the classes, if they are known beforehand.

    Raises:
        InputError: there is one label only; a label is none of those declared; or, where none are,
            one of a handful of rows among many, one beside the labels of a known set, or two that
            differ in case.
    """
    counts = Counter(label for part in data for label in part.rows.column("label").to_pylist())
    if declared:
        for part in data:
            classes(part, declared, knows="labels are declared to be")
        return tuple(declared)
    if len(counts) < 2:
        only = next(iter(counts))
        raise InputError(f"{data[0].path}: every row has the label {only!r}; nothing to tell apart")
    for label, reason in _doubtful(counts):
        raise InputError(
            f"{_where(data, label)} has the label {label!r}, {reason}; correct it, or, if it is a "
            f"class, declare all of them: `labels: [{', '.join(sorted(counts)[:4])}, ...]`"
        )
    return tuple(sorted(counts))


def _doubtful(counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yields labels that are hardly classes, and why, the worst first."""
    total, lower = counts.total(), {label.lower() for label in counts}
    for label, n in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        if n <= _HANDFUL and n * _MANY <= total:
            yield label, f"which {n} of {total} rows have"
        twin = next((b for b in counts if b != label and b.lower() == label.lower()), None)
        if twin is not None:
            yield label, f"which differs from {twin!r} in case alone"
        # Two labels of a published set, and one that is not of it: misspelt, or of other data.
        # Numbers are of no published set in particular: 0 to 4 may well be five classes.
        sets = [s for s in KNOWN_LABELS if len(s & lower) > 1 and not any(map(str.isdigit, s))]
        if sets and not any(lower <= known for known in sets) and label.lower() not in sets[0]:
            yield label, f"beside labels of the set {', '.join(sorted(sets[0]))}"


def _where(data: Sequence[TaskData], label: str) -> str:
    for part in data:
        row = pc.index(part.rows.column("label"), label).as_py()
        if row >= 0:
            begins = part.rows.column("premise")[row].as_py()[:40]
            return f"{part.path}: the row whose premise begins {begins!r}"
    raise AssertionError(label)  # it was counted there


def classes(data: TaskData, labels: Sequence[str], *, knows: str = "the model knows") -> np.ndarray:
    """Returns [n] the class of each row; `knows` is what an error says of the labels.

    Raises:
        InputError: a label is none of `labels`.
    """
    found = pc.index_in(data.rows.column("label"), pa.array(labels, pa.string()))
    if found.null_count:
        row = pc.index(pc.is_null(found), True).as_py()
        got = data.rows.column("label")[row].as_py()
        raise InputError(
            f"{data.path}: a row has the label {got!r}, but {knows} {', '.join(labels)}; "
            f"its premise begins {data.rows.column('premise')[row].as_py()[:40]!r}"
        )
    return found.to_numpy().astype(np.int64)
