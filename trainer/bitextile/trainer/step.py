"""One optimiser step, in plain PyTorch: forward and backward over the lanes, one update."""

import hashlib
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from bitextile.kernels.randomness import bits
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.loader import LaneBatch
from bitextile.trainer.data.mixture import Entry, Lane
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.model import Encoder
from bitextile.trainer.objectives.objective import Stepped

Part = tuple[int, str]
"""A part of the loss of a step: index of the entry, name of the part."""


@dataclass
class Training:
    """Everything a step needs and changes.

    Attributes:
        config: of the run.
        coder: the tokenizer.
        entries: the mixture.
        lanes: one per micro-batch of a step, where they stood when the run began or resumed.
        counters: of each lane, as of the last step.
        collation: of training.
        encoder: on its device.
        own: parameters of objectives, by index of their entry.
        optimiser: over both.
        device: to compute on.
        step: steps done.
        tokens: useful tokens learned from.
    """

    config: PretrainConfig
    coder: Coder
    entries: tuple[Entry, ...]
    lanes: list[Lane]
    counters: dict[int, dict[str, Any]]
    collation: Collation
    encoder: Encoder
    own: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    device: torch.device
    step: int = 0
    tokens: int = 0

    def labels(self) -> list[str]:
        """Returns a name per entry: of its objective, with its index where two share one."""
        names = [e.objective.name for e in self.entries]
        return [n if names.count(n) == 1 else f"{n}.{i}" for i, n in enumerate(names)]

    def module_of(self, entry: int) -> nn.Module | None:
        """Returns the parameters of an entry's objective, if it has any."""
        return dict(self.own.items()).get(str(entry))

    def autocast(self) -> AbstractContextManager:
        """Returns the context to compute in: bf16 where the configuration says so."""
        wanted = self.config.precision
        if wanted == "bf16" or (wanted == "auto" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Returns the rate of a step.

    Args:
        config: gives `lr`, `warmup_steps`, `schedule` and `steps`.
        step: 0-based.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    left = max(1, config.steps - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / left)
    if config.schedule == "linear":
        return config.lr * (1.0 - done)
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1.0 + math.cos(math.pi * done))
    return config.lr


def train_step(training: Training, feed: Iterator[list[LaneBatch]]) -> dict[str, Any]:
    """Does one step and returns its metrics.

    The step's loss is, over entries and parts of their losses, `share * sum / weight`: a sum over
    the whole step, divided once by its weight over the whole step, so that the result does not
    depend on how the step was cut into lanes; `share` is the part of the lanes that were the
    entry's.

    Args:
        training: changed.
        feed: gives the batches of each step.

    Raises:
        TrainingError: a loss or the gradient is not finite; nothing has been updated.
    """
    began = time.perf_counter()
    batches = next(feed)
    loaded = time.perf_counter()
    weights = _weights(batches)
    totals = _backward(training, batches, weights)
    norm = _gradient_norm(training)
    losses = {part: float(total) / max(weights[part], 1) for part, total in totals.items()}
    if not all(math.isfinite(x) for x in (*losses.values(), norm)):
        raise _not_finite(training, batches, norm)
    rate = learning_rate(training.config, training.step)
    _update(training, rate)
    training.counters |= {batch.lane: batch.state for batch in batches}
    training.step += 1
    measured = _measured(batches, began, loaded)
    training.tokens += measured["tokens"]
    named = _named_losses(training, losses)
    loss = sum(_share(batches, entry) * losses[(entry, part)] for entry, part in losses)
    head = {"step": training.step, "loss": loss, "losses": named, "lr": rate}
    return head | {"gradient_norm": norm} | measured


def _weights(batches: Sequence[LaneBatch]) -> dict[Part, int]:
    weights: dict[Part, int] = defaultdict(int)
    for batch in batches:
        for part, weight in batch.weights.items():
            weights[(batch.entry, part)] += weight
    return dict(weights)


def _backward(
    training: Training, batches: Sequence[LaneBatch], weights: dict[Part, int]
) -> dict[Part, torch.Tensor]:
    totals: dict[Part, torch.Tensor] = {}
    training.encoder.train()
    training.own.train()
    for batch in batches:
        # Dropout is drawn anew from (seed, step, lane): no generator state to save or to share.
        torch.manual_seed(_dropout_seed(training.config.seed, training.step, batch.lane))
        share = _share(batches, batch.entry)
        objective, own = training.entries[batch.entry].objective, training.module_of(batch.entry)
        with training.autocast():
            parts = objective.losses(training.encoder, own, batch.batch.to(training.device))
        loss = torch.zeros((), device=training.device)
        for name, part in parts.items():
            key = (batch.entry, name)
            loss = loss + share / max(weights[key], 1) * part.total
            totals[key] = totals.get(key, 0.0) + part.total.detach()
        loss.backward()
    return totals


def _share(batches: Sequence[LaneBatch], entry: int) -> float:
    return sum(b.entry == entry for b in batches) / len(batches)


def _dropout_seed(seed: int, step: int, lane: int) -> int:
    key = bits(np.asarray([step], np.uint64), seed=seed, operation="dropout", position=lane)
    return int(key[0] >> np.uint64(1))


def _gradient_norm(training: Training) -> float:
    parameters = [p for g in training.optimiser.param_groups for p in g["params"]]
    limit = training.config.clip or math.inf
    return float(torch.nn.utils.clip_grad_norm_(parameters, limit))


def _update(training: Training, rate: float) -> None:
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    training.optimiser.step()
    training.optimiser.zero_grad(set_to_none=True)
    for module in training.own.values():
        if isinstance(module, Stepped):
            module.after_step(training.encoder, list)


def _named_losses(training: Training, losses: dict[Part, float]) -> dict[str, float]:
    labels = training.labels()
    named = {}
    for (entry, part), loss in sorted(losses.items()):
        whole = part == training.entries[entry].objective.name
        named[labels[entry] if whole else f"{labels[entry]}/{part}"] = loss
    return named


def _measured(batches: Sequence[LaneBatch], began: float, loaded: float) -> dict[str, Any]:
    tokens = sum(b.n_tokens for b in batches)
    now = time.perf_counter()
    ids = "\n".join(record for b in batches for record in b.records)
    return {
        "tokens": tokens,
        "tokens_per_s": tokens / (now - began),
        "padding": 1.0 - tokens / sum(b.n_places for b in batches),
        "data_wait": (loaded - began) / (now - began),
        "rows": sum(len(b.records) for b in batches),
        "cut": sum(b.n_cut for b in batches),
        "split": sum(b.n_split for b in batches),
        "epoch": max(b.epoch for b in batches),
        "records": hashlib.sha256(ids.encode()).hexdigest()[:16],
    }


def _not_finite(training: Training, batches: Sequence[LaneBatch], norm: float) -> TrainingError:
    ids = [record for b in batches for record in b.records]
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    return TrainingError(
        f"step {training.step + 1}: the loss or its gradient (norm {norm}) is not finite; its "
        f"records are {shown}. Look at these rows, lower lr or clip, and resume from the last "
        "checkpoint"
    )
