"""A checkpoint of our trainer, opened to generate with: what is refused, and what it can take."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from torch import nn

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig
from bitextile.trainer.data.tokens import Tokenizer, load_tokenizer
from bitextile.trainer.model.build import build_encoder
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.model.languages import LANGUAGES
from bitextile.trainer.observe.card import PROVENANCE, read_provenance

T = TypeVar("T")
U = TypeVar("U")

BATCH_TOKENS = {"cpu": 512, "cuda": 32_768}
"""Tokens of a forward pass. On a CPU what lies between two layers then stays in the cache."""


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to generate with.

    Attributes:
        encoder: in evaluation mode, on its device.
        tokenizer: its tokenizer.
        room: tokens of an input, special ones included.
        index: of each language's embedding; None for a model without such.
        device: that of the encoder.
    """

    encoder: Encoder
    tokenizer: Tokenizer
    room: int
    index: dict[str, int] | None
    device: torch.device


def known_languages(folder: str) -> tuple[str, ...]:
    """Returns the tags that a model folder has an embedding for; () without embeddings."""
    path = Path(folder) / LANGUAGES
    if not path.is_file():
        return ()
    with safe_open(path, framework="pt") as file:
        return tuple(json.loads(file.metadata()["languages"]))


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
    identity = read_provenance(folder)
    if identity is None:
        raise ConfigError(
            f"{folder}: has no {PROVENANCE}, so nothing tells that it was trained with "
            f"{objective}; expected the folder of a finished `bitextile pretrain`"
        )
    trained = sorted({entry["objective"] for entry in identity.get("datasets", [])})
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
            f"{folder}: has no language embeddings, by which a placeholder is told its language; "
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
        ConfigError: no such model in safetensors, or another tokenizer.
    """
    tokenizer, known = model_tokenizer(folder), known_languages(folder)
    model = ModelConfig(checkpoint=folder)
    encoder = build_encoder(model, tokenizer, max_length=4, seed=0, languages=known)
    room = encoder.mlm.config.max_position_embeddings - tokenizer.pad - 1
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    index = {tag: i for i, tag in enumerate(known)} or None
    encoder = encoder.to(device).eval()
    if device.type == "cpu":
        pack_layers(encoder)
    return Checkpoint(encoder, tokenizer, room, index, device)


def pack_layers(model: nn.Module) -> None:
    """Lets oneDNN multiply by weights packed once, where torch was built with it.

    Half the time of MKL's product, which `Linear` calls, on an AMD core (EPYC; the same was found
    in transforms/inference.py, which knows no trainer). The model can only infer from then on.
    """
    ops = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(ops, "_linear_pointwise")):
        return
    with torch.inference_mode():
        for layer in model.modules():
            if type(layer) is nn.Linear:
                weight = ops._reorder_linear_weight(layer.weight, BATCH_TOKENS["cpu"])
                layer.forward = partial(_multiply, weight, layer.bias)  # type: ignore[method-assign]
                layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)  # held once


def _multiply(weight: Any, bias: Any, vectors: torch.Tensor) -> Any:
    return torch.ops.mkldnn._linear_pointwise(vectors, weight, bias, "none", [], "")


def groups(lengths: Sequence[int], device: torch.device) -> Iterator[list[int]]:
    """Yields indices of inputs, longest first, in groups that fill a forward pass.

    Alike lengths come together, so that there is hardly any padding; a pure function of the
    lengths.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    most, group, tokens = BATCH_TOKENS[device.type], list[int](), 0
    for i in order:
        if group and tokens + lengths[i] > most:
            yield group
            group, tokens = [], 0
        group.append(i)
        tokens += lengths[i]
    if group:
        yield group


def each(work: Callable[[T], U], items: Sequence[T], device: torch.device) -> list[U]:
    """Returns what `work` makes of each item, in their order, under inference mode.

    On a CPU each thread works on items of its own on one core, as many threads as torch is set to:
    so the bits do not depend on how many there are.
    """

    def run(item: T) -> U:
        with torch.inference_mode():
            return work(item)

    n_threads = torch.get_num_threads()
    if device.type != "cpu" or n_threads == 1:
        return [run(item) for item in items]
    try:
        with ThreadPoolExecutor(
            n_threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(run, items))
    finally:
        torch.set_num_threads(n_threads)
