"""`pretrain`: an encoder from datasets, by a mixture of objectives."""

import logging
import os
import shutil
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from bitextile.kernels.model_digest import encoder_digest
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import DatasetError, OutputExistsError, SchemaError
from bitextile.schema.inputs import refuse_inputs_in
from bitextile.schema.locks import LOCK, hold
from bitextile.trainer.config import FREE_ON_RESUME, ModelConfig, PretrainConfig
from bitextile.trainer.data.seeds import entry_seed
from bitextile.trainer.data.streams import DatasetStream
from bitextile.trainer.data.tokens import Tokenizer, load_tokenizer
from bitextile.trainer.distributed.fsdp import EncoderUse, check_parallelism
from bitextile.trainer.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from bitextile.trainer.model.build import HEAD, UNTRAINED
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.build import build_objective
from bitextile.trainer.objectives.config import DATASET_FIELDS, AnyObjectiveSettings
from bitextile.trainer.objectives.objective import DatasetEntry, KnowsDataset
from bitextile.trainer.observe.card import read_provenance, write_card, write_provenance
from bitextile.trainer.observe.flops import Geometry, geometry_of, peak_of
from bitextile.trainer.settings import paths_of
from bitextile.trainer.train.checkpoint import (
    RunTensors,
    atomic_directory,
    gather_run_tensors,
    save_model,
)
from bitextile.trainer.train.loop import RunFlags, RunSummary, run_training
from bitextile.trainer.train.setup import (
    RunParts,
    build_objective_modules,
    build_state,
    device_of_rank,
    open_encoder,
)
from bitextile.trainer.train.state import TrainState
from bitextile.trainer.train.validate import validate

logger = logging.getLogger(__name__)

PretrainState = TrainState[PretrainConfig, DatasetEntry]


def pretrain(config: PretrainConfig, out: str, **options: Unpack[RunFlags]) -> RunSummary:
    """Trains an encoder and writes it to a folder.

    Args:
        config: of the run.
        out: a local folder for the model and all that a run writes.
        **options: see `RunFlags`.

    Raises:
        DatasetError: a dataset is not whole, or not of a kind its objective reads.
        BitextileError: as `run_training`.
    """
    return run_training(PretrainJob(config), out, **options)


@dataclass(frozen=True)
class PretrainJob:
    """Pre-training, as `run_training` does it."""

    config: PretrainConfig

    def open(self, last: Path | None, group: ProcessGroup) -> PretrainState:
        """Opens datasets and model."""
        return open_pretraining(self.config, last, group=group)

    def validate(self, state: PretrainState) -> dict[str, float]:
        """Returns the mean loss of each entry on its `valid` split."""
        return validate(state)

    def provenance(self, state: PretrainState) -> dict[str, Any]:
        """Returns step, digests and kinds of what was learned from."""
        provenance: dict[str, Any] = {
            "step": state.step,
            "tokenizer": state.tokenizer.digest,
            "datasets": [
                {
                    "objective": e.objective.name,
                    "kind": e.dataset.kind.name,
                    "digest": e.dataset.manifest.digest,
                }
                | ({"options": options} if (options := _options(settings)) else {})
                for e, settings in zip(state.entries, state.config.data, strict=True)
            ],
        }
        learned = state.step > 0 and any(e.trains_head for e in state.config.data)
        if not (learned or state.encoder.is_head_trained):
            provenance[HEAD] = UNTRAINED
        languages = list(state.encoder.languages)
        return provenance | ({"language_embeddings": languages} if languages else {})

    def write(
        self, state: PretrainState, folder: Path, tensors: RunTensors, loss: float | None
    ) -> None:
        """Writes a masked language model."""
        encoder = state.encoder
        parameters = sum(p.numel() for p in encoder.parameters())
        facts: dict[str, Any] = {"steps": state.step, "useful tokens": state.tokens}
        facts |= {"parameters": parameters, "loss of the last step": loss}
        if encoder.languages:
            facts["language embeddings"] = ", ".join(encoder.languages)
        save_model(folder, encoder, state.tokenizer, tensors)
        write_card(folder, state.config, state.entries, facts)
        write_provenance(folder, self.provenance(state))


def _options(settings: AnyObjectiveSettings) -> dict[str, Any]:
    """Returns what an entry says of its objective, other than defaults."""
    others = {"objective", "weight", *DATASET_FIELDS}
    return settings.model_dump(mode="json", exclude=others, exclude_defaults=True)


def open_pretraining(
    config: PretrainConfig, last: Path | None = None, *, group: ProcessGroup = SINGLE_PROCESS
) -> PretrainState:
    """Opens datasets and model; counters and optimiser stand at their beginning.

    Args:
        config: of the run.
        last: checkpoint to take the weights from; None for those the configuration names.
        group: the processes of the run.

    Raises:
        ConfigError: a setting is wrong, or does not suit the number of ranks.
        DatasetError: a dataset is not whole, or not of a kind its objective reads.
    """
    parts = group.on_all(lambda: _open_parts(config, last, group))
    return build_state(
        config,
        parts,
        group=group,
        mask_rate=config.mask_rate,
        fingerprint=resume_fingerprint(config, parts),
        batch_tokens=config.batch_tokens,
        geometry=_geometry(config, parts.encoder, parts.device),
    )


def resume_fingerprint(config: PretrainConfig, parts: RunParts[DatasetEntry]) -> dict[str, Any]:
    """Returns what must not change when a run is resumed: settings, and digests for paths."""
    settings = config.model_dump(mode="json", exclude=set(FREE_ON_RESUME))
    settings["tokenizer"] = parts.tokenizer.digest
    if config.model.checkpoint is not None:
        settings["model"]["checkpoint"] = encoder_digest(config.model.checkpoint)
    for entry in settings["data"]:
        # Digests, not paths: a run may go on where the data have moved, not where they have
        # changed.
        for name in DATASET_FIELDS & entry.keys():
            entry[name] = open_dataset(entry[name]).manifest.digest
    return settings


def _open_parts(
    config: PretrainConfig, last: Path | None, group: ProcessGroup
) -> RunParts[DatasetEntry]:
    uses = [EncoderUse(e.objective, e.encoder_passes, e.trains_head) for e in config.data]
    check_parallelism(config, group, uses)
    device = device_of_rank(config, group)
    tokenizer = load_tokenizer(config.tokenizer)
    entries = tuple(_open_entry(config, tokenizer, i, e) for i, e in enumerate(config.data))
    model = config.model if last is None else ModelConfig(checkpoint=str(last))
    # Behind the entries: which languages get an embedding follows from the data.
    languages = _languages(config, entries)
    encoder = open_encoder(model, tokenizer, config=config, languages=languages).to(device)
    if last is None and group.is_main:
        _warn_of_fresh_head(config, encoder)
    modules = build_objective_modules(entries, encoder, config.seed).to(device)
    return RunParts(tokenizer, entries, encoder, modules, device)


def _warn_of_fresh_head(config: PretrainConfig, encoder: Encoder) -> None:
    trained = any(entry.trains_head for entry in config.data)
    if config.model.checkpoint is not None and trained and not encoder.is_head_trained:
        logger.warning(
            "%s: has no trained head of masked language modelling; it starts from fresh weights, "
            "drawn from seed %d",
            config.model.checkpoint,
            config.seed,
        )


def _open_entry(
    config: PretrainConfig, tokenizer: Tokenizer, index: int, settings: AnyObjectiveSettings
) -> DatasetEntry:
    seed = entry_seed(config.seed, index)
    objective = build_objective(settings, tokenizer, max_length=config.max_length, seed=seed)
    dataset = open_dataset(settings.dataset)
    if dataset.kind not in settings.kinds:
        wanted = " or ".join(k.name for k in settings.kinds)
        raise SchemaError(
            f"data.{index}: {objective.name} learns from {wanted}, but {settings.dataset} holds "
            f"{dataset.kind.name}; name another dataset or another objective"
        )
    if not dataset.manifest.rows:
        raise DatasetError(f"data.{index}: {settings.dataset} has no rows; leave it out")
    if isinstance(objective, KnowsDataset):
        objective = objective.of_dataset(dataset)
    columns = objective.columns(dataset.kind)
    # Pseudo translations and the like have no split: all of them are to be learned from.
    split = "train" if "split" in dataset.kind.schema.names else None
    row_streams = tuple(DatasetStream(dataset, key, columns, seed, split) for key in dataset.keys)
    return DatasetEntry(objective, dataset, settings.weight, row_streams, config.language_alpha)


def _languages(config: PretrainConfig, entries: tuple[DatasetEntry, ...]) -> tuple[str, ...]:
    """Returns the tags that get an embedding: of datasets and of what objectives translate to."""
    if not config.language_embeddings:
        return ()
    of_objectives = {tag for e in entries for tag in getattr(e.objective, "languages", ())}
    return tuple(sorted({tag for e in entries for tag in e.dataset.languages} | of_objectives))


def _geometry(config: PretrainConfig, encoder: Encoder, device: torch.device) -> Geometry | None:
    # What is given goes first: names of devices do not tell slower cards apart.
    peak = config.peak_flops or peak_of(device)
    return None if peak is None else geometry_of(encoder, peak)


def save_initial(config: PretrainConfig, out: str, *, overwrite: bool = False) -> None:
    """Writes the model a run starts from, untrained or as its checkpoint is, to measure it first.

    Args:
        config: of the run.
        out: a local folder: weights, tokenizer and bitextile.json with step 0.
        overwrite: replace a bitextile model folder in `out`.

    Raises:
        ConfigError: as `pretrain`.
        OutputExistsError: `out` exists and may not be replaced.
    """
    folder = Path(os.path.realpath(out))
    with hold(folder.with_name(f".{folder.name}{LOCK}"), out):
        if folder.exists() and not (overwrite and read_provenance(out)):
            raise OutputExistsError(f"{out}: exists already; give --overwrite or another folder")
        for left in folder.parent.glob(f".{escape(folder.name)}.*.tmp"):
            shutil.rmtree(left)  # of a run that was killed
        refuse_inputs_in(folder, paths_of(config))
        _save_initial(config, folder)


def _save_initial(config: PretrainConfig, folder: Path) -> None:
    tokenizer = load_tokenizer(config.tokenizer)
    with atomic_directory(folder) as temporary:
        encoder = open_encoder(config.model, tokenizer, config=config)
        save_model(temporary, encoder, tokenizer, gather_run_tensors(encoder, nn.ModuleDict()))
        provenance = {"step": 0, "tokenizer": tokenizer.digest, "datasets": []}
        untrained = {} if encoder.is_head_trained else {HEAD: UNTRAINED}
        write_provenance(temporary, provenance | untrained)
