"""Checkpoints: complete or absent, without a pickle, each also a model folder transformers loads.

RUN/checkpoints/step-00001000/
    config.json, model.safetensors, tokenizer.json ...   save_pretrained
    languages.safetensors                                language embeddings, if any
    projection.safetensors                               projection of a contrastive objective
    objectives.safetensors                               what objectives have of their own, if any
    optimiser.safetensors                                AdamW's moments by parameter name
    state.json                                           step, counters of the streams, config, and
                                                         sha256 of all files, its own included

Parameters that FSDP has sharded are gathered before they are written, so a checkpoint does not
depend on the number of ranks.
"""

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from bitextile.schema.json_file import read_json
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.distributed.fsdp import full_cpu, reshard_root, shard_like
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.model.build import quiet
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.model.languages import save_languages
from bitextile.trainer.model.projection import save_projections
from bitextile.trainer.observe.card import write_provenance

FOLDER = "checkpoints"
STATE = "state.json"
OBJECTIVES = "objectives.safetensors"
OPTIMISER = "optimiser.safetensors"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunTensors:
    """What a checkpoint holds besides JSON, whole and on the CPU.

    Attributes:
        model: the weights of the transformers model, by its names.
        language: language embeddings, or None.
        objectives: parameters and buffers of the objectives.
        moments: of AdamW, as `exp_avg.NAME`.
    """

    model: dict[str, torch.Tensor]
    language: torch.Tensor | None
    objectives: dict[str, torch.Tensor]
    moments: dict[str, torch.Tensor]

    def named(self) -> dict[str, torch.Tensor]:
        """Returns all of them by one name each."""
        language = {} if self.language is None else {"languages": self.language}
        objectives = {f"objectives.{name}": t for name, t in self.objectives.items()}
        return self.model | language | objectives | self.moments


def gather_run_tensors(
    encoder: Encoder,
    objective_modules: nn.ModuleDict,
    optimiser: torch.optim.Optimizer | None = None,
) -> RunTensors:
    """Gathers what a checkpoint holds; every rank must call it.

    Args:
        encoder: sharded or not.
        objective_modules: of the run.
        optimiser: an AdamW over the parameters of both; None leaves its moments out.
    """
    # A validation leaves embeddings and head gathered, in parameters that have no moments.
    reshard_root(encoder)
    # Not by torch.distributed.checkpoint: its set_optimizer_state_dict takes no parameter without
    # moments, and here are some: of each head or pooler that no objective of the mixture uses.
    moments = {
        f"{key}.{name}": full_cpu(value)
        for name, parameter in _named(encoder, objective_modules)
        for key, value in (optimiser.state.get(parameter, {}) if optimiser else {}).items()
        if key in _MOMENTS
    }
    return RunTensors(
        model=_full_state(encoder.mlm),
        language=None if encoder.language is None else full_cpu(encoder.language.weight),
        objectives=_full_state(objective_modules),
        moments=moments,
    )


def _full_state(module: nn.Module) -> dict[str, torch.Tensor]:
    # Not by torch's get_model_state_dict: of a sharded model it gathers tied weights twice, into
    # two tensors, and save_pretrained then writes both (tests/trainer/distributed/test_fsdp.py).
    seen: dict[int, torch.Tensor] = {}
    state = module.state_dict(keep_vars=True)
    for value in state.values():
        if id(value) not in seen:
            seen[id(value)] = full_cpu(value)
    return {name: seen[id(value)] for name, value in state.items()}


def save_checkpoint(
    out: Path,
    state: dict[str, Any],
    provenance: dict[str, Any],
    *,
    encoder: Encoder,
    tensors: RunTensors,
    tokenizer: Tokenizer,
    keep: int,
) -> Path:
    """Writes a checkpoint and drops old ones.

    Args:
        out: the run's folder.
        state: JSON values, `step` among them; comes back from `load_state`.
        provenance: for bitextile.json, so that the checkpoint can be trained on from.
        encoder: gives the configuration to write beside the weights.
        tensors: as `gather_run_tensors` gathered them.
        tokenizer: its tokenizer is written beside the model.
        keep: how many checkpoints stay.

    Returns:
        Its folder: `RUN/checkpoints/step-...`; it appears by a rename, all fsynced.

    Raises:
        TrainingError: it cannot be written, the disk being full for one; no part of it stays.
    """
    target = out / FOLDER / f"step-{state['step']:08d}"
    try:
        with atomic_directory(target) as folder:
            save_model(folder, encoder, tokenizer, tensors)
            write_provenance(folder, provenance)
            if tensors.objectives:
                save_file(tensors.objectives, folder / OBJECTIVES)
            save_file(tensors.moments, folder / OPTIMISER)
            # Last, and over itself as well: state.json is what makes a folder a checkpoint.
            content = {"files": _digests(folder)} | state
            content |= {"sha256": _digest_of(content)}
            (folder / STATE).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{target}: the checkpoint cannot be written ({error}); free disk space or replace "
            "the disk, and resume from the one before"
        ) from error
    for old in checkpoints(out)[:-keep]:
        shutil.rmtree(old)
    return target


def save_model(folder: Path, encoder: Encoder, tokenizer: Tokenizer, tensors: RunTensors) -> None:
    """Writes model and tokenizer as transformers does, in safetensors; and what lies beside.

    That is language embeddings and the projection of a contrastive objective.
    """
    with quiet():
        encoder.mlm.save_pretrained(folder, state_dict=tensors.model)
    tokenizer.pretrained.save_pretrained(folder)
    if tensors.language is not None:
        save_languages(folder, encoder.languages, tensors.language)
    save_projections(folder, tensors.objectives)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Gives a temporary folder that becomes `target` when the context ends well, else vanishes."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        # Contents before the rename, and the rename before anything is deleted for it: a machine
        # that loses power leaves the old folder or the new one.
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


def _digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of each file but the state, by name."""
    found = {}
    for path in sorted(p for p in folder.iterdir() if p.name != STATE):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _digest_of(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def checkpoints(out: Path) -> list[Path]:
    """Returns the folders of all checkpoints of a run, oldest first."""
    return sorted((out / FOLDER).glob("step-*"))


def latest_valid(out: Path) -> Path | None:
    """Returns the newest checkpoint that is valid; newer ones are named in a warning.

    Args:
        out: the run's folder.

    Returns:
        None if there is no checkpoint at all.

    Raises:
        TrainingError: there are some, and all are damaged.
    """
    damaged: list[str] = []
    for folder in reversed(checkpoints(out)):
        try:
            verify(folder)
        except TrainingError as error:
            damaged.append(str(error))
            continue
        for reason in damaged:
            logger.warning("%s; it is skipped, the run resumes from %s", reason, folder.name)
        return folder
    if damaged:
        raise TrainingError(
            f"{out}: no checkpoint can be used: {'; '.join(damaged)}; start over with --overwrite"
        )
    return None


def verify(folder: Path) -> None:
    """Checks a checkpoint's files against the digests in its state.

    Raises:
        TrainingError: one is missing, changed, or unreadable.
    """
    state = load_state(folder)
    if state.get("sha256") != _digest_of(state):
        raise _damaged(folder, f"{STATE} has changed since it was written")
    wanted = state.get("files")
    if not isinstance(wanted, dict):
        raise _damaged(folder, f"{STATE} names no files")
    try:
        found = _digests(folder)
    except OSError as error:
        raise _damaged(folder, error) from error
    for name, digest in wanted.items():
        if name not in found:
            raise _damaged(folder, f"{name} is missing")
        if found[name] != digest:
            raise _damaged(folder, f"{name} has changed since it was written")


def remove_stale(out: Path, last: Path) -> None:
    """Removes what a resumed run will write again: half-written folders, damaged checkpoints.

    Args:
        out: the run's folder.
        last: the checkpoint it goes on from; those behind it are the damaged ones.
    """
    later = [c for c in checkpoints(out) if c.name > last.name]
    for path in [*(out / FOLDER).glob(".*.tmp"), *later]:
        shutil.rmtree(path)


def load_state(folder: Path) -> dict[str, Any]:
    """Reads a checkpoint's state.

    Raises:
        TrainingError: it is missing or damaged.
    """
    try:
        return dict(read_json(folder / STATE))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder, f"{STATE}: {error}") from error


def load_training_tensors(
    folder: Path,
    *,
    encoder: Encoder,
    objective_modules: nn.ModuleDict,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Puts the optimiser's moments and the objectives' parameters back, bit for bit.

    Args:
        folder: of the checkpoint.
        encoder: opened from the checkpoint, sharded or not.
        objective_modules: changed.
        optimiser: changed.

    Raises:
        TrainingError: a file is missing or damaged, or belongs to other parameters.
    """
    try:
        moments = load_file(folder / OPTIMISER)
        # A run whose objectives have nothing of their own has no such file.
        if objective_modules.state_dict():
            objective_modules.load_state_dict(load_file(folder / OBJECTIVES))
        for name, parameter in _named(encoder, objective_modules):
            state = {
                key: moments[f"{key}.{name}"] for key in _MOMENTS if f"{key}.{name}" in moments
            }
            if any(value.ndim and value.shape != parameter.shape for value in state.values()):
                raise _damaged(folder, f"{OPTIMISER} has {name} in another shape than the model")
            if state:
                optimiser.state[parameter] = {
                    key: shard_like(value, parameter) for key, value in state.items()
                }
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _damaged(folder, error) from error


def _named(
    encoder: Encoder, objective_modules: nn.ModuleDict
) -> Iterator[tuple[str, nn.Parameter]]:
    yield from encoder.named_parameters()
    yield from objective_modules.named_parameters(prefix="own")  # keeps apart what both call 0


def _damaged(folder: Path, reason: Exception | str) -> TrainingError:
    first = str(reason).splitlines()[0]
    return TrainingError(f"{folder}: the checkpoint is damaged ({first})")
