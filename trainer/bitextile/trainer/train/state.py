"""Everything a step needs and changes."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from bitextile.trainer.config import RunConfig
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.mixture import MicroBatchStream, MixtureEntry
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.distributed.process_group import ProcessGroup
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.objective import LossObjective
from bitextile.trainer.observe.flops import Geometry


class TrainEntry(MixtureEntry, Protocol):
    """An entry of the mixture that a step can learn from."""

    @property
    def objective(self) -> LossObjective:
        """What is learned."""


C = TypeVar("C", bound=RunConfig)
E = TypeVar("E", bound=TrainEntry)


@dataclass
class TrainState(Generic[C, E]):
    """Everything a step needs and changes.

    Attributes:
        config: of the run.
        group: the processes of the run.
        tokenizer: the tokenizer.
        entries: the mixture.
        streams: micro-batch streams of this rank, where they stood when the run began or resumed.
        counters: of each of these streams by its index, as of the last step.
        collation: of training; validation has masks of its own.
        encoder: on its device.
        objective_modules: what objectives have besides the encoder, by index of their entry.
        optimiser: over both.
        device: to compute on.
        fingerprint: what must not change when the run is resumed: settings, and digests for paths.
        geometry: for the metric `mfu`; None where the device's peak is not known.
        step: steps done.
        tokens: useful tokens learned from, by all ranks.
    """

    config: C
    group: ProcessGroup
    tokenizer: Tokenizer
    entries: tuple[E, ...]
    streams: list[MicroBatchStream]
    counters: dict[int, dict[str, Any]]
    collation: Collation
    encoder: Encoder
    objective_modules: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    device: torch.device
    fingerprint: dict[str, Any] = field(default_factory=dict)
    geometry: Geometry | None = None
    step: int = 0
    tokens: int = 0

    def labels(self) -> list[str]:
        """Returns a name per entry: of its objective, with its index where two share one."""
        names = [e.objective.name for e in self.entries]
        return [n if names.count(n) == 1 else f"{n}.{i}" for i, n in enumerate(names)]

    def module_of(self, entry: int) -> nn.Module | None:
        """Returns the parameters of an entry's objective, if it has any."""
        # torch's ModuleDict has no `get`.
        return dict(self.objective_modules.items()).get(str(entry))

    def parameters(self) -> list[nn.Parameter]:
        """Returns what the optimiser updates, in an order that is the same on every rank."""
        return [p for g in self.optimiser.param_groups for p in g["params"]]

    def autocast(self) -> AbstractContextManager:
        """Returns the context to compute in: bf16 where the configuration says so."""
        wanted = self.config.precision
        if wanted == "bf16" or (wanted == "auto" and self.device.type == "cuda"):
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()
