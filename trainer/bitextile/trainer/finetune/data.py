"""Task data to learn from or to be scored on: rows of premise, hypothesis and label, in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.tasks.files import NO_SENTENCE, read_nli
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError, SchemaError
from bitextile.schema.ids import stable_id, text_ids
from bitextile.schema.kinds import CODESWITCH
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists, file_sha256
from bitextile.trainer.data.order import Order
from bitextile.trainer.data.streams import Rows
from bitextile.trainer.finetune.config import TaskSource

FIELDS = ("premise", "hypothesis")
UNKNOWN = "und"
"""BCP-47 for a language that nobody has named; of files that are only scored."""

TASK = pa.schema(
    [
        pa.field(name, pa.string(), False)
        for name in ("record", "premise_id", "hypothesis_id", *FIELDS, "label")
    ]
)
"""Columns of a task: the id of the row, `text_id` and text of both fields, the label."""


@dataclass(frozen=True)
class Task:
    """What one file or dataset holds.

    Attributes:
        path: of the file or dataset.
        rows: [n] columns TASK, in file order.
        left_out: rows without a sentence in a field (PAWS-X has empty ones, and "NS").
        digest: sha256 of the file, or the dataset's.
    """

    path: str
    rows: pa.Table
    left_out: int
    digest: str


def read_source(source: TaskSource) -> Task:
    """Reads what a configuration names as training data.

    Raises:
        InputError: a file is not of its form, or has no row.
        DatasetError: a dataset is not whole, or no task data.
    """
    if source.dataset is not None:
        return _read_dataset(source.dataset)
    return read_file(str(source.file), language=str(source.language))  # TaskSource has both


def read_file(path: str, *, language: str = UNKNOWN) -> Task:
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
            f"{path}, line 1: the label {labels[0]!r} stands nowhere else (others are {known}); if "
            "the line holds names, call them premise, hypothesis and label, or take it out"
        )


def _read_dataset(path: str) -> Task:
    dataset = open_dataset(path, CODESWITCH)
    table = dataset.table()
    if missing := [name for name in (*FIELDS, "label") if name not in table.column_names]:
        raise SchemaError(
            f"{path}: has no column {' or '.join(missing)}, so it holds no sentence pairs with "
            "labels; expected what `codeswitch --method task-field --task nli` writes"
        )
    parts = []
    for language in sorted(table.column("matrix_lang").unique().to_pylist()):
        part = table.filter(pc.equal(table.column("matrix_lang"), language)).combine_chunks()
        premises, hypotheses, labels = (
            part.column(name).to_pylist() for name in (*FIELDS, "label")
        )
        parts.append(_rows(language, premises, hypotheses, [label.strip() for label in labels]))
    rows = pa.concat_tables(parts) if parts else TASK.empty_table()
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
    return pa.Table.from_arrays([*columns, pa.array(labels, pa.string())], schema=TASK)


def _sentences_only(path: str, rows: pa.Table, digest: str) -> Task:
    none = pa.array(NO_SENTENCE, pa.string())
    empty = pc.or_(*(pc.is_in(rows.column(name), none) for name in FIELDS))
    kept = rows.filter(pc.invert(empty)).combine_chunks()
    if not len(kept):
        raise InputError(
            f"{path}: no row with two sentences among {len(rows)}; expected lines of premise TAB "
            "hypothesis TAB label"
        )
    return Task(path, kept, len(rows) - len(kept), digest)


def labels_of(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Returns the labels of the training data, sorted; their places are the classes.

    Raises:
        InputError: there is one label only.
    """
    counts = Counter(label for task in tasks for label in task.rows.column("label").to_pylist())
    if len(counts) < 2:
        only = next(iter(counts))
        raise InputError(
            f"{tasks[0].path}: every row has the label {only!r}; nothing to tell apart"
        )
    return tuple(sorted(counts))


def classes(task: Task, labels: Sequence[str]) -> np.ndarray:
    """Returns [n] the class of each row.

    Raises:
        InputError: a label is none of `labels`.
    """
    found = pc.index_in(task.rows.column("label"), pa.array(labels, pa.string()))
    if found.null_count:
        row = pc.index(pc.is_null(found), True).as_py()
        got = task.rows.column("label")[row].as_py()
        raise InputError(
            f"{task.path}: a row has the label {got!r}, but the model knows {', '.join(labels)}; "
            f"its premise begins {task.rows.column('premise')[row].as_py()[:40]!r}"
        )
    return found.to_numpy().astype(np.int64)


@dataclass
class TaskStream:
    """All rows to learn from, in a seeded order per epoch, from any position on.

    Attributes:
        rows: [n] columns TASK and `class`.
        seed: of the order.
        key: the name of the stream.
    """

    rows: pa.Table
    seed: int
    key: str = "task"
    _orders: dict[int, np.ndarray] = field(init=False, default_factory=dict, repr=False)

    def take(self, position: int, count: int, *, lane: int, lanes: int) -> Rows:
        """Returns the next rows for one lane, as `Stream.take` does it."""
        own = position + np.arange(count)
        epochs, places = np.divmod(lane + own * lanes, len(self.rows))
        chosen = np.zeros(count, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = self._order(int(epoch))[places[here]]
        return Rows(self.rows.take(pa.array(chosen)), epochs, own + 1)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            order = Order((len(self.rows),), self.seed, f"finetune/{self.key}")
            # One row group, so one window: the whole epoch.
            last = dict([*self._orders.items()][-1:])
            self._orders = last | {epoch: order.window(epoch, 0).order}
        return self._orders[epoch]
