"""From lanes to tensors: read, tokenised, masked and packed ahead of the model.

A rank has the lanes rank, rank + ranks, rank + 2 ranks, ... With workers, each of its processes
has every n-th of these, runs ahead on its own, and hands over finished tensors. A batch brings the
counters its lane stood at behind it, so that a checkpoint knows them whoever made the batch.
"""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bitextile.schema.errors import BitextileError
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.mixture import Lane
from bitextile.trainer.data.packed import moved
from bitextile.trainer.errors import TrainingError

PREFETCH = 4
"""Steps a worker runs ahead; a batch of 4,096 tokens is some 200 kB."""


@dataclass(frozen=True)
class LaneBatch:
    """The micro-batch of a lane as tensors.

    Attributes:
        lane: 0-based.
        entry: index in the mixture.
        batch: what the entry's objective made of it.
        weights: of the parts of its loss.
        records: ids of the rows.
        n_tokens: useful tokens, special ones included.
        n_places: tokens and padding.
        n_cut: rows of which subwords were lost.
        n_split: rows that gave several inputs.
        epoch: the highest of a row.
        state: counters of the lane behind this batch.
    """

    lane: int
    entry: int
    batch: Any
    weights: dict[str, int]
    records: tuple[str, ...]
    n_tokens: int
    n_places: int
    n_cut: int
    n_split: int
    epoch: int
    state: dict[str, Any]

    def pin_memory(self) -> "LaneBatch":
        """Returns the batch in page-locked memory, from where a GPU fetches it by itself."""
        pinned: LaneBatch = moved(self, lambda tensor: tensor.pin_memory())
        return pinned


def lane_batch(lane: Lane, collation: Collation) -> LaneBatch:
    """Returns a lane's next micro-batch as tensors and moves the lane on."""
    micro = lane.next()
    objective = lane.entries[micro.entry].objective
    batch = objective.collate(micro.examples, collation)
    return LaneBatch(
        lane=lane.lane,
        entry=micro.entry,
        batch=batch,
        weights=objective.weights(batch),
        records=tuple(e.record for e in micro.examples),
        n_tokens=sum(p.n_tokens for p in batch.packs),
        n_places=sum(p.inputs.numel() for p in batch.packs),
        n_cut=sum(e.n_cut > 0 for e in micro.examples),
        n_split=sum(len(e.inputs) > 1 for e in micro.examples),
        epoch=max(e.epoch for e in micro.examples),
        state=lane.state(),
    )


class _Share(IterableDataset[list[LaneBatch] | BitextileError]):
    """The lanes of one worker: yields their batches of one step after the other, for ever.

    An error is yielded in place of a batch: DataLoader would wrap it in another process's
    traceback, and its type, which decides how the run ends, would be lost.
    """

    def __init__(self, lanes: list[Lane], collation: Collation) -> None:
        super().__init__()
        self.lanes = lanes
        self.collation = collation

    def __iter__(self) -> Iterator[list[LaneBatch] | BitextileError]:
        info = get_worker_info()
        mine = self.lanes if info is None else self.lanes[info.id :: info.num_workers]
        while True:
            try:
                batches = [lane_batch(lane, self.collation) for lane in mine]
            except BitextileError as error:
                yield error
                return
            yield batches


def steps(
    lanes: list[Lane], collation: Collation, *, workers: int = 0, pin: bool = False
) -> Generator[list[LaneBatch], None, None]:
    """Yields the batches of each step, in the order of the lanes, for ever.

    Its worker processes start with the first batch and end when the generator is closed, or
    within seconds when this process is killed.

    Args:
        lanes: of this rank, where they stand.
        collation: of training.
        workers: processes to read ahead, at most one per lane; 0 reads in this process.
        pin: hand out page-locked memory.

    Raises:
        BitextileError: what a lane raised, whichever process it was in.
        TrainingError: a worker died.
    """
    workers = min(workers, len(lanes))
    # Spawned: torch's threads do not survive a fork, and the children of a fork server do not
    # notice when this process is killed, since the server lives on with them.
    share = DataLoader(
        _Share(lanes, collation),
        batch_size=None,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=PREFETCH if workers else None,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_begin_worker if workers else None,
    )
    shares: Any = iter(share)
    try:
        while True:
            parts = [_received(shares) for _ in range(max(1, workers))]
            yield sorted((b for part in parts for b in part), key=lambda b: b.lane)
    finally:
        # torch ends workers when the iterator is garbage, but an error's traceback may keep it for
        # long, and at exit Python would wait for workers that are deaf to its SIGTERM.
        if workers:
            with suppress(RuntimeError):  # one that dies on its way out has nothing left to give
                shares._shutdown_workers()


def _received(shares: Iterator[list[LaneBatch] | BitextileError]) -> list[LaneBatch]:
    try:
        received = next(shares)
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"a loader worker is gone ({reason}); if the machine ran out of memory, set fewer "
            "workers, and resume from the last checkpoint"
        ) from error
    if isinstance(received, BitextileError):
        raise received
    return received


def _begin_worker(worker: int) -> None:
    # Ctrl-C and a batch system's SIGTERM reach every process of the group; the run itself ends
    # its step and writes a checkpoint, for which the workers must stay.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The tokenizer's threads: a worker is one core's work, and more of them are asked for by name.
    os.environ["RAYON_NUM_THREADS"] = "1"
