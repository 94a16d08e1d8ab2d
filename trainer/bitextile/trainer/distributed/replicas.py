"""The weights of all ranks are the same: given out by rank 0 at the start, and compared.

Gradients are summed over ranks and each rank updates by itself, so weights that differ at the start
differ for ever, and nothing else would show it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import groupby

import torch
from torch import nn

from bitextile.trainer.distributed.process_group import ProcessGroup, fail_on_all
from bitextile.trainer.errors import TrainingError


def broadcast_weights(modules: Iterable[nn.Module], group: ProcessGroup) -> None:
    """Gives all ranks the parameters and buffers of rank 0; every rank must call it.

    Args:
        modules: of the same shapes on every rank, none of them sharded.
        group: the processes of the run.
    """
    if group.size == 1:
        return
    # Tied weights are one tensor under several names.
    found = {id(t): t for m in modules for t in (*m.parameters(), *m.buffers())}
    with torch.no_grad():
        for _, alike in groupby(sorted(found.values(), key=_sort), key=_sort):
            group.broadcast(list(alike))


def _sort(tensor: torch.Tensor) -> tuple[str, str]:
    return str(tensor.dtype), str(tensor.device.type)


def check_equal_weights(
    weights: Mapping[str, torch.Tensor], group: ProcessGroup, *, step: int
) -> None:
    """Checks that all ranks have the same weights, bit for bit; every rank must call it.

    Args:
        weights: whole, on the CPU, by name.
        group: the processes of the run.
        step: of the run, for the message.

    Raises:
        TrainingError: they do not.
    """
    if group.size == 1:
        return
    mine = [[name, _digest(tensor)] for name, tensor in sorted(weights.items())]
    reports = group.collect(lambda: mine)
    for rank, other in enumerate(reports):
        if other == reports[0]:
            continue
        differing = [name for name, digest in reports[0] if [name, digest] not in other]
        error = TrainingError(
            f"the weights of rank {rank} differ from those of rank 0 at step {step} "
            f"({', '.join(differing[:1]) or 'rank 0 lacks some'}, {len(differing)} tensors in "
            "all); ranks must be machines of one kind with the same versions of torch: resume from "
            "an earlier checkpoint there"
        )
        fail_on_all(group, error)


def _digest(tensor: torch.Tensor) -> str:
    # By bytes: two NaN are equal then, and 0.0 and -0.0 are not.
    content = tensor.contiguous().flatten().view(torch.uint8).numpy()
    return hashlib.sha256(content.data).hexdigest()
