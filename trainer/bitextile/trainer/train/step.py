"""One optimiser step, in plain PyTorch: forward and backward over the lanes, one update."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from bitextile.kernels.randomness import bits
from bitextile.trainer.config import RunConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.loader import LaneBatch
from bitextile.trainer.data.mixture import Lane, Mixed
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.distributed.fsdp import gather_root, is_sharded, whole_parameters
from bitextile.trainer.distributed.gradients import LaneSums, add_up, clip
from bitextile.trainer.distributed.process_group import Ranks, fail_together
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.objective import Stepped
from bitextile.trainer.observe.flops import Geometry, step_flops

C = TypeVar("C", bound=RunConfig)
E = TypeVar("E", bound=Mixed)

Part = tuple[int, str]
"""A part of the loss of a step: index of the entry, name of the part."""


@dataclass
class Training(Generic[C, E]):
    """Everything a step needs and changes.

    Attributes:
        config: of the run.
        ranks: the processes of the run.
        coder: the tokenizer.
        entries: the mixture.
        lanes: of this rank, where they stood when the run began or resumed.
        counters: of each of these lanes, as of the last step.
        collation: of training.
        encoder: on its device.
        own: parameters of objectives, by index of their entry.
        optimiser: over both.
        device: to compute on.
        settings: what must not change when the run is resumed: settings, and digests for paths.
        geometry: for the metric `mfu`; None where the device's peak is not known.
        step: steps done.
        tokens: useful tokens learned from, by all ranks.
    """

    config: C
    ranks: Ranks
    coder: Coder
    entries: tuple[E, ...]
    lanes: list[Lane]
    counters: dict[int, dict[str, Any]]
    collation: Collation
    encoder: Encoder
    own: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    device: torch.device
    settings: dict[str, Any] = field(default_factory=dict)
    geometry: Geometry | None = None
    step: int = 0
    tokens: int = 0

    def labels(self) -> list[str]:
        """Returns a name per entry: of its objective, with its index where two share one."""
        names = [e.objective.name for e in self.entries]
        return [n if names.count(n) == 1 else f"{n}.{i}" for i, n in enumerate(names)]

    def module_of(self, entry: int) -> nn.Module | None:
        """Returns the parameters of an entry's objective, if it has any."""
        return dict(self.own.items()).get(str(entry))

    def parameters(self) -> list[nn.Parameter]:
        """Returns what the optimiser updates, in an order that is the same on every rank."""
        return [p for g in self.optimiser.param_groups for p in g["params"]]

    def autocast(self) -> AbstractContextManager:
        """Returns the context to compute in: bf16 where the configuration says so."""
        wanted = self.config.precision
        if wanted == "bf16" or (wanted == "auto" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


@dataclass(frozen=True)
class LaneFacts:
    """What every rank knows of a lane's batch; as in `LaneBatch`, without the tensors.

    Attributes:
        lane: 0-based.
        entry: index in the mixture.
        weights: of the parts of its loss.
        digest: of the ids of its rows.
        rows: how many.
        n_tokens: useful tokens.
        n_places: tokens and padding.
        n_cut: rows that lost subwords.
        n_split: rows that gave several inputs.
        epoch: the highest of a row.
        flops: useful operations of the step for this batch; 0 if nobody asks.
    """

    lane: int
    entry: int
    weights: dict[str, int]
    digest: str
    rows: int
    n_tokens: int
    n_places: int
    n_cut: int
    n_split: int
    epoch: int
    flops: float


@dataclass(frozen=True)
class StepFacts:
    """The facts of all lanes of a step, over all ranks, in the order of the lanes."""

    lanes: tuple[LaneFacts, ...]

    @cached_property
    def weights(self) -> dict[Part, int]:
        """Weight of each part of the loss over the whole step."""
        total: dict[Part, int] = {}
        for facts in self.lanes:
            for name, weight in facts.weights.items():
                part = (facts.entry, name)
                total[part] = total.get(part, 0) + weight
        return total

    def share(self, entry: int) -> float:
        """Returns the share of the lanes that are the entry's."""
        return sum(f.entry == entry for f in self.lanes) / len(self.lanes)

    def factor(self, part: Part) -> float:
        """Returns what a sum of the part's losses is multiplied by: share / weight."""
        return self.share(part[0]) / max(self.weights[part], 1)


def learning_rate(config: RunConfig, step: int) -> float:
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
    """Does one step and returns its metrics, on every rank the same.

    The step's loss is, over entries and parts of their losses, `share * sum / weight`: a sum over
    the whole step, divided once by its weight over the whole step, so that the result does not
    depend on how the step was cut into lanes or dealt to ranks; `share` is the part of the lanes
    that were the entry's.

    Args:
        training: changed.
        feed: gives the batches of each step for the lanes of this rank.

    Raises:
        TrainingError: a loss or the gradient is not finite; nothing has been updated.
    """
    began = time.perf_counter()
    batches, facts, waited = _load(training, feed)
    totals = _backward(training, batches, facts)
    losses = _losses(totals, facts)
    _refuse_not_finite(training, batches, totals)
    norm = clip(training.parameters(), training.config.clip)
    if not math.isfinite(norm):
        _refuse(training, batches, f"the gradient is not finite (norm {norm})")
    rate = learning_rate(training.config, training.step)
    _update(training, rate, facts)
    training.counters |= {batch.lane: batch.state for batch in batches}
    training.step += 1
    measured = _measured(training, facts, time.perf_counter() - began, waited)
    training.tokens += measured["tokens"]
    loss = math.fsum(facts.share(entry) * loss for (entry, _), loss in losses.items())
    named = _named_losses(training, losses)
    head = {"step": training.step, "loss": loss, "losses": named, "lr": rate}
    return head | {"gradient_norm": norm} | measured


def _load(
    training: Training, feed: Iterator[list[LaneBatch]]
) -> tuple[list[LaneBatch], StepFacts, float]:
    """Returns this rank's batches, the facts of all, and the seconds the slowest rank waited."""
    batches: list[LaneBatch] = []

    def load() -> dict[str, Any]:
        began = time.perf_counter()
        batches.extend(next(feed))
        waited = time.perf_counter() - began
        return {"waited": waited, "lanes": [asdict(_facts(training, b)) for b in batches]}

    reports = training.ranks.all(load)
    lanes = [LaneFacts(**facts) for report in reports for facts in report["lanes"]]
    facts = StepFacts(tuple(sorted(lanes, key=lambda f: f.lane)))
    return batches, facts, max(report["waited"] for report in reports)


def _facts(training: Training, batch: LaneBatch) -> LaneFacts:
    return LaneFacts(
        lane=batch.lane,
        entry=batch.entry,
        weights=batch.weights,
        digest=hashlib.sha256("\n".join(batch.records).encode()).hexdigest(),
        rows=len(batch.records),
        n_tokens=batch.n_tokens,
        n_places=batch.n_places,
        n_cut=batch.n_cut,
        n_split=batch.n_split,
        epoch=batch.epoch,
        flops=step_flops(training.geometry, batch) if training.geometry else 0.0,
    )


Totals = dict[int, dict[Part, float]]
"""The sum of each part of the loss, by lane, in the order of the lanes."""


def _backward(training: Training, batches: Sequence[LaneBatch], facts: StepFacts) -> Totals:
    """Leaves the gradient of the whole step on every rank and returns the losses of all lanes."""
    training.encoder.train()
    training.own.train()
    sharded = is_sharded(training.encoder)
    several_on_cpu = len(facts.lanes) > 1 and training.device.type == "cpu" and not sharded
    sums = LaneSums(training.parameters()) if several_on_cpu else None

    def work() -> list[list[Any]]:
        totals = [_backward_of(training, batch, facts, sums) for batch in batches]
        # Only now: reading a number from a GPU waits for it.
        numbers = [{name: float(total) for name, total in parts.items()} for parts in totals]
        return [[batch.lane, batch.entry, n] for batch, n in zip(batches, numbers)]

    if sharded:
        # Its passes wait for other ranks, so an error cannot be told: whoever has one leaves.
        done = work()
        reports = training.ranks.all(lambda: done)
    else:
        reports = training.ranks.all(work)
    if sums is None:
        add_up(training.parameters(), training.ranks)
    else:
        sums.give(training.ranks)
    lanes = sorted((lane for report in reports for lane in report), key=lambda lane: lane[0])
    return {lane: {(entry, n): t for n, t in total.items()} for lane, entry, total in lanes}


def _backward_of(
    training: Training, batch: LaneBatch, facts: StepFacts, sums: LaneSums | None
) -> dict[str, torch.Tensor]:
    """Adds a lane's part to the gradient and returns its losses, summed."""
    # Dropout is drawn anew from (seed, step, lane): no generator state to save or to share.
    torch.manual_seed(_dropout_seed(training.config.seed, training.step, batch.lane))
    objective, own = training.entries[batch.entry].objective, training.module_of(batch.entry)
    gather_root(training.encoder)
    with training.autocast():
        parts = objective.losses(training.encoder, own, batch.batch.to(training.device))
    loss = torch.zeros((), device=training.device)
    for name, part in parts.items():
        loss = loss + facts.factor((batch.entry, name)) * part.total
    loss.backward()
    if sums is not None:
        sums.add_lane()
    return {name: part.total.detach() for name, part in parts.items()}


def _dropout_seed(seed: int, step: int, lane: int) -> int:
    key = bits(np.asarray([step], np.uint64), seed=seed, operation="dropout", position=lane)
    return int(key[0] >> np.uint64(1))


def _losses(totals: Totals, facts: StepFacts) -> dict[Part, float]:
    """Returns the mean of each part over the step."""
    parts = sorted({part for total in totals.values() for part in total})
    return {
        part: math.fsum(t[part] for t in totals.values() if part in t) / max(facts.weights[part], 1)
        for part in parts
    }


def _update(training: Training, rate: float, facts: StepFacts) -> None:
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    training.optimiser.step()
    training.optimiser.zero_grad(set_to_none=True)
    for entry, module in training.own.items():
        if isinstance(module, Stepped):
            with whole_parameters(training.encoder):
                module.after_step(training.encoder, _gather(training, facts, int(entry)))


def _gather(training: Training, facts: StepFacts, entry: int) -> Any:
    """Returns a `Gather` of one item per lane of the entry, in the order of the lanes."""
    lanes = [f.lane for f in facts.lanes if f.entry == entry]
    by_rank = sorted(lanes, key=lambda lane: (lane % training.ranks.size, lane))

    def gather(items: list[Any]) -> list[Any]:
        found = dict(zip(by_rank, training.ranks.gather(items), strict=True))
        return [found[lane] for lane in lanes]

    return gather


def _named_losses(training: Training, losses: dict[Part, float]) -> dict[str, float]:
    labels = training.labels()
    named = {}
    for (entry, part), loss in sorted(losses.items()):
        whole = part == training.entries[entry].objective.name
        named[labels[entry] if whole else f"{labels[entry]}/{part}"] = loss
    return named


def _measured(
    training: Training, facts: StepFacts, seconds: float, waited: float
) -> dict[str, Any]:
    lanes = facts.lanes
    tokens = sum(f.n_tokens for f in lanes)
    digests = "\n".join(f.digest for f in lanes)
    measured = {
        "tokens": tokens,
        "tokens_per_s": tokens / seconds,
        "padding": 1.0 - tokens / sum(f.n_places for f in lanes),
        "data_wait": waited / seconds,
        "rows": sum(f.rows for f in lanes),
        "cut": sum(f.n_cut for f in lanes),
        "split": sum(f.n_split for f in lanes),
        "epoch": max(f.epoch for f in lanes),
        "records": hashlib.sha256(digests.encode()).hexdigest()[:16],
    }
    if training.geometry is None:
        return measured
    peak = training.geometry.peak_flops * training.ranks.size
    return measured | {"mfu": sum(f.flops for f in lanes) / seconds / peak}


def _refuse_not_finite(training: Training, batches: Sequence[LaneBatch], totals: Totals) -> None:
    bad = {
        lane: value
        for lane, total in totals.items()
        for value in total.values()
        if not math.isfinite(value)
    }
    if bad:
        lane, value = next(iter(bad.items()))
        _refuse(training, batches, f"a loss ({value} in lane {lane}) is not finite", set(bad))


def _refuse(
    training: Training, batches: Sequence[LaneBatch], what: str, lanes: set[int] | None = None
) -> None:
    """Stops all ranks, naming the records of the lanes, or of all lanes."""
    mine: list[Any] = [
        [b.lane, list(b.records)] for b in batches if lanes is None or b.lane in lanes
    ]
    found = sorted(lane for report in training.ranks.all(lambda: mine) for lane in report)
    ids = [record for _, records in found for record in records]
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    error = TrainingError(
        f"step {training.step + 1}: {what}; its records are {shown}. Look at these rows, lower lr "
        "or clip, and resume from the last checkpoint"
    )
    fail_together(training.ranks, error)
