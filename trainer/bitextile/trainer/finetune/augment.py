"""SALT's data: switched copies and candidates of the fields of a task."""

from collections.abc import Collection, Sequence
from typing import Any

from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import CANDIDATES, CODESWITCH
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.evaluate.task import Augmentation
from bitextile.trainer.finetune.config import FinetuneConfig
from bitextile.trainer.finetune.mixup import Choices, Tokens, read_choices


def read_augmentation(
    config: FinetuneConfig, wanted: Collection[str], tokenizer: Tokenizer, digest: str
) -> tuple[Augmentation, dict[str, Any]]:
    """Reads what a configuration adds to the rows of a task.

    Args:
        config: of the run.
        wanted: `text_id` of every field.
        tokenizer: tokenises candidates.
        digest: of the encoder, which must have made the candidates.

    Returns:
        The augmentation, and the digests of its datasets.

    Raises:
        ConfigError: candidates of another model.
        InputError: copies or candidates are of other text.
        DatasetError: a dataset is not whole, or of another kind.
    """
    copies = [open_dataset(path, CODESWITCH) for path in config.copies]
    candidates = [_candidates_of(path, config.model, digest) for path in config.candidates]
    augmentation = Augmentation(
        copies=read_copies(copies, wanted) if copies else None,
        choices=_choices(candidates, wanted, tokenizer) if candidates else None,
        tokens=Tokens(tokenizer) if candidates else None,
    )
    digests = {"copies": [d.manifest.digest for d in copies]}
    return augmentation, digests | {"candidates": [d.manifest.digest for d in candidates]}


def augmentation_facts(augmentation: Augmentation) -> dict[str, int]:
    """Returns how many fields are augmented, for the card."""
    found = {
        "fields with switched copies": augmentation.copies,
        "fields with candidates to mix in": augmentation.choices,
    }
    return {name: len(fields) for name, fields in found.items() if fields is not None}


def _candidates_of(path: str, model: str, digest: str) -> Dataset:
    dataset = open_dataset(path, CANDIDATES)
    # Mixing is of the model's own guesses: another encoder's would not be what SALT measures.
    if digest not in [entry.get("digest") for entry in dataset.manifest.inputs]:
        other = dataset.manifest.config.get("model", "another model")
        raise ConfigError(
            f"{path}: its candidates were made by {other}, not by {model} as it is now; SALT takes "
            "them from the encoder that is fine-tuned: make them with `bitextile candidates`"
        )
    return dataset


def _choices(
    datasets: Sequence[Dataset], wanted: Collection[str], tokenizer: Tokenizer
) -> dict[str, Choices]:
    tokens = Tokens(tokenizer)
    found = {i: c for d in datasets for i, c in read_choices(d, wanted, tokens).items()}
    _refuse_unrelated(found, wanted, datasets, "candidates")
    return found


def read_copies(datasets: Sequence[Dataset], wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Returns the switched copies of each field by its `text_id`, in the order of the datasets."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for place, dataset in enumerate(datasets):
        for row in dataset.table(columns=["parent_id", "variant", "text"]).to_pylist():
            if row["parent_id"] in wanted:
                copy = (place, row["variant"], row["text"])
                found.setdefault(row["parent_id"], []).append(copy)
    _refuse_unrelated(found, wanted, datasets, "copies")
    return {i: tuple(text for *_, text in sorted(copies)) for i, copies in found.items()}


def _refuse_unrelated(
    found: Collection[str], wanted: Collection[str], datasets: Sequence[Dataset], what: str
) -> None:
    if not found:
        names = " and ".join(d.path for d in datasets)
        raise InputError(
            f"{names}: holds {what} of none of the {len(wanted)} fields to learn from; make them "
            "from the same task files, with the language that `train` names"
        )
