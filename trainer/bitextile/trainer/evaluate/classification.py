"""Classification of sentence pairs: accuracy of what `finetune` writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.task import NoOptions, by_file_name
from bitextile.trainer.finetune.data import FIELDS, Task, classes, read_file

if TYPE_CHECKING:
    from bitextile.trainer.evaluate.classifier import LoadedClassifier


@dataclass(frozen=True)
class Accuracy:
    """How often a classifier is right on a task.

    Attributes:
        accuracy: share of rows whose most probable class is theirs.
        rows: how many were scored.
        left_out: rows without a sentence in a field, which have nothing to tell.
        cut: rows that were too long for the model.
    """

    accuracy: Estimate
    rows: int
    left_out: int
    cut: int


class ClassificationTask:
    """Sentence pairs with a label each (natural language inference, paraphrases)."""

    name = "classification"
    data = "task files (TSV of premise, hypothesis and label)"
    options = NoOptions

    def read(self, paths: Sequence[str], options: NoOptions) -> dict[str, Task]:
        """Returns the rows of each file."""
        return {name: read_file(path) for name, path in by_file_name(paths).items()}

    def prepare(self, model: str, options: NoOptions) -> "LoadedClassifier":
        """Returns the classifier."""
        from bitextile.trainer.evaluate.classifier import load_classifier

        return load_classifier(model)

    def metrics(self, prepared: "LoadedClassifier", data: Task, options: NoOptions) -> Accuracy:
        """Returns accuracy; raises InputError for a label that is none of the model's."""
        from bitextile.trainer.evaluate.classifier import predict

        wanted = classes(data, prepared.labels)
        found, n_cut = predict(prepared, [data.rows.column(name).to_pylist() for name in FIELDS])
        right = np.stack([found == wanted, np.ones(len(wanted))], axis=1).astype(np.float64)
        estimate = bootstrap(right, lambda s: s[0] / s[1], operation="classification")
        return Accuracy(estimate, len(wanted), data.left_out, n_cut)

    def settings(self, prepared: "LoadedClassifier", options: NoOptions) -> dict[str, Any]:
        """Returns the classes of the model."""
        return {"labels": list(prepared.labels)}
