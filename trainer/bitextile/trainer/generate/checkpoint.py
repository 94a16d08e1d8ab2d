"""A checkpoint of our trainer, opened to generate with: what is refused, and what it can take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import Tokenizer, load_tokenizer
from bitextile.trainer.generate.packed_linear import pack_linear_layers
from bitextile.trainer.model.build import build_encoder, untrained_head
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.model.languages import LANGUAGES, read_languages
from bitextile.trainer.observe.card import PROVENANCE, read_provenance


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to generate with.

    Attributes:
        encoder: in evaluation mode, on its device.
        tokenizer: its tokenizer.
        max_tokens: of an input, special ones included.
        index: of each language's embedding; None for a model without such.
        device: that of the encoder.
    """

    encoder: Encoder
    tokenizer: Tokenizer
    max_tokens: int
    index: dict[str, int] | None
    device: torch.device


def known_languages(folder: str) -> tuple[str, ...]:
    """Returns the tags, canonical, that a folder has an embedding for; () without embeddings."""
    path = Path(folder) / LANGUAGES
    if not path.is_file():
        return ()
    return read_languages(path)[0]


def model_tokenizer(folder: str) -> Tokenizer:
    """Returns the tokenizer of a model folder.

    Raises:
        ConfigError: there is none, or not the one that the model was trained with.
    """
    tokenizer = load_tokenizer(folder)
    trained = (read_provenance(folder) or {}).get("tokenizer", tokenizer.digest)
    if trained != tokenizer.digest:
        raise ConfigError(
            f"{folder}: its tokenizer is {tokenizer.digest[:19]}..., but the model was trained "
            f"with {trained[:19]}...; put that one there"
        )
    return tokenizer


def check_objective(folder: str, objective: str) -> None:
    """Raises ConfigError unless a model folder says that it was trained with an objective."""
    provenance = read_provenance(folder)
    if provenance is None:
        raise ConfigError(
            f"{folder}: has no {PROVENANCE}, so nothing shows that it was trained with "
            f"{objective}; expected the folder of a finished `bitextile pretrain`"
        )
    trained = sorted({entry["objective"] for entry in provenance.get("datasets", [])})
    if objective not in trained:
        raise ConfigError(
            f"{folder}: was trained with {', '.join(trained) or 'nothing'}, never with "
            f"{objective}; give a model whose mixture had it"
        )


def check_languages(folder: str, languages: Sequence[str]) -> None:
    """Raises ConfigError unless a model folder has an embedding for each language."""
    known = known_languages(folder)
    if not known:
        raise ConfigError(
            f"{folder}: has no language embeddings, which tell a placeholder its language; "
            "train with `language_embeddings: true`"
        )
    if missing := sorted(set(languages) - set(known)):
        raise ConfigError(
            f"{folder}: has no embedding for {', '.join(missing)}; it knows "
            f"{', '.join(known)}: train with data in that language, or leave it out"
        )


def load_checkpoint(folder: str) -> Checkpoint:
    """Loads a model folder, on a GPU where there is one.

    Raises:
        ConfigError: no such model in safetensors, one whose head is not trained, or another
            tokenizer.
    """
    tokenizer, known = model_tokenizer(folder), known_languages(folder)
    model = ModelConfig(checkpoint=folder)
    # Checks positions only, so 4 will do: each sentence is compared with `max_tokens` as it comes.
    encoder = build_encoder(model, tokenizer, max_length=4, seed=0, languages=known)
    if not encoder.is_head_trained:
        raise untrained_head(folder)
    max_tokens = encoder.mlm.config.max_position_embeddings - tokenizer.pad - 1
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    index = {tag: i for i, tag in enumerate(known)} or None
    encoder = encoder.to(device).eval()
    if device.type == "cpu":
        pack_linear_layers(encoder)
    return Checkpoint(encoder, tokenizer, max_tokens, index, device)
