"""From a configuration to everything a step needs: data, model, optimiser, on this rank."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, DatasetError, SchemaError
from bitextile.trainer.card import read_identity
from bitextile.trainer.config import DataConfig, ModelConfig, PretrainConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.mixture import Entry, Lane
from bitextile.trainer.data.streams import Stream
from bitextile.trainer.data.tokens import Coder, load_coder
from bitextile.trainer.flops import Geometry, geometry_of, peak_of
from bitextile.trainer.model import Encoder, build_encoder
from bitextile.trainer.objectives.choose import objective_of
from bitextile.trainer.ranks import ALONE, Ranks
from bitextile.trainer.sharding import refuse_uneven, shard
from bitextile.trainer.step import Training


def prepare(config: PretrainConfig, last: Path | None = None, *, ranks: Ranks = ALONE) -> Training:
    """Opens data and model; counters and optimiser stand at their beginning.

    Args:
        config: of the run.
        last: checkpoint to take the weights from; None for those the configuration names.
        ranks: the processes of the run.

    Raises:
        ConfigError: a setting is wrong, or does not suit the number of ranks.
        DatasetError: a dataset is not whole, or not of a kind its objective reads.
    """
    opened = ranks.together(lambda: _open(config, last, ranks))
    encoder, own = opened.encoder, opened.own
    geometry = _geometry(config, encoder, opened.device)
    if config.parallel == "fsdp" and ranks.size > 1:
        shard(encoder, ranks, opened.device)
    if config.compile:
        encoder.mlm.base_model.compile()
    lanes = [
        Lane(
            opened.entries, opened.coder, lane, config.accumulate, config.batch_tokens, config.seed
        )
        for lane in range(ranks.rank, config.accumulate, ranks.size)
    ]
    return Training(
        config=config,
        ranks=ranks,
        coder=opened.coder,
        entries=opened.entries,
        lanes=lanes,
        counters={lane.lane: lane.state() for lane in lanes},
        collation=_collation(config, opened.coder, encoder),
        encoder=encoder,
        own=own,
        optimiser=_optimiser(config, encoder, own),
        device=opened.device,
        geometry=geometry,
    )


@dataclass(frozen=True)
class _Opened:
    coder: Coder
    entries: tuple[Entry, ...]
    encoder: Encoder
    own: nn.ModuleDict
    device: torch.device


def _open(config: PretrainConfig, last: Path | None, ranks: Ranks) -> _Opened:
    refuse_uneven(config, ranks)
    device = _device(config, ranks)
    coder = load_coder(config.tokenizer)
    entries = tuple(_entry(config, coder, i, d) for i, d in enumerate(config.data))
    encoder = open_encoder(config, coder, _languages(config, entries), last).to(device)
    own = _own_modules(entries, encoder, config.seed).to(device)
    return _Opened(coder, entries, encoder, own, device)


def _device(config: PretrainConfig, ranks: Ranks) -> torch.device:
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device is cuda, but torch sees no such device here; say auto or cpu")
    if not available or config.device == "cpu":
        return torch.device("cpu")
    here = torch.cuda.device_count()
    if ranks.local >= here:
        raise ConfigError(
            f"rank {ranks.rank} is number {ranks.local + 1} on this machine, which has {here} cuda "
            f"devices; start torchrun with --nproc-per-node {here} or fewer"
        )
    return torch.device("cuda", ranks.local)


def _entry(config: PretrainConfig, coder: Coder, index: int, data: DataConfig) -> Entry:
    objective = objective_of(data, coder, max_length=config.max_length, seed=config.seed)
    dataset = open_dataset(data.dataset)
    if dataset.kind not in objective.kinds:
        wanted = " or ".join(k.name for k in objective.kinds)
        raise SchemaError(
            f"data.{index}: {objective.name} learns from {wanted}, but {data.dataset} holds "
            f"{dataset.kind.name}; name another dataset or another objective"
        )
    if not dataset.manifest.rows:
        raise DatasetError(f"data.{index}: {data.dataset} has no rows; leave it out")
    columns = objective.columns(dataset.kind)
    split = "train" if "split" in dataset.kind.schema.names else None
    streams = tuple(Stream(dataset, key, columns, config.seed, split) for key in dataset.keys)
    return Entry(objective, dataset, data.weight, streams, config.alpha)


def _languages(config: PretrainConfig, entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """Returns the tags that get an embedding: those of all datasets, sorted."""
    if not config.language_embeddings:
        return ()
    keys = [key for e in entries for key in e.dataset.manifest.keys.values()]
    return tuple(sorted({tag for key in keys for tag in key["languages"]}))


def _collation(config: PretrainConfig, coder: Coder, encoder: Encoder) -> Collation:
    masking = Masking(
        rate=config.mask_rate, mask=coder.mask, ordinary=coder.ordinary, seed=config.seed
    )
    index = {tag: i for i, tag in enumerate(encoder.languages)} or None
    # A compiled model or kernel is compiled again for every new width.
    fixed = config.compile or encoder.flex
    return Collation(
        masking=masking, pad=coder.pad, width=config.width, fixed=fixed, languages=index
    )


def open_encoder(
    config: PretrainConfig, coder: Coder, languages: tuple[str, ...], last: Path | None
) -> Encoder:
    """Returns the encoder a run starts from, or that of its checkpoint, on the CPU.

    Args:
        config: of the run.
        coder: the tokenizer.
        languages: tags that get an embedding.
        last: a checkpoint of the run.

    Raises:
        ConfigError: the weights were trained with another tokenizer, or cannot be used.
    """
    source = config.model.checkpoint if last is None else str(last)
    if source is not None:
        digest = (read_identity(source) or {}).get("tokenizer", coder.digest)
        if digest != coder.digest:
            raise ConfigError(
                f"tokenizer {coder.path} is {coder.digest[:19]}..., but {source} was trained with "
                f"{digest[:19]}...; give the tokenizer in that folder"
            )
    model = config.model if source is None else ModelConfig(checkpoint=source)
    return build_encoder(
        model,
        coder,
        max_length=config.max_length,
        seed=config.seed,
        languages=languages,
        flex=_flex(config),
    )


def _flex(config: PretrainConfig) -> bool | None:
    """Returns whether attention is to be FlexAttention; None where the model decides."""
    if config.attention != "auto":
        return config.attention == "flex"
    return None if torch.cuda.is_available() and config.device != "cpu" else False


def _own_modules(entries: tuple[Entry, ...], encoder: Encoder, seed: int) -> nn.ModuleDict:
    torch.manual_seed(seed)
    modules = {str(i): e.objective.module(encoder) for i, e in enumerate(entries)}
    return nn.ModuleDict({i: m for i, m in modules.items() if m is not None})


def _geometry(config: PretrainConfig, encoder: Encoder, device: torch.device) -> Geometry | None:
    peak = config.peak_flops or peak_of(device)
    return None if peak is None else geometry_of(encoder, peak)


def _optimiser(
    config: PretrainConfig, encoder: Encoder, own: nn.ModuleDict
) -> torch.optim.Optimizer:
    # Apart for encoder and objectives: FSDP shards the one alone, and AdamW takes no mixed group.
    groups: list[dict[str, Any]] = []
    for module in (encoder, own):
        trained = [p for p in module.parameters() if p.requires_grad]
        matrices, rest = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        groups.append({"params": matrices, "weight_decay": config.weight_decay})
        groups.append({"params": rest, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    # beta2 0.98 and eps 1e-6 as in RoBERTa (Liu et al. 2019, table 9): steadier at large batches.
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
