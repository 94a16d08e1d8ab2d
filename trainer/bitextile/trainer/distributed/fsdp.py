"""FSDP: parameters, gradients and moments sharded over ranks, for encoders that do not fit one.

Each layer of the encoder is a unit, gathered when a pass reaches it; what is left (embeddings,
head) is gathered by the encoder as a whole. All ranks walk through the layers together, so they
need equally many micro-batches, and objectives with equally many passes: `check_parallelism`.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import RunConfig
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.model.encoder import Encoder


def check_parallelism(
    config: RunConfig, group: ProcessGroup, encoder_passes: Mapping[str, int]
) -> None:
    """Checks that micro-batches and objectives can be shared by the ranks.

    Args:
        config: of the run.
        group: its processes.
        encoder_passes: of each objective of its mixture, by name.

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
    if len(set(encoder_passes.values())) > 1:
        several = " and ".join(sorted(name for name, n in encoder_passes.items() if n > 1))
        raise ConfigError(
            f"under fsdp {several} cannot be mixed with other objectives: it passes through the "
            "encoder more than once, they once, and all ranks must pass together; use parallel: ddp"
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
