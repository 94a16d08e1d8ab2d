"""From a configuration to everything a step needs: data, model, optimiser, on this rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
from torch import nn

from bitextile.kernels.model_digest import encoder_digest
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, DatasetError, SchemaError
from bitextile.trainer.config import (
    FREE_ON_RESUME,
    PATHS,
    DataConfig,
    ModelConfig,
    PretrainConfig,
    RunConfig,
)
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.mixture import Entry, Lane, Mixed
from bitextile.trainer.data.streams import Stream
from bitextile.trainer.data.tokens import Coder, load_coder
from bitextile.trainer.distributed.fsdp import refuse_uneven, shard
from bitextile.trainer.distributed.process_group import ALONE, Ranks
from bitextile.trainer.model.encoder import Encoder, build_encoder
from bitextile.trainer.objectives.choose import objective_of
from bitextile.trainer.observe.card import read_identity
from bitextile.trainer.observe.flops import Geometry, geometry_of, peak_of
from bitextile.trainer.train.step import C, E, Training


def prepare(
    config: PretrainConfig, last: Path | None = None, *, ranks: Ranks = ALONE
) -> Training[PretrainConfig, Entry]:
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
    geometry = _geometry(config, opened.encoder, opened.device)
    lanes = [
        Lane(
            opened.entries, opened.coder, lane, config.accumulate, config.batch_tokens, config.seed
        )
        for lane in range(ranks.rank, config.accumulate, ranks.size)
    ]
    training = assemble(
        config,
        opened,
        lanes,
        ranks=ranks,
        collation=_collation(config, opened.coder, opened.encoder),
        settings=comparable(config, opened),
    )
    training.geometry = geometry
    return training


@dataclass(frozen=True)
class Opened(Generic[E]):
    """What a rank has opened by itself.

    Attributes:
        coder: the tokenizer.
        entries: the mixture.
        encoder: on its device.
        own: parameters of objectives, by index of their entry.
        device: to compute on.
    """

    coder: Coder
    entries: tuple[E, ...]
    encoder: Encoder
    own: nn.ModuleDict
    device: torch.device


def assemble(
    config: C,
    opened: Opened[E],
    lanes: list[Lane],
    *,
    ranks: Ranks,
    collation: Collation,
    settings: dict[str, Any],
) -> Training[C, E]:
    """Returns a run at its beginning; every rank must call it.

    Args:
        config: of the run.
        opened: data and model.
        lanes: of this rank.
        ranks: the processes of the run.
        collation: of training.
        settings: what must not change when the run is resumed.
    """
    if config.parallel == "fsdp" and ranks.size > 1:
        shard(opened.encoder, ranks, opened.device)
    if config.compile:
        opened.encoder.mlm.base_model.compile()
    return Training(
        config=config,
        ranks=ranks,
        coder=opened.coder,
        entries=opened.entries,
        lanes=lanes,
        counters={lane.lane: lane.state() for lane in lanes},
        collation=collation,
        encoder=opened.encoder,
        own=opened.own,
        optimiser=_optimiser(config, opened.encoder, opened.own),
        device=opened.device,
        settings=settings,
    )


def comparable(config: PretrainConfig, opened: Opened[Entry]) -> dict[str, Any]:
    """Returns what must not change when a run is resumed: settings, and digests for paths."""
    settings = config.model_dump(mode="json", exclude=set(FREE_ON_RESUME))
    settings["tokenizer"] = opened.coder.digest
    if config.model.checkpoint is not None:
        settings["model"]["checkpoint"] = encoder_digest(config.model.checkpoint)
    for data in settings["data"]:
        for name in PATHS & data.keys():
            data[name] = open_dataset(data[name]).manifest.digest
    return settings


def _open(config: PretrainConfig, last: Path | None, ranks: Ranks) -> Opened[Entry]:
    refuse_uneven(config, ranks, {d.objective for d in config.data})
    device = device_of(config, ranks)
    coder = load_coder(config.tokenizer)
    entries = tuple(_entry(config, coder, i, d) for i, d in enumerate(config.data))
    encoder = open_encoder(config, coder, _languages(config, entries), last).to(device)
    own = own_modules(entries, encoder, config.seed).to(device)
    return Opened(coder, entries, encoder, own, device)


def device_of(config: RunConfig, ranks: Ranks) -> torch.device:
    """Returns the device of this rank.

    Raises:
        ConfigError: there is none such.
    """
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
    return tuple(sorted({tag for e in entries for tag in e.dataset.languages}))


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
    model = config.model if last is None else ModelConfig(checkpoint=str(last))
    return encoder_of(model, coder, config=config, languages=languages)


def encoder_of(
    model: ModelConfig, coder: Coder, *, config: RunConfig, languages: tuple[str, ...] = ()
) -> Encoder:
    """Returns an encoder on the CPU.

    Args:
        model: fresh weights or a checkpoint.
        coder: the tokenizer.
        config: of the run.
        languages: tags that get an embedding.

    Raises:
        ConfigError: the weights were trained with another tokenizer, or cannot be used.
    """
    source = model.checkpoint
    if source is not None:
        digest = (read_identity(source) or {}).get("tokenizer", coder.digest)
        if digest != coder.digest:
            raise ConfigError(
                f"tokenizer {coder.path} is {coder.digest[:19]}..., but {source} was trained with "
                f"{digest[:19]}...; give the tokenizer in that folder"
            )
    return build_encoder(
        model,
        coder,
        max_length=config.max_length,
        seed=config.seed,
        languages=languages,
        flex=_flex(config),
    )


def _flex(config: RunConfig) -> bool | None:
    """Returns whether attention is to be FlexAttention; None where the model decides."""
    if config.attention != "auto":
        return config.attention == "flex"
    return None if torch.cuda.is_available() and config.device != "cpu" else False


def own_modules(entries: Sequence[Mixed], encoder: Encoder, seed: int) -> nn.ModuleDict:
    """Returns what objectives have besides the encoder, fresh, by index of their entry."""
    torch.manual_seed(seed)
    modules = {str(i): e.objective.module(encoder) for i, e in enumerate(entries)}
    return nn.ModuleDict({i: m for i, m in modules.items() if m is not None})


def _geometry(config: PretrainConfig, encoder: Encoder, device: torch.device) -> Geometry | None:
    peak = config.peak_flops or peak_of(device)
    return None if peak is None else geometry_of(encoder, peak)


def _optimiser(config: RunConfig, encoder: Encoder, own: nn.ModuleDict) -> torch.optim.Optimizer:
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
