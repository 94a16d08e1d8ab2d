"""`pretrain`: an encoder from datasets, by a mixture of objectives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from bitextile.schema.errors import OutputExistsError
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.data.mixture import Entry
from bitextile.trainer.data.tokens import load_coder
from bitextile.trainer.distributed.process_group import ALONE, Ranks
from bitextile.trainer.observe.card import read_identity, write_card, write_identity
from bitextile.trainer.train.checkpoint import Tensors, appearing, save_model, tensors_of
from bitextile.trainer.train.loop import RunSummary, run
from bitextile.trainer.train.setup import open_encoder, prepare
from bitextile.trainer.train.step import Training
from bitextile.trainer.train.validate import validate

Pretraining = Training[PretrainConfig, Entry]


@dataclass(frozen=True)
class _Pretrain:
    """Pre-training, as `run` does it."""

    config: PretrainConfig

    def prepare(self, last: Path | None, ranks: Ranks) -> Pretraining:
        return prepare(self.config, last, ranks=ranks)

    def validate(self, training: Pretraining) -> dict[str, float]:
        return validate(training)

    def identity(self, training: Pretraining) -> dict[str, Any]:
        return _identity(training)

    def write(
        self, training: Pretraining, folder: Path, tensors: Tensors, loss: float | None
    ) -> None:
        encoder = training.encoder
        parameters = sum(p.numel() for p in encoder.parameters())
        facts: dict[str, Any] = {"steps": training.step, "useful tokens": training.tokens}
        facts |= {"parameters": parameters, "loss of the last step": loss}
        if encoder.languages:
            facts["language embeddings"] = ", ".join(encoder.languages)
        save_model(folder, encoder, training.coder, tensors)
        write_card(folder, training.config, training.entries, facts)
        write_identity(folder, _identity(training))


def pretrain(
    config: PretrainConfig,
    out: str,
    *,
    overwrite: bool = False,
    resume: bool = False,
    ranks: Ranks = ALONE,
) -> RunSummary:
    """Trains an encoder and writes it to a folder.

    Args:
        config: of the run.
        out: a local folder, the same for all ranks: the model itself when complete; checkpoints,
            metrics and card in it.
        overwrite: replace an earlier run in `out`.
        resume: go on from the last checkpoint in `out` that is whole, exactly as if never stopped;
            from the start if there is none.
        ranks: the processes of the run, as `joined` gives them; each calls `pretrain`.

    Raises:
        ConfigError: a setting is wrong or differs from the run to resume.
        OutputExistsError: `out` exists and neither flag is given.
        DatasetError: a dataset is not whole, or not of a kind its objective reads.
        TrainingError: a loss is not finite, all checkpoints are damaged, or a rank is lost.
    """
    return run(_Pretrain(config), out, overwrite=overwrite, resume=resume, ranks=ranks)


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
        encoder = open_encoder(config, coder, (), None)
        save_model(temporary, encoder, coder, tensors_of(encoder, nn.ModuleDict()))
        write_identity(temporary, {"step": 0, "tokenizer": coder.digest, "datasets": []})


def _identity(training: Pretraining) -> dict[str, Any]:
    identity: dict[str, Any] = {
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
    languages = list(training.encoder.languages)
    return identity | ({"language_embeddings": languages} if languages else {})
