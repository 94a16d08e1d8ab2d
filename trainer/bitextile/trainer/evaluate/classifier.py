"""A trained classifier: what it says of inputs.

The model is run as transformers has it, on padded inputs, so that the figures are those that any
user of the folder gets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from bitextile.kernels.arrays import I64
from bitextile.kernels.model_folder import check_whole, load_weights, read_json
from bitextile.kernels.progress import count
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.examples import join
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.generate.checkpoint import model_tokenizer
from bitextile.trainer.model.build import load_masked_lm, quiet
from bitextile.trainer.objectives.objective import truncate_pair
from bitextile.trainer.observe.card import read_provenance

BATCH_TOKENS = 8_192
"""Tokens of a batch, padding included: keeps a base model within some hundred MB."""


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier ready to be scored.

    Attributes:
        model: in evaluation mode, on its device.
        tokenizer: its tokenizer.
        labels: name of each class.
        max_length: tokens of an input, as in its training.
        device: that of the model.
    """

    model: Any
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    max_length: int
    device: torch.device


def load_classifier(folder: str) -> LoadedClassifier:
    """Loads a model folder as `finetune` or `save_pretrained` writes it.

    Raises:
        ConfigError: no such folder, no safetensors in it, no classifier, or another tokenizer than
            it was trained with.
    """
    _refuse_other(folder)
    tokenizer = model_tokenizer(folder)
    with quiet():
        model, missing = load_weights(
            AutoModelForSequenceClassification,
            folder,
            expected="sequence classifier",
            dtype=torch.float32,
        )
    check_whole(folder, missing)
    names = model.config.id2label
    labels = tuple(str(names[i]) for i in range(len(names)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    room = min(model.config.max_position_embeddings - tokenizer.pad - 1, 512)
    max_length = int((read_provenance(folder) or {}).get("max_length", room))
    return LoadedClassifier(model.to(device).eval(), tokenizer, labels, max_length, device)


def _refuse_other(folder: str) -> None:
    """Raises ConfigError unless the folder holds a classifier: another would get a random head."""
    path = Path(folder) / "config.json"
    kinds = read_json(path).get("architectures") if path.is_file() else None
    # transformers itself would only warn, and score with a head drawn at random.
    if not any(kind.endswith("ForSequenceClassification") for kind in kinds or []):
        if not path.is_file():
            load_masked_lm(folder)  # says what is missing
        raise ConfigError(
            f"{folder}: holds {', '.join(kinds or []) or 'no named model'}, expected a sequence "
            "classifier; `bitextile finetune` makes one of an encoder"
        )
    if not list(Path(folder).glob("*.safetensors")):
        load_masked_lm(folder)


def predict(classifier: LoadedClassifier, fields: Sequence[Sequence[str]]) -> tuple[I64, int]:
    """Returns the most probable class of each row, and how many rows were too long for the model.

    Args:
        classifier: loaded.
        fields: [2][n] texts of the two fields.
    """
    inputs, n_truncated = _inputs(classifier, fields)
    found = np.zeros(len(inputs), np.int64)
    for places, ids in _batches(classifier, inputs):
        with torch.no_grad():
            scores = classifier.model(input_ids=ids, attention_mask=ids != classifier.tokenizer.pad)
        count("Classify", len(ids))
        found[places] = scores.logits.argmax(dim=1).cpu().numpy()
    return found, n_truncated


def _inputs(
    classifier: LoadedClassifier, fields: Sequence[Sequence[str]]
) -> tuple[list[np.ndarray], int]:
    """Returns the tokens of each row, and how many rows lost some."""
    texts: list[tuple[str, str]] = list(zip(*fields))
    sides = classifier.tokenizer.encode([text for pair in texts for text in pair])
    inputs, n_truncated = [], 0
    for first, second, pair in zip(sides[::2], sides[1::2], texts):
        fitted = truncate_pair(first, second, pair, classifier.max_length)
        n_truncated += any(side.n_truncated for side in fitted)
        inputs.append(join(classifier.tokenizer, *fitted, languages=("", "")).tokens)
    return inputs, n_truncated


def _batches(
    classifier: LoadedClassifier, inputs: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yields places and padded tokens [n, longest], longest first."""
    order = np.argsort([-len(tokens) for tokens in inputs], kind="stable")
    while len(order):
        width = len(inputs[order[0]])
        n = max(1, BATCH_TOKENS // width)
        places, order = order[:n], order[n:]
        ids = np.full((len(places), width), classifier.tokenizer.pad, np.int64)
        for row, place in enumerate(places):
            ids[row, : len(inputs[place])] = inputs[place]
        yield places, torch.from_numpy(ids).to(classifier.device)
