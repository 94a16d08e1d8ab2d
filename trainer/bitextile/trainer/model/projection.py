"""The projection by which an objective compares sentences, in a file beside the model."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bitextile.schema.errors import ConfigError

PROJECTION = "projection.safetensors"
"""Projections beside a model, which transformers does not read."""


def projection_head(width: int, size: int) -> nn.Sequential:
    """Returns two fresh layers from vectors of `width` to compared ones of `size`."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))


def save_projections(folder: Path, objectives: Mapping[str, torch.Tensor]) -> None:
    """Writes the projections of a run beside its model, if it has any.

    Args:
        folder: of the model.
        objectives: what objectives have of their own, by index of their entry; a projection is
            called `project` there.
    """
    own = {name: t for name, t in objectives.items() if name.split(".")[1] == "project"}
    if own:
        save_file(own, folder / PROJECTION)


def count_projections(folder: str) -> int:
    """Returns how many projections lie beside a model."""
    return len(_entries(_read(folder)))


def load_projection(folder: str) -> nn.Sequential:
    """Returns the projection beside a model.

    Raises:
        ConfigError: there is none, or more than one.
    """
    tensors = _read(folder)
    entries = _entries(tensors)
    if len(entries) != 1:
        found = f"{len(entries)} projections" if entries else f"no {PROJECTION}"
        raise ConfigError(
            f"{folder}: has {found}, expected that of one objective that compares sentences "
            "(moco); give --pooling cls or mean"
        )
    prefix = f"{entries[0]}.project."
    state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    size, width = state["2.weight"].shape
    projection = projection_head(width, size)
    projection.load_state_dict(state)
    return projection.eval()


def _read(folder: str) -> dict[str, torch.Tensor]:
    path = Path(folder) / PROJECTION
    return load_file(path) if path.is_file() else {}


def _entries(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    return sorted({name.split(".")[0] for name in tensors})
