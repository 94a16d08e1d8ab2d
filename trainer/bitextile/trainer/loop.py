"""`pretrain`: the whole of a run, from a configuration to a folder that transformers loads."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, DatasetError, OutputExistsError, SchemaError
from bitextile.trainer.card import IDENTITY, read_identity, write_card, write_identity
from bitextile.trainer.checkpoint import (
    FOLDER,
    appearing,
    checkpoints,
    load_optimiser,
    load_state,
    save_checkpoint,
    save_model,
)
from bitextile.trainer.config import (
    FREE_ON_RESUME,
    PATHS,
    DataConfig,
    ModelConfig,
    PretrainConfig,
)
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.loader import steps
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.mixture import Entry, Lane
from bitextile.trainer.data.streams import Stream
from bitextile.trainer.data.tokens import Coder, load_coder
from bitextile.trainer.metrics import Metrics, progress_bar
from bitextile.trainer.model import Encoder, build_encoder
from bitextile.trainer.objectives.choose import objective_of
from bitextile.trainer.step import Training, train_step
from bitextile.trainer.validate import validate

RUN_CONFIG = "run.yaml"


@dataclass(frozen=True)
class RunSummary:
    """What a run came to.

    Attributes:
        out: the run's folder, itself a model folder once the run is complete.
        steps: done in all, over every resumption.
        tokens: useful tokens learned from, likewise.
        loss: of the last step; None if this call did no step.
        seconds: this call took.
        interrupted: a SIGTERM ended it early; `resume` goes on from there.
    """

    out: str
    steps: int
    tokens: int
    loss: float | None
    seconds: float
    interrupted: bool


def pretrain(
    config: PretrainConfig, out: str, *, overwrite: bool = False, resume: bool = False
) -> RunSummary:
    """Trains an encoder and writes it to a folder.

    Args:
        config: of the run.
        out: a local folder: the model itself when complete; checkpoints, metrics and card in it.
        overwrite: replace an earlier run in `out`.
        resume: go on from the last checkpoint in `out`, exactly as if never stopped; from the
            start if there is none.

    Raises:
        ConfigError: a setting is wrong or differs from the run to resume.
        OutputExistsError: `out` exists and neither flag is given.
        DatasetError: a dataset is not whole, or not of a kind its objective reads.
        TrainingError: a loss is not finite, or a checkpoint is damaged.
    """
    began = time.perf_counter()
    folder = Path(out)
    last = _last_checkpoint(folder, overwrite=overwrite, resume=resume)
    with torch.random.fork_rng():
        training = _prepare(config, last)
        _clear(folder, keep=last is not None)
        _write_config(folder, config)
        loss, interrupted = _train(training, folder)
        if not interrupted and (read_identity(out) or {}).get("step") != training.step:
            _publish(training, folder, loss)
    seconds = time.perf_counter() - began
    return RunSummary(out, training.step, training.tokens, loss, seconds, interrupted)


def save_initial(config: PretrainConfig, out: str, *, overwrite: bool = False) -> None:
    """Writes the model a run starts from, untrained or as its checkpoint is, to measure it first.

    Args:
        config: of the run.
        out: a local folder: weights, tokenizer and bitextile.json with step 0.
        overwrite: replace a model folder of ours in `out`.

    Raises:
        ConfigError: as `pretrain`.
        OutputExistsError: `out` exists and may not be replaced.
    """
    folder = Path(out)
    if folder.exists() and not (overwrite and read_identity(out)):
        raise OutputExistsError(f"{folder}: is there already; give --overwrite or another folder")
    coder = load_coder(config.tokenizer)
    with appearing(folder) as temporary:
        save_model(temporary, _encoder(config, coder, (), None), coder)
        write_identity(temporary, {"step": 0, "tokenizer": coder.digest, "datasets": []})


def _last_checkpoint(folder: Path, *, overwrite: bool, resume: bool) -> Path | None:
    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other; give one")
    if not folder.exists():
        return None
    is_run = (folder / RUN_CONFIG).is_file()
    if resume and (is_run or not any(folder.iterdir())):
        found = checkpoints(folder)
        return found[-1] if found else None
    if overwrite and (is_run or not any(folder.iterdir())):
        return None
    if resume or overwrite:
        raise OutputExistsError(f"{folder}: is there and is no run of ours; give another --out")
    raise OutputExistsError(
        f"{folder}: is there already; give --resume to go on, --overwrite to replace it, "
        "or another --out"
    )


def _clear(folder: Path, *, keep: bool) -> None:
    if folder.exists() and not keep:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _write_config(folder: Path, config: PretrainConfig) -> None:
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / RUN_CONFIG).write_text(content, encoding="utf-8")


def _prepare(config: PretrainConfig, last: Path | None) -> Training:
    """Opens data and model and, for a resumed run, puts both where they stood."""
    device = _device(config)
    coder = load_coder(config.tokenizer)
    entries = tuple(_entry(config, coder, i, d) for i, d in enumerate(config.data))
    encoder = _encoder(config, coder, _languages(config, entries), last).to(device)
    own = _own_modules(entries, encoder, config.seed).to(device)
    lanes = [
        Lane(entries, coder, lane, config.accumulate, config.batch_tokens, config.seed)
        for lane in range(config.accumulate)
    ]
    training = Training(
        config=config,
        coder=coder,
        entries=entries,
        lanes=lanes,
        counters={lane.lane: lane.state() for lane in lanes},
        collation=_collation(config, coder, encoder),
        encoder=encoder,
        own=own,
        optimiser=_optimiser(config, encoder, own),
        device=device,
    )
    if last is not None:
        _restore(training, last)
    return training


def _device(config: PretrainConfig) -> torch.device:
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device is cuda, but torch sees no such device here; say auto or cpu")
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


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
    return Collation(masking=masking, pad=coder.pad, width=config.width, languages=index)


def _encoder(
    config: PretrainConfig, coder: Coder, languages: tuple[str, ...], last: Path | None
) -> Encoder:
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
        flex=config.attention == "flex",
    )


def _own_modules(entries: tuple[Entry, ...], encoder: Encoder, seed: int) -> nn.ModuleDict:
    torch.manual_seed(seed)
    modules = {str(i): e.objective.module(encoder) for i, e in enumerate(entries)}
    return nn.ModuleDict({i: m for i, m in modules.items() if m is not None})


def _optimiser(
    config: PretrainConfig, encoder: Encoder, own: nn.ModuleDict
) -> torch.optim.Optimizer:
    parameters = [p for m in (encoder, own) for p in m.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # beta2 0.98 and eps 1e-6 as in RoBERTa (Liu et al. 2019, table 9): steadier at large batches.
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)


def _state(training: Training) -> dict[str, Any]:
    return {
        "step": training.step,
        "tokens": training.tokens,
        "seed": training.config.seed,
        "lanes": [training.counters[lane] for lane in sorted(training.counters)],
        "run": _comparable(training),
    }


def _comparable(training: Training) -> dict[str, Any]:
    """Returns what must not change when a run is resumed: settings, and digests for paths."""
    settings = training.config.model_dump(mode="json", exclude=set(FREE_ON_RESUME))
    settings["tokenizer"] = training.coder.digest
    for data in settings["data"]:
        for name in PATHS & data.keys():
            data[name] = open_dataset(data[name]).manifest.digest
    return settings


def _restore(training: Training, last: Path) -> None:
    state = load_state(last)
    now = _comparable(training)
    for name, before in state["run"].items():
        if now.get(name) != before:
            raise ConfigError(
                f"{last}: was trained with {name} = {before}, the configuration now says "
                f"{now.get(name)}; a run resumes only as it began: change it back or start anew"
            )
    load_optimiser(last, encoder=training.encoder, own=training.own, optimiser=training.optimiser)
    for lane, counters in zip(training.lanes, state["lanes"]):
        lane.restore(counters)
        training.counters[lane.lane] = counters
    training.step, training.tokens = state["step"], state["tokens"]


def _train(training: Training, folder: Path) -> tuple[float | None, bool]:
    """Runs the steps that are left; returns the last loss and whether a SIGTERM cut them short."""
    config, loss = training.config, None
    metrics = Metrics(folder, step=training.step)
    pin = training.device.type == "cuda"
    feed = steps(training.lanes, training.collation, workers=config.workers, pin=pin)
    try:
        with _sigterm() as asked, progress_bar(config.steps, training.step) as bar:
            stop = False
            while training.step < config.steps and not stop:
                values = train_step(training, feed)
                loss = values["loss"]
                metrics.write(values)
                bar.advance(loss=loss, tokens_per_s=values["tokens_per_s"])
                if _due(training, config.evaluate_every):
                    metrics.write({"step": training.step, "valid": validate(training)})
                stop = asked.is_set()
                if stop or training.step == config.steps or _due(training, config.checkpoint_every):
                    _checkpoint(training, folder)
            return loss, training.step < config.steps
    finally:
        metrics.close()


def _due(training: Training, every: int) -> bool:
    return every > 0 and training.step % every == 0


def _checkpoint(training: Training, folder: Path) -> None:
    save_checkpoint(
        folder,
        _state(training),
        _identity(training),
        encoder=training.encoder,
        own=training.own,
        optimiser=training.optimiser,
        coder=training.coder,
        keep=training.config.keep_checkpoints,
    )


@contextmanager
def _sigterm() -> Iterator[threading.Event]:
    """Gives an event that SIGTERM sets, which pre-emptible machines send before they go."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # Python allows signal handlers in the main thread only.
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


def _publish(training: Training, folder: Path, loss: float | None) -> None:
    """Makes the run's folder a model folder: weights, tokenizer, card, and bitextile.json last."""
    parameters = sum(p.numel() for p in training.encoder.parameters())
    facts: dict[str, Any] = {"steps": training.step, "useful tokens": training.tokens}
    facts |= {"parameters": parameters, "loss of the last step": loss}
    with appearing(folder / FOLDER / "final") as temporary:
        save_model(temporary, training.encoder, training.coder)
        write_card(temporary, training.config, training.entries, facts)
        write_identity(temporary, _identity(training))
    final = folder / FOLDER / "final"
    for path in sorted(final.iterdir(), key=lambda p: p.name == IDENTITY):
        os.replace(path, folder / path.name)
    final.rmdir()


def _identity(training: Training) -> dict[str, Any]:
    return {
        "step": training.step,
        "tokenizer": training.coder.digest,
        "datasets": [
            {
                "objective": e.objective.name,
                "kind": e.dataset.kind.name,
                "digest": e.dataset.manifest.digest,
            }
            for e in training.entries
        ],
    }
