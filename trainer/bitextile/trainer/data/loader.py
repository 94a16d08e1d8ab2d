"""From micro-batch streams to tensors: read, tokenised, masked and packed ahead of the model.

With workers, each process of a rank has every n-th of the rank's streams, runs ahead on its own,
and hands over finished tensors. A batch brings the counters its stream stood at behind it, so that
a checkpoint knows them whoever made the batch.
"""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from bitextile.schema.endings import LIKELY
from bitextile.schema.errors import BitextileError
from bitextile.schema.processes import BoundContext
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.mixture import MicroBatchStream
from bitextile.trainer.data.packed import map_tensors
from bitextile.trainer.errors import TrainingError

PREFETCH = 4
"""Steps a worker runs ahead; a batch of 4,096 tokens is some 200 kB."""


@dataclass(frozen=True)
class CollatedBatch:
    """A micro-batch as tensors.

    Attributes:
        stream: index of the micro-batch stream it is from.
        entry: index in the mixture.
        batch: what the entry's objective made of it.
        weights: of the parts of its loss.
        records: ids of the rows.
        n_tokens: useful tokens, special ones included.
        n_positions: tokens and padding.
        n_truncated: rows of which subwords were lost.
        n_split: rows that gave several inputs.
        epoch: the highest of a row.
        state: counters of the stream behind this batch.
        is_filler: True where nothing is learned from it, and no number above counts it.
    """

    stream: int
    entry: int
    batch: Any
    weights: dict[str, int]
    records: tuple[str, ...]
    n_tokens: int
    n_positions: int
    n_truncated: int
    n_split: int
    epoch: int
    state: dict[str, Any]
    is_filler: bool = False

    # DataLoader calls this method of a batch that is none of the types it knows.
    def pin_memory(self) -> "CollatedBatch":
        """Returns the batch in page-locked memory, from where a GPU fetches it by itself."""
        pinned: CollatedBatch = map_tensors(self, lambda tensor: tensor.pin_memory())
        return pinned


def collated_batch(stream: MicroBatchStream, collation: Collation) -> CollatedBatch:
    """Returns a stream's next micro-batch as tensors and moves the stream on."""
    micro = stream.next()
    objective = stream.entries[micro.entry].objective
    batch = objective.collate(micro.examples, collation.of_entry(micro.entry))
    weights = objective.weights(batch)
    counted = () if micro.is_filler else micro.examples
    packs = () if micro.is_filler else batch.packs
    return CollatedBatch(
        stream=stream.index,
        entry=micro.entry,
        batch=batch,
        weights=dict.fromkeys(weights, 0) if micro.is_filler else weights,
        # Ids, not counters: two runs have seen the same data if these are the same.
        records=tuple(e.record for e in counted),
        n_tokens=sum(p.n_tokens for p in packs),
        n_positions=sum(p.inputs.numel() for p in packs),
        n_truncated=sum(e.n_truncated > 0 for e in counted),
        n_split=sum(len(e.inputs) > 1 for e in counted),
        epoch=max((e.epoch for e in counted), default=0),
        state=stream.state(),
        is_filler=micro.is_filler,
    )


class _WorkerStreams(IterableDataset[list[CollatedBatch] | BitextileError]):
    """The streams of one worker: yields their batches of one step after the other, for ever.

    An error is yielded in place of a batch: DataLoader would wrap it in another process's
    traceback, and its type, which decides how the run ends, would be lost.
    """

    def __init__(self, streams: list[MicroBatchStream], collation: Collation) -> None:
        super().__init__()
        self.streams = streams
        self.collation = collation

    def __iter__(self) -> Iterator[list[CollatedBatch] | BitextileError]:
        info = get_worker_info()
        mine = self.streams if info is None else self.streams[info.id :: info.num_workers]
        while True:
            try:
                batches = [collated_batch(stream, self.collation) for stream in mine]
            except BitextileError as error:
                yield error
                return
            yield batches


def steps(
    streams: list[MicroBatchStream], collation: Collation, *, workers: int = 0, pin: bool = False
) -> Generator[list[CollatedBatch], None, None]:
    """Yields the batches of each step, in the order of the streams, for ever.

    Its worker processes start with the first batch and end when the generator is closed, or
    within a second when this process is killed.

    Args:
        streams: of this rank, where they stand.
        collation: of training.
        workers: processes to read ahead, at most one per stream; 0 reads in this process.
        pin: hand out page-locked memory.

    Raises:
        BitextileError: what a stream raised, whichever process it was in.
        TrainingError: a worker died.
    """
    workers = min(workers, len(streams))
    # Spawned: torch's threads do not survive a fork, and the children of a fork server do not
    # notice when this process is killed, since the server lives on with them.
    share = DataLoader(
        _WorkerStreams(streams, collation),
        batch_size=None,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=PREFETCH if workers else None,
        multiprocessing_context=BoundContext() if workers else None,
        worker_init_fn=_begin_worker if workers else None,
    )
    shares: Any = iter(share)
    try:
        while True:
            # DataLoader takes one item of each worker in turn, so `workers` items are a step.
            parts = [_received(shares) for _ in range(max(1, workers))]
            yield sorted((b for part in parts for b in part), key=lambda b: b.stream)
    finally:
        # torch ends workers when the iterator is garbage, but an error's traceback may keep it for
        # long, and at exit Python would wait for workers that are deaf to its SIGTERM.
        if workers:
            with suppress(RuntimeError):  # one that dies on its way out has nothing left to give
                shares._shutdown_workers()


def _received(shares: Iterator[list[CollatedBatch] | BitextileError]) -> list[CollatedBatch]:
    try:
        received = next(shares)
    except (ConnectionError, EOFError) as error:
        # A worker that is killed while it hands a tensor over: the socket ends before torch hears
        # of the process.
        raise RuntimeError(f"DataLoader worker is gone: {error}") from error
    if isinstance(received, BitextileError):
        raise received
    return received


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Turns the error of a loader worker that is gone into a sentence, wherever it shows.

    torch raises it in a handler of SIGCHLD: in the midst of whatever the main thread does.

    Raises:
        TrainingError: a worker is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lost_worker(error):
            raise
        raise TrainingError(
            f"a loader worker {_why(str(error))}; set fewer `workers`, and go on with --resume"
        ) from error


def is_lost_worker(error: RuntimeError) -> bool:
    """Returns whether torch says by an error that a loader worker is gone."""
    return "DataLoader worker" in str(error)


def _why(text: str) -> str:
    if "shared memory" in text or "Bus error" in text:
        return "found no room in shared memory (/dev/shm)"
    if "is killed by signal" in text and "signal: Killed" not in text:
        return f"crashed ({text.splitlines()[0]})"
    # By which signal is not said where torch finds a worker gone before SIGCHLD comes.
    return f"was killed by the system, {LIKELY} ({text.splitlines()[0]})"


def _begin_worker(worker: int) -> None:
    # Ctrl-C and a batch system's SIGTERM reach every process of the group; the run itself ends
    # its step and writes a checkpoint, for which the workers must stay.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The tokenizer's threads: a worker is one core's work, and more of them are asked for by name.
    os.environ["RAYON_NUM_THREADS"] = "1"
