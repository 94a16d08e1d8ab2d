"""Classification of sentence pairs: accuracy of what `finetune` makes of an encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.sentence_pairs import (
    FIELDS,
    classes,
    labels_of,
    read_file,
    read_source,
)
from bitextile.trainer.evaluate.task import (
    NO_AUGMENTATION,
    Augmentation,
    NoOptions,
    TaskData,
    by_file_name,
)

if TYPE_CHECKING:
    from bitextile.trainer.evaluate.classifier import LoadedClassifier
    from bitextile.trainer.finetune.classify import Classify
    from bitextile.trainer.finetune.config import TaskSource
    from bitextile.trainer.finetune.loop import FinetuneState
    from bitextile.trainer.train.checkpoint import RunTensors


@dataclass(frozen=True)
class Accuracy:
    """How often a classifier is right on a task.

    Attributes:
        accuracy: share of rows whose most probable class is theirs.
        rows: how many were scored.
        left_out: rows without a sentence in a field, which have nothing to tell.
        unlabelled: rows without a class (no consensus, an empty cell); left out as well.
        truncated: rows that were too long for the model.
    """

    accuracy: Estimate
    rows: int
    left_out: int
    unlabelled: int
    truncated: int


class ClassificationTask:
    """Sentence pairs with a label each (natural language inference, paraphrases)."""

    name = "classification"
    data = "task files (TSV of premise, hypothesis and label)"
    options = NoOptions
    fields: tuple[str, ...] = FIELDS
    file_format = "nli"

    def read(self, paths: Sequence[str], options: NoOptions) -> dict[str, TaskData]:
        """Returns the rows of each file."""
        return {name: read_file(path) for name, path in by_file_name(paths).items()}

    def prepare(self, model: str, options: NoOptions) -> "LoadedClassifier":
        """Returns the classifier."""
        from bitextile.trainer.evaluate.classifier import load_classifier

        return load_classifier(model)

    def metrics(self, prepared: "LoadedClassifier", data: TaskData, options: NoOptions) -> Accuracy:
        """Returns accuracy; raises InputError for a label that is none of the model's."""
        from bitextile.trainer.evaluate.classifier import predict

        wanted = classes(data, prepared.labels)
        fields = [data.rows.column(name).to_pylist() for name in self.fields]
        found, n_truncated = predict(prepared, fields)
        right = np.stack([found == wanted, np.ones(len(wanted))], axis=1).astype(np.float64)
        estimate = bootstrap(right, lambda s: s[0] / s[1], operation="classification")
        return Accuracy(estimate, len(wanted), data.left_out, data.unlabelled, n_truncated)

    def settings(self, prepared: "LoadedClassifier", options: NoOptions) -> dict[str, Any]:
        """Returns the classes of the model."""
        return {"labels": list(prepared.labels)}

    def read_source(self, source: "TaskSource") -> TaskData:
        """Returns the rows of a file or a dataset of switched task data."""
        return read_source(source)

    def labels(self, data: Sequence[TaskData], declared: Sequence[str] = ()) -> tuple[str, ...]:
        """Returns the labels declared, or those of the data; their places are the classes."""
        return labels_of(data, declared)

    def targets(self, data: TaskData, labels: Sequence[str]) -> pa.Table:
        """Returns the rows with their `class`."""
        return data.rows.append_column("class", pa.array(classes(data, labels)))

    def objective(
        self,
        labels: tuple[str, ...],
        *,
        max_length: int,
        seed: int = 0,
        augmentation: Augmentation = NO_AUGMENTATION,
        model: str | None = None,
    ) -> "Classify":
        """Returns cross-entropy over the classes, of a head on the first token."""
        from bitextile.trainer.finetune.classify import Classify

        return Classify(
            self.fields, labels, max_length, seed=seed, augmentation=augmentation, model=model
        )

    def score(self, state: "FinetuneState", data: TaskData) -> dict[str, float]:
        """Returns loss and accuracy on held-out rows."""
        from bitextile.trainer.finetune.score import score

        return score(state, self.targets(data, state.entries[0].labels))

    def save(
        self, state: "FinetuneState", folder: Path, tensors: "RunTensors", facts: dict[str, Any]
    ) -> None:
        """Writes what `AutoModelForSequenceClassification` loads, and its card."""
        from bitextile.trainer.finetune.card import write_card
        from bitextile.trainer.finetune.model import pair_tokenizer, save_classifier

        entry = state.entries[0]
        # The only entry's module has index 0 in the run's ModuleDict.
        head = {n.removeprefix("0."): t for n, t in tensors.objectives.items()}
        save_classifier(folder, state.encoder, entry.labels, body=tensors.model, head=head)
        pair_tokenizer(state.tokenizer).save_pretrained(folder)
        write_card(folder, state.config, entry.labels, entry.train, facts)
