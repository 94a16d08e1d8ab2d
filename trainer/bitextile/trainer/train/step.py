"""One optimiser step, in plain PyTorch: forward and backward over the micro-batches, one update."""

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from bitextile.kernels.randomness import bits
from bitextile.trainer.config import RunConfig
from bitextile.trainer.data.loader import CollatedBatch
from bitextile.trainer.distributed.fsdp import full_parameters, gather_root, is_sharded
from bitextile.trainer.distributed.gradients import (
    GradientSums,
    all_reduce_gradients,
    clip_gradients,
)
from bitextile.trainer.distributed.process_group import fail_on_all
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.objectives.objective import Gather, StepHook
from bitextile.trainer.observe.flops import step_flops
from bitextile.trainer.train.state import TrainState

Part = tuple[int, str]
"""A part of the loss of a step: index of the entry, name of the part."""


@dataclass(frozen=True)
class MicroBatchStats:
    """What every rank knows of a micro-batch; as in `CollatedBatch`, without the tensors.

    Attributes:
        stream: index of its stream, which is its place in the step.
        entry: index in the mixture.
        weights: of the parts of its loss.
        digest: of the ids of its rows.
        rows: how many.
        n_tokens: useful tokens.
        n_positions: tokens and padding.
        n_truncated: rows that lost subwords.
        n_split: rows that gave several inputs.
        epoch: the highest of a row.
        flops: useful operations of the step for this batch; 0 if nobody asks.
    """

    stream: int
    entry: int
    weights: dict[str, int]
    digest: str
    rows: int
    n_tokens: int
    n_positions: int
    n_truncated: int
    n_split: int
    epoch: int
    flops: float


@dataclass(frozen=True)
class StepStats:
    """The statistics of a step's micro-batches, over all ranks, in the order of the streams."""

    micro_batches: tuple[MicroBatchStats, ...]

    @cached_property
    def weights(self) -> dict[Part, int]:
        """Weight of each part of the loss over the whole step."""
        total: dict[Part, int] = {}
        for stats in self.micro_batches:
            for name, weight in stats.weights.items():
                part = (stats.entry, name)
                total[part] = total.get(part, 0) + weight
        return total

    def share(self, entry: int) -> float:
        """Returns the share of the micro-batches that are the entry's."""
        return sum(m.entry == entry for m in self.micro_batches) / len(self.micro_batches)

    def factor(self, part: Part) -> float:
        """Returns what a sum of the part's losses is multiplied by: share / weight."""
        # A step without a position to predict has weight 0, and a gradient of 0.
        return self.share(part[0]) / max(self.weights[part], 1)

    def loss(self, losses: Mapping[Part, float]) -> float | None:
        """Returns the loss of the step, over the entries that have one; None where none has.

        Args:
            losses: mean of each part that has a weight.
        """
        learned = {entry for entry, _ in losses}
        if not learned:
            return None
        total = math.fsum(self.share(entry) * loss for (entry, _), loss in losses.items())
        if all(m.entry in learned for m in self.micro_batches):
            return total
        # An entry without anything to predict would count as loss 0.
        return total / math.fsum(self.share(entry) for entry in learned)


def learning_rate(config: RunConfig, step: int) -> float:
    """Returns the rate of a step.

    Args:
        config: gives `lr`, `warmup_steps`, `schedule` and `steps`.
        step: 0-based.
    """
    if step < config.warmup_steps:
        # + 1: a step at rate 0 would move nothing.
        return config.lr * (step + 1) / config.warmup_steps
    left = max(1, config.steps - config.warmup_steps)
    done = min(1.0, (step - config.warmup_steps) / left)
    if config.schedule == "linear":
        return config.lr * (1.0 - done)
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1.0 + math.cos(math.pi * done))
    return config.lr


def train_step(state: TrainState, batches: Iterator[list[CollatedBatch]]) -> dict[str, Any]:
    """Does one step and returns its metrics, on every rank the same.

    A part of the loss that nothing in the step is predicted for is left out of `losses`; `loss` is
    None where that holds for all.

    The step's loss is, over entries and parts of their losses, `share * sum / weight`: a sum over
    the whole step, divided once by its weight over the whole step, so that the result does not
    depend on how the step was cut into micro-batches or given to ranks; `share` is the share of the
    micro-batches that were the entry's.

    Args:
        state: changed.
        batches: gives those of each step for the streams of this rank.

    Raises:
        TrainingError: a loss or the gradient is not finite; nothing has been updated.
    """
    began = time.perf_counter()
    loaded, stats, waited = _load(state, batches)
    totals = _backward(state, loaded, stats)
    losses = _mean_losses(totals, stats)
    # Ahead of the gradient: a loss names the records of its micro-batch, a gradient those of all.
    _refuse_not_finite(state, loaded, totals)
    norm = clip_gradients(state.parameters(), state.config.max_grad_norm)
    if not math.isfinite(norm):
        _refuse(state, loaded, f"the gradient is not finite (norm {norm})")
    rate = learning_rate(state.config, state.step)
    _update(state, rate, stats)
    state.counters |= {batch.stream: batch.state for batch in loaded}
    state.step += 1
    metrics = _throughput(state, stats, time.perf_counter() - began, waited)
    state.tokens += metrics["tokens"]
    named = _named_losses(state, losses)
    head = {"step": state.step, "loss": stats.loss(losses), "losses": named, "lr": rate}
    return head | {"gradient_norm": norm} | metrics


def _load(
    state: TrainState, batches: Iterator[list[CollatedBatch]]
) -> tuple[list[CollatedBatch], StepStats, float]:
    """Returns this rank's batches, the stats of all, and the seconds the slowest rank waited."""
    loaded: list[CollatedBatch] = []

    def load() -> dict[str, Any]:
        began = time.perf_counter()
        loaded.extend(next(batches))
        waited = time.perf_counter() - began
        return {"waited": waited, "stats": [asdict(_stats(state, b)) for b in loaded]}

    reports = state.group.collect(load)
    of_all = [MicroBatchStats(**stats) for report in reports for stats in report["stats"]]
    stats = StepStats(tuple(sorted(of_all, key=lambda m: m.stream)))
    return loaded, stats, max(report["waited"] for report in reports)


def _stats(state: TrainState, batch: CollatedBatch) -> MicroBatchStats:
    return MicroBatchStats(
        stream=batch.stream,
        entry=batch.entry,
        weights=batch.weights,
        digest=hashlib.sha256("\n".join(batch.records).encode()).hexdigest(),
        rows=len(batch.records),
        n_tokens=batch.n_tokens,
        n_positions=batch.n_positions,
        n_truncated=batch.n_truncated,
        n_split=batch.n_split,
        epoch=batch.epoch,
        flops=step_flops(state.geometry, batch.batch)
        if state.geometry and not batch.is_filler
        else 0.0,
    )


Totals = dict[int, dict[Part, float]]
"""The sum of each part of the loss, by micro-batch, in the order of the streams."""


def _backward(state: TrainState, batches: Sequence[CollatedBatch], stats: StepStats) -> Totals:
    """Leaves the gradient of the whole step on every rank; returns the losses of all batches."""
    state.encoder.train()
    state.objective_modules.train()
    sharded = is_sharded(state.encoder)
    # On a GPU a float64 sum per micro-batch would cost more than the last bits are worth.
    several_on_cpu = len(stats.micro_batches) > 1 and state.device.type == "cpu" and not sharded
    sums = GradientSums(state.parameters()) if several_on_cpu else None

    def work() -> list[list[Any]]:
        totals = [_backward_of(state, batch, stats, sums) for batch in batches]
        # Only now: reading a number from a GPU waits for it.
        numbers = [{name: float(total) for name, total in parts.items()} for parts in totals]
        return [[batch.stream, batch.entry, n] for batch, n in zip(batches, numbers)]

    if sharded:
        # Its passes wait for other ranks, so an error cannot be exchanged: whoever has one leaves.
        done = work()
        reports = state.group.collect(lambda: done)
    else:
        reports = state.group.collect(work)
    if sums is None:
        all_reduce_gradients(state.parameters(), state.group)
    else:
        sums.all_reduce(state.group)
    found = sorted((one for report in reports for one in report), key=lambda one: one[0])
    return {stream: {(entry, n): t for n, t in total.items()} for stream, entry, total in found}


def _backward_of(
    state: TrainState, batch: CollatedBatch, stats: StepStats, sums: GradientSums | None
) -> dict[str, torch.Tensor]:
    """Adds a micro-batch's part to the gradient and returns its losses, summed."""
    # Dropout depends on (seed, step, stream) alone: no generator state to save or to share.
    torch.manual_seed(_dropout_seed(state.config.seed, state.step, batch.stream))
    objective, module = state.entries[batch.entry].objective, state.module_of(batch.entry)
    gather_root(state.encoder)
    with state.autocast():
        parts = objective.losses(state.encoder, module, batch.batch.to(state.device))
    # Multiplied before the backward pass, so gradients only ever have to be added.
    loss = torch.zeros((), device=state.device)
    for name, part in parts.items():
        # A filler goes through the encoder all the same: under FSDP all ranks pass together.
        factor = 0.0 if batch.is_filler else stats.factor((batch.entry, name))
        loss = loss + factor * part.total
    loss.backward()
    if sums is not None:
        sums.add_micro_batch()
    return {} if batch.is_filler else {name: part.total.detach() for name, part in parts.items()}


def _dropout_seed(seed: int, step: int, stream: int) -> int:
    key = bits(np.asarray([step], np.uint64), seed=seed, operation="dropout", position=stream)
    return int(key[0] >> np.uint64(1))  # torch takes seeds below 2^63


def _mean_losses(totals: Totals, stats: StepStats) -> dict[Part, float]:
    """Returns the mean of each part over the step, of those that have a weight."""
    # fsum rounds once, so that the mean does not depend on the order of the ranks.
    parts = sorted({part for total in totals.values() for part in total if stats.weights[part]})
    return {
        part: math.fsum(t[part] for t in totals.values() if part in t) / stats.weights[part]
        for part in parts
    }


def _update(state: TrainState, rate: float, stats: StepStats) -> None:
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.optimiser.step()
    # None, not 0: AdamW passes over what has no gradient, so that a head which no objective of the
    # step uses neither decays nor moves on its old momentum.
    state.optimiser.zero_grad(set_to_none=True)
    for entry, module in state.objective_modules.items():
        if isinstance(module, StepHook):
            with full_parameters(state.encoder):
                module.after_step(state.encoder, _gather_of(state, stats, int(entry)))


def _gather_of(state: TrainState, stats: StepStats, entry: int) -> Gather:
    """Returns a `Gather` of one item per micro-batch of the entry, in the order of the streams."""
    streams = [m.stream for m in stats.micro_batches if m.entry == entry]
    # Rank r of R has the streams r, r + R, ...; items come rank by rank, and so:
    #     streams 0 1 2 3 of two ranks -> by_rank 0 2 1 3
    by_rank = sorted(streams, key=lambda stream: (stream % state.group.size, stream))

    def gather(items: list[Any]) -> list[Any]:
        found = dict(zip(by_rank, state.group.gather_tensors(items), strict=True))
        return [found[stream] for stream in streams]

    return gather


def _named_losses(state: TrainState, losses: dict[Part, float]) -> dict[str, float]:
    labels = state.labels()
    named = {}
    for (entry, part), loss in sorted(losses.items()):
        only = part == state.entries[entry].objective.name
        named[labels[entry] if only else f"{labels[entry]}/{part}"] = loss
    return named


def _throughput(
    state: TrainState, stats: StepStats, seconds: float, waited: float
) -> dict[str, Any]:
    batches = stats.micro_batches
    tokens = sum(m.n_tokens for m in batches)
    digests = "\n".join(m.digest for m in batches)
    metrics = {
        "tokens": tokens,
        "tokens_per_s": tokens / seconds,
        "padding": 1.0 - tokens / sum(m.n_positions for m in batches),
        "data_wait": waited / seconds,
        "rows": sum(m.rows for m in batches),
        "truncated": sum(m.n_truncated for m in batches),
        "split": sum(m.n_split for m in batches),
        "epoch": max(m.epoch for m in batches),
        "records": hashlib.sha256(digests.encode()).hexdigest()[:16],
    }
    if state.geometry is None:
        return metrics
    peak = state.geometry.peak_flops * state.group.size
    return metrics | {"mfu": sum(m.flops for m in batches) / seconds / peak}


def _refuse_not_finite(state: TrainState, batches: Sequence[CollatedBatch], totals: Totals) -> None:
    bad = {
        stream: value
        for stream, total in totals.items()
        for value in total.values()
        if not math.isfinite(value)
    }
    if bad:
        stream, value = next(iter(bad.items()))
        _refuse(state, batches, f"a loss ({value} in micro-batch {stream}) is not finite", set(bad))


def _refuse(
    state: TrainState,
    batches: Sequence[CollatedBatch],
    reason: str,
    streams: set[int] | None = None,
) -> None:
    """Stops all ranks, naming the records of the micro-batches of some streams, or of all."""
    mine: list[Any] = [
        [b.stream, list(b.records)] for b in batches if streams is None or b.stream in streams
    ]
    found = sorted(one for report in state.group.collect(lambda: mine) for one in report)
    ids = [record for _, records in found for record in records]
    shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
    error = TrainingError(
        f"step {state.step + 1}: {reason}; its records are {shown}. Look at these rows, lower lr "
        "or max_grad_norm, and resume from the last checkpoint"
    )
    fail_on_all(state.group, error)
