"""Checkpoints: complete or absent, without a pickle, each also a model folder transformers loads.

RUN/checkpoints/step-00001000/
    config.json, model.safetensors, tokenizer.json ...   save_pretrained
    languages.safetensors                                language embeddings, if any
    objectives.safetensors                               what objectives have of their own, if any
    optimiser.safetensors                                AdamW's moments by parameter name
    state.json                                           step, counters of the lanes, config
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from bitextile.trainer.card import write_identity
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.model import LANGUAGES, Encoder, quiet

FOLDER = "checkpoints"
STATE = "state.json"
OBJECTIVES = "objectives.safetensors"
OPTIMISER = "optimiser.safetensors"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(
    out: Path,
    state: dict[str, Any],
    identity: dict[str, Any],
    *,
    encoder: Encoder,
    own: nn.ModuleDict,
    optimiser: torch.optim.Optimizer,
    coder: Coder,
    keep: int,
) -> Path:
    """Writes a checkpoint and drops old ones.

    Args:
        out: the run's folder.
        state: JSON values, `step` among them; comes back from `load_state`.
        identity: for bitextile.json, so that the checkpoint can be trained on from.
        encoder: written with save_pretrained.
        own: parameters of the objectives.
        optimiser: an AdamW over the parameters of both.
        coder: its tokenizer is written beside the model.
        keep: how many checkpoints stay.

    Returns:
        Its folder: `RUN/checkpoints/step-...`; it appears by a rename, all fsynced.

    Raises:
        TrainingError: it cannot be written, the disk being full for one; no part of it stays.
    """
    target = out / FOLDER / f"step-{state['step']:08d}"
    try:
        with appearing(target) as folder:
            save_model(folder, encoder, coder)
            write_identity(folder, identity)
            if own.state_dict():
                save_file(own.state_dict(), folder / OBJECTIVES)
            save_file(_moments(optimiser, encoder, own), folder / OPTIMISER)
            (folder / STATE).write_text(json.dumps(state, ensure_ascii=False, indent=1) + "\n")
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{target}: the checkpoint cannot be written ({error}); make room or mend the disk, "
            "and resume from the one before"
        ) from error
    for old in checkpoints(out)[:-keep]:
        shutil.rmtree(old)
    return target


def save_model(folder: Path, encoder: Encoder, coder: Coder) -> None:
    """Writes model and tokenizer as transformers does, in safetensors; and language embeddings."""
    with quiet():
        encoder.mlm.save_pretrained(folder)
    coder.tokenizer.save_pretrained(folder)
    if encoder.language is not None:
        tags = {"languages": json.dumps(encoder.languages)}
        save_file({"language": encoder.language.weight.detach()}, folder / LANGUAGES, tags)


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Gives a temporary folder that becomes `target` when the context ends well, else vanishes."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        _sync(temporary)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
        _sync_one(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _sync_one(path)
    _sync_one(folder)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoints(out: Path) -> list[Path]:
    """Returns the folders of all checkpoints of a run, oldest first."""
    return sorted((out / FOLDER).glob("step-*"))


def load_state(folder: Path) -> dict[str, Any]:
    """Reads a checkpoint's state.

    Raises:
        TrainingError: it is missing or damaged.
    """
    try:
        return dict(json.loads((folder / STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error


def load_optimiser(
    folder: Path, *, encoder: Encoder, own: nn.ModuleDict, optimiser: torch.optim.Optimizer
) -> None:
    """Puts the optimiser's moments and the objectives' parameters back, bit for bit.

    Raises:
        TrainingError: a file is missing or damaged, or belongs to other parameters.
    """
    try:
        moments = load_file(folder / OPTIMISER)
        if own.state_dict():
            own.load_state_dict(load_file(folder / OBJECTIVES))
        for name, parameter in _named(encoder, own):
            state = {
                key: moments[f"{key}.{name}"] for key in _MOMENTS if f"{key}.{name}" in moments
            }
            if state:
                optimiser.state[parameter] = {k: v.to(parameter.device) for k, v in state.items()}
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _damaged(folder, error) from error


def _moments(
    optimiser: torch.optim.Optimizer, encoder: Encoder, own: nn.ModuleDict
) -> dict[str, torch.Tensor]:
    return {
        f"{key}.{name}": value.detach().cpu().contiguous()
        for name, parameter in _named(encoder, own)
        for key, value in optimiser.state.get(parameter, {}).items()
        if key in _MOMENTS
    }


def _named(encoder: Encoder, own: nn.ModuleDict) -> Iterator[tuple[str, nn.Parameter]]:
    yield from encoder.named_parameters()
    yield from own.named_parameters(prefix="own")


def _damaged(folder: Path, error: Exception) -> TrainingError:
    reason = str(error).splitlines()[0]
    return TrainingError(
        f"{folder}: the checkpoint is damaged ({reason}); delete this folder and resume again, "
        "from the one before"
    )
