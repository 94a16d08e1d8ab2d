"""Datasets that a notebook shows, and rows of any kind."""

from dataclasses import fields

from bitextile.kernels.drawing.examples import examples_of, shown_row
from bitextile.kernels.rows import Tabular, as_batch
from bitextile.notebook.html import rows_html
from bitextile.schema.dataset import Dataset
from bitextile.schema.dataset import open_dataset as open_any
from bitextile.schema.errors import SchemaError
from bitextile.schema.kinds import KINDS, Kind

SHOWN = 5
"""Rows that a notebook shows of a dataset."""
SHOWN_KINDS = ("pairs", "mono", "aligned", "exchange", "codeswitch", "pseudo")
"""Kinds whose rows are sentences."""


class NotebookDataset(Dataset):
    """A dataset that a notebook shows as a few of its rows, word alignments drawn."""

    def _repr_html_(self) -> str:
        return rows_html(examples_of(self, SHOWN), heading=repr(self))


class Shown:
    """Rows drawn: what a notebook displays for `show(rows)`."""

    def __init__(self, html: str, n: int) -> None:
        self._html, self._n = html, n

    def __repr__(self) -> str:
        return f"Shown({self._n} rows)"

    def _repr_html_(self) -> str:
        return self._html


def open_dataset(path: str, kind: Kind | None = None) -> NotebookDataset:
    """Opens a dataset as `bitextile.schema.dataset.open_dataset` does, for a notebook.

    Args:
        path: the folder (or URI) that holds manifest.json.
        kind: the kind wanted; None takes any.
    """
    opened = open_any(path, kind)
    return NotebookDataset(**{field.name: getattr(opened, field.name) for field in fields(opened)})


def show(rows: Tabular, n: int = SHOWN) -> Shown:
    """Returns the first rows of a table, to be displayed: links drawn, changed words marked.

    Args:
        rows: of kind pairs, mono, aligned, exchange, codeswitch or pseudo, such as a kernel's
            `kept`: a RecordBatch, a Table or a DataFrame.
        n: rows shown at most.

    Raises:
        SchemaError: the rows are of no such kind.
    """
    batch = as_batch(rows)
    shown = [shown_row(_kind(batch.schema.names), "", row) for row in batch.slice(0, n).to_pylist()]
    more = f", the first {len(shown)}" if batch.num_rows > n else ""
    return Shown(rows_html(shown, heading=f"{batch.num_rows:,} rows{more}"), len(shown))


def _kind(names: list[str]) -> Kind:
    shown = [
        KINDS[name] for name in ("pairs", "mono", "aligned", "exchange", "codeswitch", "pseudo")
    ]
    found = [kind for kind in shown if set(kind.schema.names) <= set(names)]
    if not found:
        known = ", ".join(kind.name for kind in shown)
        raise SchemaError(f"columns {', '.join(names)}: rows of none of the kinds {known}")
    return max(found, key=lambda kind: len(kind.columns))
