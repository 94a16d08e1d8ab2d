"""FSDP: parameters, gradients and moments sharded over ranks, for encoders that do not fit one.

Each layer of the encoder is a unit, gathered when a pass reaches it; what is left (embeddings,
head) is gathered by the encoder as a whole. All ranks walk through the layers together, so they
need equally many micro-batches, and objectives with equally many passes: `check_parallelism`.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import RunConfig
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.model.encoder import Encoder


class EncoderUse(NamedTuple):
    """How an objective uses the encoder.

    Attributes:
        objective: its name.
        passes: forward passes with gradient that its loss on a batch takes.
        head: whether the loss depends on the head of masked language modelling.
    """

    objective: str
    passes: int
    head: bool

    def __str__(self) -> str:
        """Returns the use in words.

        >>> str(EncoderUse("moco", 2, True)), str(EncoderUse("moco", 1, False))
        ('moco: 2 passes', 'moco: 1 pass, head not used')
        """
        passes = f"{self.passes} pass{'es' * (self.passes > 1)}"
        return f"{self.objective}: {passes}{'' if self.head else ', head not used'}"


def check_parallelism(config: RunConfig, group: ProcessGroup, uses: Sequence[EncoderUse]) -> None:
    """Checks that micro-batches and objectives can be shared by the ranks.

    Args:
        config: of the run.
        group: its processes.
        uses: of each entry of its mixture.

    Raises:
        ConfigError: they cannot.
    """
    if config.grad_accumulation < group.size:
        raise ConfigError(
            f"grad_accumulation is {config.grad_accumulation}, but there are {group.size} ranks, "
            f"and each needs a micro-batch of the step; set it to {group.size} or more, or start "
            "fewer ranks"
        )
    # Without FSDP ranks meet after the last backward pass only, and may differ until then.
    if config.parallel != "fsdp" or group.size == 1:
        return
    if config.grad_accumulation % group.size:
        raise ConfigError(
            f"grad_accumulation is {config.grad_accumulation}, not a multiple of the {group.size} "
            "ranks; under fsdp each needs equally many micro-batches"
        )
    # Ranks gather layers pass by pass, and sum the gradients of what a pass has used.
    if len({(use.passes, use.head) for use in uses}) > 1:
        others = sorted({use.objective for use in uses if use.passes > 1 or not use.head})
        raise ConfigError(
            f"under fsdp {' and '.join(others)} cannot be mixed with other objectives: all ranks "
            "must use the encoder alike, and the entries do not "
            f"({'; '.join(str(use) for use in uses)}); use parallel: ddp"
        )


def shard(encoder: Encoder, group: ProcessGroup, device: torch.device) -> None:
    """Shards the encoder's parameters over the ranks, in place.

    Args:
        encoder: on the device, the same on every rank.
        group: two or more.
        device: its type is that of the mesh.
    """
    mesh = init_device_mesh(device.type, (group.size,))
    for layer in _layers(encoder.mlm.base_model):
        _shard_one(layer, mesh)
    _shard_one(encoder, mesh)
    # `vectors` is what FSDP is to take for the forward pass. It leaves embeddings and head gathered
    # until the backward pass is over, so `logits` finds them; were it a forward pass too, ranks
    # whose objectives call it twice would send gradients twice, and the others wait for ever.
    register_fsdp_forward_method(encoder, "vectors")
    # Nobody writes into the view that `vectors` returns.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")


def _shard_one(module: nn.Module, mesh: Any) -> None:
    unit: Any = fully_shard(module, mesh=mesh)
    # A step's loss is divided by its weight over all ranks, so gradients are summed, not averaged.
    unit.set_gradient_divide_factor(1.0)
    unit.set_force_sum_reduction_for_comms(True)


def _layers(body: nn.Module) -> list[nn.Module]:
    """Returns the layers: the longest list of modules in the body."""
    lists = [list(m) for m in body.modules() if isinstance(m, nn.ModuleList)]
    return max(lists, key=len, default=[])


def gather_root(encoder: Encoder) -> None:
    """Gathers embeddings and head ahead of the forward pass, where objectives begin with them."""
    if isinstance(encoder, FSDPModule):
        encoder.unshard()


def reshard_root(encoder: Encoder) -> None:
    """Shards embeddings and head again, so that the parameters are those of the optimiser."""
    if isinstance(encoder, FSDPModule):
        encoder.reshard()


def is_sharded(encoder: Encoder) -> bool:
    """Returns whether `shard` has been called on it."""
    return isinstance(encoder, FSDPModule)


@contextmanager
def full_parameters(encoder: Encoder) -> Iterator[None]:
    """Gathers the parameters of a sharded encoder while the context lasts."""
    units = [m for m in encoder.modules() if isinstance(m, FSDPModule)]
    for unit in units:
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()


def full_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a tensor on the CPU, gathered if it is sharded; every rank must call it then."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().cpu().contiguous()


def shard_like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Returns a full tensor placed as a parameter is: on its device, sharded where that is."""
    value = value.to(parameter.device)
    # AdamW's step count is a scalar, which every rank keeps whole.
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value
