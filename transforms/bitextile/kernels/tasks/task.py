"""What a task's file format is to those who derive languages from it or switch its fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.records import Records


class DerivedTask(NamedTuple):
    """A derived file: its lines, counts of what was read, kept and left out, and the way back.

    `records` are the JSON lines of `records.to_records`; they are gold links, too.
    """

    lines: list[str]
    counts: dict[str, int]
    records: list[str]


class TaskExample(NamedTuple):
    """One example of a task with two text fields; `key` ties it to its translations."""

    fields: tuple[str, str]
    label: Any
    key: str


def _any_labels_agree(label: Any, translated: Any) -> bool:
    return True


def _any_label(label: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class TextFields:
    """The two text fields of a task's examples, and which may be replaced by their translations.

    Attributes:
        names: of the fields, in their order.
        switchable: those that may be in another language while the label stays right.
        label: the column of the label.
        read: from a file's path to its examples.
        by_line: whether line n of a translated file translates line n; else keys tie them.
        labels_agree: of an example and its translation; where not, the translation is left out.
        has_label: whether a label is one; examples without are left out.
    """

    names: tuple[str, str]
    switchable: tuple[str, ...]
    label: pa.Field
    read: Callable[[str], list[TaskExample]]
    by_line: bool
    labels_agree: Callable[[Any, Any], bool] = _any_labels_agree
    has_label: Callable[[Any], bool] = _any_label


@dataclass(frozen=True, kw_only=True)
class TaskFormat:
    """How the data of one task is published, derived and put back.

    Attributes:
        name: as options name it.
        doc: the form of its files.
        derive: from a path, the language of its text and the transforms to the derived file.
        undo_derive: from a derived file's path, its records and the transforms to the lines of the
            file as it was.
        parsed: whether files hold dependency parses, so that `syntax` can be asked for.
        fields: of examples whose fields can be switched, if it has such.
    """

    name: str
    doc: str
    derive: Callable[[str, str, DeriveConfig], DerivedTask]
    undo_derive: Callable[[str, Records, DeriveConfig], list[str]]
    parsed: bool = False
    fields: TextFields | None = None
