"""The processes of one run, its ranks: their messages, sums over them, and how they end together.

`torchrun --nproc-per-node N --no-python bitextile pretrain run.yaml --out RUN` starts N of them. A
step has `grad_accumulation` micro-batches in all; rank r of R works on r, r + R, r + 2R, ...

Why no DistributedDataParallel: it averages over ranks, inside the backward pass, and expects every
rank to do the same passes over the same parameters. Here ranks may have more or fewer
micro-batches, each with an objective of its own, and parameters that no micro-batch of a rank uses;
the reducer would wait for them or weigh them wrongly. The weights of a step are known before its
backward pass, so every rank computes its share of the exact gradient, and a sum over ranks after
the last backward is all there is to do. What is lost is the overlap of that sum with the last of
`grad_accumulation / R` passes.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import load, save

from bitextile.schema.errors import BitextileError
from bitextile.schema.processes import end_with
from bitextile.trainer.errors import TrainingError

T = TypeVar("T")

TIMEOUT = timedelta(minutes=15)
"""A rank silent for so long is given up: a checkpoint of a large model takes minutes."""

BUCKET_SIZE = 8_000_000
"""Numbers summed over ranks at once, 32 MB: fewer, larger messages, and little memory besides."""


class PeerFailedError(TrainingError):
    """Another rank cannot go on and reports why; so this one ends too, and need not report it."""


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those of the run; alone by default.

    Attributes:
        rank: 0-based; rank 0 is the only one to write files.
        size: how many there are.
        local_rank: 0-based on this machine, the index of its device.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, n: int) -> range:
        """Returns which of `n` micro-batches or items are this rank's.

        >>> list(ProcessGroup(rank=1, size=3).share(8))
        [1, 4, 7]
        """
        return range(self.rank, n, self.size)

    def collect(self, work: Callable[[], T]) -> list[T]:
        """Does `work` on every rank and returns what each returned, in the order of the ranks.

        Every rank must call it, and nothing in `work` may wait for another rank. Should it fail on
        some, then all end: the first of those raises its error, the others a `PeerFailedError`.

        Args:
            work: returns a JSON value.
        """
        if self.size == 1:
            return [work()]
        report: dict[str, Any] = {}
        failure: Exception | None = None
        try:
            report["made"] = work()
        except Exception as error:  # noqa: BLE001 - it is raised again below, on all ranks
            failure = error
            report |= {"error": str(error), "code": getattr(error, "exit_code", 1)}
        # JSON, so that no pickle comes out of a socket.
        reports = [json.loads(r) for r in self._all_gather(json.dumps(report).encode())]
        self._raise_first_failure(reports, failure)
        return [r["made"] for r in reports]

    def on_all(self, work: Callable[[], T]) -> T:
        """Returns what `work` returned on this rank, any value; should it fail on one, all end."""
        made: list[T] = []
        self.collect(lambda: made.append(work()))
        return made[0]

    def on_main(self, work: Callable[[], T]) -> T:
        """Does `work` on rank 0 alone and returns its JSON value everywhere."""
        first: Any = self.collect(lambda: work() if self.is_main else None)[0]
        return first

    def _raise_first_failure(
        self, reports: list[dict[str, Any]], failure: Exception | None
    ) -> None:
        failed = [rank for rank, report in enumerate(reports) if "error" in report]
        if not failed:
            return
        if failure is not None and failed[0] == self.rank:
            raise failure
        first = reports[failed[0]]
        stopped = PeerFailedError(f"rank {failed[0]} stopped the run: {first['error']}")
        stopped.exit_code = first["code"]
        raise stopped

    def gather_tensors(self, tensors: Sequence[tuple[torch.Tensor, ...]]) -> list[tuple[Any, ...]]:
        """Returns tuples of tensors of all ranks, in the order of the ranks, on the CPU if many."""
        if self.size == 1:
            return list(tensors)
        # By safetensors, as no pickle may come out of a socket.
        named = {
            f"{i}.{j}": t.cpu().contiguous()
            for i, ts in enumerate(tensors)
            for j, t in enumerate(ts)
        }
        found = []
        for message in self._all_gather(save(named)):
            items: dict[int, dict[int, torch.Tensor]] = {}
            for name, tensor in load(message).items():
                i, j = map(int, name.split("."))
                items.setdefault(i, {})[j] = tensor
            found += [tuple(items[i][j] for j in sorted(items[i])) for i in sorted(items)]
        return found

    def all_reduce(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replaces each tensor by its sum over ranks; all have one type and device."""
        if self.size == 1 or not tensors:
            return
        with _peer_errors(self.rank):
            for bucket in _buckets(tensors):
                flat = torch.cat([t.flatten() for t in bucket])
                dist.all_reduce(flat)
                for tensor, total in zip(bucket, flat.split([t.numel() for t in bucket])):
                    tensor.copy_(total.view_as(tensor))

    def broadcast(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replaces each tensor by that of rank 0; all have the same type and device."""
        if self.size == 1 or not tensors:
            return
        with _peer_errors(self.rank):
            for bucket in _buckets(tensors):
                flat = torch.cat([t.flatten() for t in bucket])
                # As bytes: no backend knows every type.
                dist.broadcast(flat.view(torch.uint8), src=0)
                for tensor, value in zip(bucket, flat.split([t.numel() for t in bucket])):
                    tensor.copy_(value.view_as(tensor))

    def _all_gather(self, message: bytes) -> list[bytes]:
        mine = torch.frombuffer(bytearray(message), dtype=torch.uint8)
        lengths = [torch.zeros((), dtype=torch.long) for _ in range(self.size)]
        with _peer_errors(self.rank):
            # all_gather needs one length for all, so lengths go first and messages are padded.
            dist.all_gather(lengths, torch.tensor(len(mine)))
            longest = max(int(n) for n in lengths)
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(mine)] = mine
            found = [torch.zeros_like(padded) for _ in range(self.size)]
            dist.all_gather(found, padded)
        return [t[: int(n)].numpy().tobytes() for t, n in zip(found, lengths)]


SINGLE_PROCESS = ProcessGroup()
"""The one process of a run that torchrun did not start."""


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    left = BUCKET_SIZE
    for tensor in tensors:
        if bucket and tensor.numel() > left:
            yield bucket
            bucket, left = [], BUCKET_SIZE
        bucket.append(tensor)
        left -= tensor.numel()
    yield bucket


@contextmanager
def _peer_errors(rank: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch's DistBackendError is one
        # torch raises it wherever the main thread is when a loader worker dies.
        if "DataLoader worker" in str(error):
            raise
        reason = str(error).splitlines()[0][:200]
        raise TrainingError(
            f"rank {rank} has lost another rank, which was killed or does not answer ({reason}); "
            "--resume goes on from the last checkpoint"
        ) from error


@contextmanager
def init_distributed() -> Iterator[ProcessGroup]:
    """Gives the processes that torchrun has started; this one alone if it has not.

    Raises:
        TrainingError: the others do not join in time.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # torchrun ends its ranks, unless it is killed itself. Not after other parents: a shell may
        # end on purpose, as after `nohup`.
        end_with(os.getppid())
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield SINGLE_PROCESS
        return
    rank, local_rank = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    # gloo carries messages and sums on CPUs, nccl the tensors of GPUs.
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    stay_on_loopback(os.environ, size=size)
    with _peer_errors(rank):
        dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield ProcessGroup(rank, size, local_rank)
    finally:
        dist.destroy_process_group()


def stay_on_loopback(environment: MutableMapping[str, str], *, size: int) -> None:
    """Makes gloo and nccl use the loopback interface alone if all ranks are on this machine.

    Else they listen on the interface of the machine's own name, without authentication. An
    interface that the user has named stays.

    Args:
        environment: of this process, as torchrun sets it; changed.
        size: how many ranks there are, on all machines.
    """
    if environment.get("LOCAL_WORLD_SIZE") != str(size):
        return
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if loopback:
            environment.setdefault(name, loopback[0])


def fail_on_all(group: ProcessGroup, error: BitextileError) -> None:
    """Raises an error that every rank has found, so that one of them reports it.

    Args:
        group: the processes; each calls it.
        error: the same on each.

    Raises:
        BitextileError: `error` on rank 0; a `PeerFailedError` on the others.
    """

    def stop() -> None:
        raise error

    group.on_all(stop)
