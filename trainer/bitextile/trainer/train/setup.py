"""What every run sets up on each rank: device, encoder, optimiser, and its state."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import nn

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import ModelConfig, RunConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.mixture import MicroBatchStream
from bitextile.trainer.data.packed import Layout
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.distributed.fsdp import shard
from bitextile.trainer.distributed.process_group import ProcessGroup, fail_on_all
from bitextile.trainer.distributed.replicas import broadcast_weights
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.model.attention import round_up
from bitextile.trainer.model.build import build_encoder
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.observe.card import read_provenance
from bitextile.trainer.observe.flops import Geometry
from bitextile.trainer.train.state import C, E, TrainEntry, TrainState


@dataclass(frozen=True)
class RunParts(Generic[E]):
    """What a rank has opened by itself.

    Attributes:
        tokenizer: of the run.
        entries: the mixture.
        encoder: on its device.
        objective_modules: what objectives have besides the encoder, by index of their entry.
        device: to compute on.
    """

    tokenizer: Tokenizer
    entries: tuple[E, ...]
    encoder: Encoder
    objective_modules: nn.ModuleDict
    device: torch.device


def build_state(
    config: C,
    parts: RunParts[E],
    *,
    group: ProcessGroup,
    mask_rate: float,
    fingerprint: dict[str, Any],
    batch_tokens: int = sys.maxsize,
    batch_rows: int | None = None,
    max_rows: int | None = None,
    geometry: Geometry | None = None,
) -> TrainState[C, E]:
    """Returns a run at its beginning; every rank must call it.

    Args:
        config: of the run.
        parts: data and model.
        group: the processes of the run.
        mask_rate: share of the positions to predict.
        fingerprint: what must not change when the run is resumed.
        batch_tokens: most useful tokens of a micro-batch.
        batch_rows: most rows of a micro-batch; None where the tokens alone decide.
        max_rows: rows of the whole run; None for no end.
        geometry: for the metric `mfu`.

    Raises:
        TrainingError: ranks differ in configuration, tokenizer or data.
    """
    check_same_on_all(fingerprint, group)
    broadcast_weights((parts.encoder, parts.objective_modules), group)
    if config.parallel == "fsdp" and group.size > 1:
        shard(parts.encoder, group, parts.device)
    if config.compile:
        parts.encoder.compile_parts()
    n = config.grad_accumulation
    streams = [
        MicroBatchStream(
            parts.entries,
            parts.tokenizer,
            index,
            n,
            batch_tokens,
            config.seed,
            batch_rows,
            max_rows,
        )
        for index in group.share(n)
    ]
    return TrainState(
        config=config,
        group=group,
        tokenizer=parts.tokenizer,
        entries=parts.entries,
        streams=streams,
        counters={stream.index: stream.state() for stream in streams},
        collation=_collation(config, parts, mask_rate, _budget(config, batch_tokens, batch_rows)),
        encoder=parts.encoder,
        objective_modules=parts.objective_modules,
        optimiser=build_optimiser(config, parts.encoder, parts.objective_modules),
        device=parts.device,
        fingerprint=fingerprint,
        geometry=geometry,
    )


def check_same_on_all(fingerprint: dict[str, Any], group: ProcessGroup) -> None:
    """Checks that all ranks have the same configuration and see the same data.

    Args:
        fingerprint: of the run, as this rank has it.
        group: the processes of the run.

    Raises:
        TrainingError: they do not, as on machines with copies of their own.
    """
    found = group.collect(lambda: json.dumps(fingerprint, sort_keys=True))
    other = next((rank for rank, one in enumerate(found) if one != found[0]), None)
    if other is not None:
        error = TrainingError(
            f"rank {other} has another configuration, tokenizer or dataset than rank 0; give all "
            "machines the same files"
        )
        fail_on_all(group, error)


def _budget(config: RunConfig, batch_tokens: int, batch_rows: int | None) -> int:
    """Returns the most useful tokens of a micro-batch, by rows where tokens are not limited."""
    return batch_tokens if batch_rows is None else min(batch_tokens, batch_rows * config.max_length)


def _collation(config: RunConfig, parts: RunParts, mask_rate: float, budget: int) -> Collation:
    tokenizer, encoder = parts.tokenizer, parts.encoder
    masking = Masking(
        rate=mask_rate, mask=tokenizer.mask, ordinary=tokenizer.ordinary, seed=config.seed
    )
    layout = Layout.NARROW
    if encoder.flex:
        layout = Layout.ONE_ROW
    elif config.compile:
        # A compiled model is compiled again for every new width.
        layout = Layout.FIXED
    return Collation(
        masking=masking,
        pad=tokenizer.pad,
        # A full micro-batch fills its row but for less than one input, and its width is rounded up
        # to the budget. Where an objective packs parts of it apart, a thirty-second leaves few
        # shapes.
        width=round_up(budget // 32) if encoder.flex else config.width,
        layout=layout,
        languages={tag: i for i, tag in enumerate(encoder.languages)} or None,
    )


def device_of_rank(config: RunConfig, group: ProcessGroup) -> torch.device:
    """Returns the device of this rank.

    Args:
        config: of the run.
        group: gives the rank's number on its machine.

    Raises:
        ConfigError: there is none such.
    """
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device is cuda, but torch finds none here; set it to auto or cpu")
    if not available or config.device == "cpu":
        return torch.device("cpu")
    here = torch.cuda.device_count()
    if group.local_rank >= here:
        raise ConfigError(
            f"rank {group.rank} is number {group.local_rank + 1} on this machine, which has {here} "
            f"cuda devices; start torchrun with --nproc-per-node {here} or fewer"
        )
    return torch.device("cuda", group.local_rank)


def open_encoder(
    model: ModelConfig, tokenizer: Tokenizer, *, config: RunConfig, languages: tuple[str, ...] = ()
) -> Encoder:
    """Returns an encoder on the CPU.

    Args:
        model: fresh weights or a checkpoint.
        tokenizer: of the run.
        config: of the run.
        languages: tags that get an embedding.

    Raises:
        ConfigError: the weights were trained with another tokenizer, or cannot be used.
    """
    checkpoint = model.checkpoint
    if checkpoint is not None:
        digest = (read_provenance(checkpoint) or {}).get("tokenizer", tokenizer.digest)
        if digest != tokenizer.digest:
            raise ConfigError(
                f"tokenizer {tokenizer.path} is {tokenizer.digest[:19]}..., but {checkpoint} was "
                f"trained with {digest[:19]}...; give the tokenizer in that folder"
            )
    encoder = build_encoder(
        model,
        tokenizer,
        max_length=config.max_length,
        seed=config.seed,
        languages=languages,
        flex=_flex(config),
    )
    if config.gradient_checkpointing:
        # The older name is that of transformers up to 5.17 at least, and warns in 5.23. Not
        # re-entrant: that way drops the gradient of inputs that need none themselves.
        mlm = encoder.mlm
        enable = getattr(mlm, "activation_checkpointing_enable", mlm.gradient_checkpointing_enable)
        enable({"use_reentrant": False})
    return encoder


def _flex(config: RunConfig) -> bool | None:
    """Returns whether attention is to be FlexAttention; None where the model decides."""
    if config.attention != "auto":
        return config.attention == "flex"
    return None if torch.cuda.is_available() and config.device != "cpu" else False


def build_objective_modules(
    entries: Sequence[TrainEntry], encoder: Encoder, seed: int
) -> nn.ModuleDict:
    """Returns what objectives have besides the encoder, fresh, by index of their entry."""
    # The same on every rank, as each makes its own.
    torch.manual_seed(seed)
    modules = {str(i): e.objective.module(encoder) for i, e in enumerate(entries)}
    return nn.ModuleDict({i: m for i, m in modules.items() if m is not None})


def build_optimiser(
    config: RunConfig, encoder: Encoder, objective_modules: nn.ModuleDict
) -> torch.optim.Optimizer:
    """Returns AdamW over all parameters that are trained; only matrices decay.

    Args:
        config: gives `lr` and `weight_decay`.
        encoder: sharded or not.
        objective_modules: what objectives have besides it.
    """
    # Apart for encoder and objectives: FSDP shards the one alone, and AdamW takes no mixed group.
    groups: list[dict[str, Any]] = []
    for module in (encoder, objective_modules):
        trained = [p for p in module.parameters() if p.requires_grad]
        matrices, rest = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        groups.append({"params": matrices, "weight_decay": config.weight_decay})
        # Biases and the gains of norms: pulling them to 0 shrinks the outputs, and fits nothing.
        groups.append({"params": rest, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    # beta2 0.98 and eps 1e-6 as in RoBERTa (Liu et al. 2019, table 9): steadier at large batches.
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
