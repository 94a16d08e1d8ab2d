"""What a task is: how its data are read, a model is prepared for it, and what is measured.

    evaluate   paths --read--> named data --metrics(prepared model, data)--> figures with intervals
    finetune   sources --read_source--> rows --targets--> objective, whose module is the head
               held-out rows --score--> figures while it trains; at the end --save--> model folder

A task is a class in a file of its own and one line in tasks.py. None of these files imports torch
before a model is needed, so that options and help cost nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args

import pyarrow as pa

from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import SplitChoice

if TYPE_CHECKING:
    from bitextile.trainer.finetune.config import TaskSource
    from bitextile.trainer.finetune.loop import FinetuneState
    from bitextile.trainer.finetune.mixup import Choices, Tokens
    from bitextile.trainer.objectives.objective import LossObjective
    from bitextile.trainer.train.checkpoint import RunTensors

M = TypeVar("M")
D = TypeVar("D")
O = TypeVar("O", contravariant=True)  # noqa: E741


WITHOUT, WITH = "without_language_embeddings", "with_language_embeddings"
"""The two ways in which a run with language embeddings is measured, as a report names them."""


class Task(Protocol[M, D, O]):
    """One thing that `evaluate` measures: M is the prepared model, D its data, O its options."""

    name: str
    """As `--task` names it."""
    data: str
    """What `--data` takes, for the help text."""
    options: type[Any]
    """Dataclass of its options, each with a default and a line of documentation."""

    def read(self, paths: Sequence[str], options: O) -> Mapping[str, D]:
        """Returns the data to measure on, by the name that results have.

        Raises:
            ConfigError: the paths do not fit the task.
            InputError: one cannot be read or holds nothing to measure on.
        """

    def prepare(self, model: str, options: O) -> M:
        """Returns the model of a folder, loaded for this task.

        Raises:
            ConfigError: the folder holds no model that can do it.
        """

    def metrics(self, prepared: M, data: D, options: O) -> Any:
        """Returns a dataclass of figures (`Estimate`) and counts, or several of them by name."""

    def settings(self, prepared: M, options: O) -> dict[str, Any]:
        """Returns what a report says of how it was measured."""


@dataclass(frozen=True)
class TaskData:
    """Rows of one file or dataset of a task, in memory.

    Attributes:
        path: of the file or dataset.
        rows: [n] in file order: `record`, and of each field its text and its `<field>_id`.
        left_out: rows without a sentence in a field (PAWS-X has empty ones, and "NS").
        digest: sha256 of the file, or the dataset's.
        unlabelled: rows without a class, left out as well: no consensus, or an empty cell.
    """

    path: str
    rows: pa.Table
    left_out: int
    digest: str
    unlabelled: int = 0


@dataclass(frozen=True)
class Augmentation:
    """What SALT (arXiv 2309.10891) adds to the fields of a task, by their `text_id`.

    Attributes:
        copies: switched copies of each field; None to learn from none.
        choices: candidates of each field; None to mix nothing.
        tokens: of the model, needed with choices.
    """

    copies: "Mapping[str, tuple[str, ...]] | None" = None
    choices: "Mapping[str, Choices] | None" = None
    tokens: "Tokens | None" = None


NO_AUGMENTATION = Augmentation()


class FinetuneTask(Task[Any, TaskData, Any], Protocol):
    """A task that `finetune` teaches an encoder too, by a head on top of it."""

    fields: tuple[str, ...]
    """Columns of text, which can have switched copies and candidates."""
    file_format: str
    """Of its files, as kernels/tasks names them; a model's provenance has it."""

    def read_source(self, source: "TaskSource") -> TaskData:
        """Returns what a configuration names as training data.

        Raises:
            InputError: a file is not of its form, or has no row.
            DatasetError: a dataset is not whole, or none of this task.
        """

    def labels(self, data: Sequence[TaskData], declared: Sequence[str] = ()) -> tuple[str, ...]:
        """Returns the names of the classes, in order; () where the task has none.

        Args:
            data: what is learned from.
            declared: what the configuration says they are, if it does.

        Raises:
            InputError: a label of the data is none of those declared, or hardly a class.
        """

    def targets(self, data: TaskData, labels: Sequence[str]) -> pa.Table:
        """Returns the rows with what is to be learned of each, as the objective reads it.

        Raises:
            InputError: a row has a label that is none of `labels`.
        """

    def objective(
        self,
        labels: tuple[str, ...],
        *,
        max_length: int,
        seed: int = 0,
        augmentation: Augmentation = NO_AUGMENTATION,
        model: str | None = None,
    ) -> "LossObjective":
        """Returns what is minimised; its `module` is the head, with what the folder `model` has."""

    def score(self, state: "FinetuneState", data: TaskData) -> dict[str, float]:
        """Returns figures on held-out rows while a model is trained; every rank calls it."""

    def save(
        self, state: "FinetuneState", folder: Path, tensors: "RunTensors", facts: dict[str, Any]
    ) -> None:
        """Writes model, tokenizer and card to an empty folder."""


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Of a task that has none."""


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """Of a task that compares vectors of an encoder."""

    layer: int | None = None
    """Layer whose vectors are compared; 0 is the embeddings. By default two thirds up, where
    words of two languages are closest (vectors.py); the last one of poolings other than mean."""
    prefix: str = ""
    """Text put before each sentence, such as "query: " for an encoder that was trained with it."""


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Of a task that reads datasets."""

    split: SplitChoice = "test"
    """Split of the datasets to measure on."""
    max_rows: int = 10_000
    """Rows of a language pair or language, at most. 10,000 give an interval of about +-1 % at
    worst, in minutes on a CPU."""

    def __post_init__(self) -> None:
        if self.split not in get_args(SplitChoice):
            raise ConfigError(
                f"split is {self.split!r}, expected one of {', '.join(get_args(SplitChoice))}"
            )
        if self.max_rows < 1:
            raise ConfigError(f"max_rows is {self.max_rows}, expected at least 1")

    @property
    def only_split(self) -> str | None:
        """The one split to read; None for all rows."""
        return None if self.split == "all" else self.split


def by_file_name(paths: Sequence[str]) -> dict[str, str]:
    """Returns each path by its last part, or by itself where two end alike.

    >>> by_file_name(["de/gold.jsonl", "fr/gold.jsonl", "work/pairs"])
    {'de/gold.jsonl': 'de/gold.jsonl', 'fr/gold.jsonl': 'fr/gold.jsonl', 'pairs': 'work/pairs'}
    """
    last = [Path(path).name for path in paths]
    return {name if last.count(name) == 1 else path: path for name, path in zip(last, paths)}
