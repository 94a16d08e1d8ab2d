"""`finetune`: a classifier of sentence pairs from an encoder, by the loop that pre-trains it."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bitextile.kernels.model_digest import encoder_digest
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import CANDIDATES, CODESWITCH
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.mixture import Lane
from bitextile.trainer.data.tokens import Coder, load_coder
from bitextile.trainer.distributed.fsdp import refuse_uneven
from bitextile.trainer.distributed.process_group import ALONE, Ranks
from bitextile.trainer.finetune.card import write_card
from bitextile.trainer.finetune.classify import Classify
from bitextile.trainer.finetune.config import FREE, FinetuneConfig
from bitextile.trainer.finetune.data import (
    FIELDS,
    Task,
    TaskStream,
    classes,
    labels_of,
    read_file,
    read_source,
)
from bitextile.trainer.finetune.mixup import Choices, Tokens, read_choices
from bitextile.trainer.finetune.model import pair_tokenizer, save_classifier
from bitextile.trainer.finetune.score import scores
from bitextile.trainer.generate.checkpoint import own_coder
from bitextile.trainer.observe.card import write_identity
from bitextile.trainer.train.checkpoint import Tensors
from bitextile.trainer.train.loop import RunSummary, run
from bitextile.trainer.train.setup import Opened, assemble, device_of, encoder_of, own_modules
from bitextile.trainer.train.step import Training


@dataclass(frozen=True)
class TaskEntry:
    """The one entry of a fine-tuning's mixture.

    Attributes:
        objective: classification.
        streams: of all rows.
        tasks: what they were read from.
        valid: what is scored while training.
        weight: the only one.
    """

    objective: Classify
    streams: tuple[TaskStream, ...]
    tasks: tuple[Task, ...]
    valid: tuple[Task, ...]
    weight: float = 1.0

    @property
    def shares(self) -> np.ndarray:
        """[1] probability of the only stream."""
        return np.ones(1)


Finetuning = Training[FinetuneConfig, TaskEntry]


def finetune(
    config: FinetuneConfig,
    out: str,
    *,
    overwrite: bool = False,
    resume: bool = False,
    ranks: Ranks = ALONE,
) -> RunSummary:
    """Trains a classifier of sentence pairs and writes it to a folder.

    Args:
        config: of the run.
        out: a local folder, the same for all ranks: when complete, a model folder for
            `AutoModelForSequenceClassification`; checkpoints, metrics and card in it.
        overwrite: replace an earlier run in `out`.
        resume: go on from the last checkpoint in `out`, exactly as if never stopped; from the
            start if there is none.
        ranks: the processes of the run, as `joined` gives them; each calls it.

    Raises:
        ConfigError: a setting is wrong or differs from the run to resume; no encoder in
            safetensors; candidates of another model.
        InputError: task data are not of their form, or copies or candidates are of other text.
        OutputExistsError: `out` exists and neither flag is given.
        DatasetError: a dataset is not whole, or of another kind.
        TrainingError: a loss is not finite, all checkpoints are damaged, or a rank is lost.
    """
    return run(_Finetune(config), out, overwrite=overwrite, resume=resume, ranks=ranks)


@dataclass(frozen=True)
class _Finetune:
    """Fine-tuning, as `run` does it."""

    config: FinetuneConfig

    def prepare(self, last: Path | None, ranks: Ranks) -> Finetuning:
        refuse_uneven(self.config, ranks, ["classify"])
        opened, settings = ranks.together(lambda: _open(self.config, last, ranks))
        config = self.config.settled(len(opened.entries[0].streams[0].rows))
        lanes = [
            Lane(
                opened.entries,
                opened.coder,
                lane,
                config.accumulate,
                batch_tokens=sys.maxsize,
                seed=config.seed,
                batch_rows=config.batch_rows // config.accumulate,
            )
            for lane in range(ranks.rank, config.accumulate, ranks.size)
        ]
        return assemble(
            config,
            opened,
            lanes,
            ranks=ranks,
            collation=_collation(config, opened),
            settings=settings,
        )

    def validate(self, training: Finetuning) -> dict[str, float]:
        entry, found = training.entries[0], {}
        for task in entry.valid:
            scored = scores(training, task)
            found[f"{Path(task.path).name}/loss"] = scored.loss
            found[f"{Path(task.path).name}/accuracy"] = scored.accuracy
        return found

    def identity(self, training: Finetuning) -> dict[str, Any]:
        entry, config = training.entries[0], training.config
        return {
            "step": training.step,
            "tokenizer": training.coder.digest,
            "labels": list(entry.objective.labels),
            "max_length": config.max_length,
            "task": "classification",
            "datasets": [
                {"objective": "classify", "kind": "nli", "digest": task.digest}
                for task in entry.tasks
            ],
        }

    def write(
        self, training: Finetuning, folder: Path, tensors: Tensors, loss: float | None
    ) -> None:
        head = {n.removeprefix("0."): t for n, t in tensors.own.items()}
        entry = training.entries[0]
        labels = entry.objective.labels
        save_classifier(folder, training.encoder, labels, body=tensors.model, head=head)
        pair_tokenizer(training.coder).save_pretrained(folder)
        facts = {"steps": training.step, "loss of the last step": loss}
        write_card(folder, training.config, entry.objective, entry.tasks, facts)
        written = {"tokenizer": load_coder(str(folder)).digest}
        write_identity(folder, self.identity(training) | written)


def _open(
    config: FinetuneConfig, last: Path | None, ranks: Ranks
) -> tuple[Opened[TaskEntry], dict[str, Any]]:
    """Returns data and model, and what must not change when the run is resumed."""
    device = device_of(config, ranks)
    coder = own_coder(config.model)
    model = ModelConfig(checkpoint=config.model if last is None else str(last))
    encoder = encoder_of(model, coder, config=config).to(device)
    entry, digests = _entry(config, coder)
    own = own_modules((entry,), encoder, config.seed).to(device)
    settings = config.model_dump(mode="json", exclude=set(FREE)) | digests
    return Opened(coder, (entry,), encoder, own, device), settings


def _entry(config: FinetuneConfig, coder: Coder) -> tuple[TaskEntry, dict[str, Any]]:
    digest = encoder_digest(config.model)
    tasks = tuple(read_source(source) for source in config.train)
    labels = labels_of(tasks)
    rows = pa.concat_tables(
        [t.rows.append_column("class", pa.array(classes(t, labels))) for t in tasks]
    ).combine_chunks()
    wanted = {i for name in FIELDS for i in rows.column(f"{name}_id").to_pylist()}
    copies = [open_dataset(path, CODESWITCH) for path in config.copies]
    candidates = [_candidates_of(path, config.model, digest) for path in config.candidates]
    objective = Classify(
        labels=labels,
        max_length=config.max_length,
        seed=config.seed,
        copies=_copies(copies, wanted) if copies else None,
        choices=_choices(candidates, wanted, coder) if candidates else None,
        tokens=Tokens(coder) if candidates else None,
    )
    valid = tuple(read_file(path) for path in config.valid)
    for task in valid:
        classes(task, labels)
    digests = {
        "model": digest,
        "train": [task.digest for task in tasks],
        "copies": [d.manifest.digest for d in copies],
        "candidates": [d.manifest.digest for d in candidates],
    }
    stream = TaskStream(rows, config.seed)
    return TaskEntry(objective, (stream,), tasks, valid), digests


def _candidates_of(path: str, model: str, digest: str) -> Dataset:
    dataset = open_dataset(path, CANDIDATES)
    if digest not in [entry.get("digest") for entry in dataset.manifest.inputs]:
        other = dataset.manifest.config.get("model", "another model")
        raise ConfigError(
            f"{path}: its candidates were made by {other}, not by {model} as it is now; SALT takes "
            "them from the encoder that is fine-tuned: make them with `bitextile candidates`"
        )
    return dataset


def _choices(
    datasets: Sequence[Dataset], wanted: Collection[str], coder: Coder
) -> dict[str, Choices]:
    tokens = Tokens(coder)
    found = {i: c for d in datasets for i, c in read_choices(d, wanted, tokens).items()}
    _refuse_strangers(found, wanted, datasets, "candidates")
    return found


def _copies(datasets: Sequence[Dataset], wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Returns the switched copies of each field by its `text_id`, in the order of the datasets."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for place, dataset in enumerate(datasets):
        for row in dataset.table(columns=["parent_id", "variant", "text"]).to_pylist():
            if row["parent_id"] in wanted:
                copy = (place, row["variant"], row["text"])
                found.setdefault(row["parent_id"], []).append(copy)
    _refuse_strangers(found, wanted, datasets, "copies")
    return {i: tuple(text for *_, text in sorted(copies)) for i, copies in found.items()}


def _refuse_strangers(
    found: Collection[str], wanted: Collection[str], datasets: Sequence[Dataset], what: str
) -> None:
    if not found:
        names = " and ".join(d.path for d in datasets)
        raise InputError(
            f"{names}: holds {what} of none of the {len(wanted)} fields to learn from; make them "
            "from the same task files, with the language that `train` names"
        )


def _collation(config: FinetuneConfig, opened: Opened[TaskEntry]) -> Collation:
    coder = opened.coder
    masking = Masking(rate=0.0, mask=coder.mask, ordinary=coder.ordinary, seed=config.seed)
    fixed = config.compile or opened.encoder.flex
    return Collation(masking=masking, pad=coder.pad, width=config.width, fixed=fixed)
