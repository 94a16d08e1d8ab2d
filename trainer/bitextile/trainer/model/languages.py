"""Language embeddings (ERNIE-M): added to those of tokens, written in a file beside the model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from bitextile.kernels.model_folder import model_errors
from bitextile.schema.errors import ConfigError
from bitextile.schema.languages import canonical_tag

LANGUAGES = "languages.safetensors"
"""Language embeddings beside a model, which transformers does not read."""


def language_table(n: int, config: Any) -> nn.Embedding:
    """Returns fresh embeddings of `n` languages for a transformers configuration."""
    table = nn.Embedding(n, config.hidden_size)
    nn.init.normal_(table.weight, std=config.initializer_range)
    return table


def save_languages(folder: Path, languages: Sequence[str], table: torch.Tensor) -> None:
    """Writes the embeddings of languages beside a model.

    Args:
        folder: of the model.
        languages: tag of each row.
        table: [languages, width], on the CPU.
    """
    # Tags as JSON: the header of a safetensors file holds strings only.
    save_file({"language": table}, folder / LANGUAGES, {"languages": json.dumps(languages)})


def read_languages(path: Path) -> tuple[tuple[str, ...], torch.Tensor]:
    """Returns the tags and embeddings [languages, width] that `save_languages` wrote.

    Raises:
        ConfigError: the file is damaged.
    """
    with model_errors(f"{path}: no language embeddings"), safe_open(path, framework="pt") as file:
        known = tuple(map(canonical_tag, json.loads(file.metadata()["languages"])))
        found = file.get_tensor("language")
    if found.ndim != 2 or len(found) != len(known):
        raise ConfigError(
            f"{path}: has {len(known)} languages and embeddings {list(found.shape)}; expected one "
            "for each"
        )
    return known, found


def load_languages(folder: Path, languages: Sequence[str], table: nn.Embedding) -> None:
    """Takes over the embeddings of languages that a checkpoint knows.

    Args:
        folder: of the checkpoint.
        languages: tag of each row of the table.
        table: changed.

    Raises:
        ConfigError: the file is damaged or of another model.
    """
    if not (folder / LANGUAGES).is_file():
        return
    known, found = read_languages(folder / LANGUAGES)
    if found.shape[1:] != table.weight.shape[1:]:
        raise ConfigError(
            f"{folder / LANGUAGES}: vectors have {list(found.shape[1:])} numbers, expected "
            f"{list(table.weight.shape[1:])}; is it that of the same model?"
        )
    # By tag, not by row: another mixture has other languages, and new ones stay fresh.
    with torch.no_grad():
        for row, tag in enumerate(languages):
            if canonical_tag(tag) in known:
                table.weight[row] = found[known.index(canonical_tag(tag))]
