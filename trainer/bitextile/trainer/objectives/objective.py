"""What the trainer asks of an objective, and what objectives share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import nn

from bitextile.kernels.arrays import I32, U64
from bitextile.kernels.randomness import hash64
from bitextile.schema.dataset import Dataset
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.mixture import Batch, DataObjective
from bitextile.trainer.data.packed import Packed
from bitextile.trainer.data.streams import DatasetStream
from bitextile.trainer.data.tokens import Encoding, limits, truncate
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder


class PretrainBatch(Batch, Protocol):
    """The batch of an objective of pre-training: its operations are counted (observe/flops.py)."""

    @property
    def frozen_packs(self) -> tuple[Packed, ...]:
        """Those of `packs` that have a forward pass only."""

    @property
    def n_predictions(self) -> int:
        """How many vectors the head makes logits of."""


class LossObjective(DataObjective, Protocol):
    """What a step needs to know of an objective: what it makes of rows, what it minimises."""

    def module(self, encoder: Encoder) -> nn.Module | None:
        """Returns what it has besides the encoder: parameters, tables, queues; None for nothing."""

    def losses(self, encoder: Encoder, objective_module: Any, batch: Any) -> dict[str, LossSum]:
        """Returns the named parts of its loss on a batch; their means add up to the objective.

        A part's weight depends on the batch alone, never on the model, so that the loop can know
        the weight of a whole step beforehand: see `weights`.

        Args:
            encoder: of the run.
            objective_module: what `module` returned.
            batch: as `collate` made it, on the encoder's device.
        """


class Objective(LossObjective, Protocol):
    """An objective of pre-training: also which columns of its dataset it reads."""

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns of `kind` it reads, ids included.

        Args:
            kind: one of `EntrySettings.kinds`, where they stand for recipes to read without torch.
        """


@dataclass(frozen=True)
class DatasetEntry:
    """An entry of pre-training's mixture: an objective, and the dataset it learns from.

    Attributes:
        objective: what is learned.
        dataset: from which rows.
        weight: share of the micro-batches, relative to the other entries.
        row_streams: one per language or language pair, all of the same dataset.
        language_alpha: languages are drawn in proportion to rows ** language_alpha.
    """

    objective: Objective
    dataset: Dataset
    weight: float
    row_streams: tuple[DatasetStream, ...]
    language_alpha: float

    @property
    def probabilities(self) -> np.ndarray:
        """[row streams] probability of each."""
        sizes = np.asarray([float(s.rows) for s in self.row_streams])
        # 0 ** 0 is 1, and an empty stream has no row to give.
        powers = np.where(sizes > 0, sizes**self.language_alpha, 0.0)
        return powers / powers.sum()


@runtime_checkable
class KnowsDataset(Protocol):
    """An objective that must know something of its whole dataset, beyond the rows of a batch."""

    def of_dataset(self, dataset: Dataset) -> Objective:
        """Returns the objective for a dataset."""


Gather = Callable[[list[Any]], list[Any]]
"""Takes this process's items, returns those of all processes in the order of their ranks."""


@runtime_checkable
class StepHook(Protocol):
    """A module of an objective that changes after each step by itself, not by its gradient."""

    def after_step(self, encoder: Encoder, gather: Gather) -> None:
        """Is called on every rank once the optimiser has stepped."""


def records(rows: pa.Table) -> tuple[list[str], U64]:
    """Returns the id of each row and the 64 bits its draws are keyed by.

    Args:
        rows: with `text_id` or `pair_id`; `variant` is part of the identity where there is one,
            and so is the language of a pseudo translation.
    """
    name = "pair_id" if "pair_id" in rows.column_names else "text_id"
    ids = rows.column(name).to_pylist()
    more = "tgt_lang" if name == "text_id" else "variant"
    # A pair has several variants, a sentence pseudo translations into several languages; by the id
    # alone these rows would all have the same masks.
    if more not in rows.column_names:
        return ids, hash64(pa.array(ids, pa.string()))
    ids = [f"{i}/{v}" for i, v in zip(ids, rows.column(more).to_pylist())]
    return ids, hash64(pa.array([stable_id(i) for i in ids], pa.string()))


def texts_of(rows: pa.Table, *columns: str) -> list[list[str]]:
    """Returns columns as Python lists."""
    return [rows.column(name).to_pylist() for name in columns]


def truncate_pair(
    src: Encoding,
    tgt: Encoding,
    texts: tuple[str, str],
    max_length: int,
    spans: tuple[I32 | None, I32 | None] = (None, None),
) -> tuple[Encoding, Encoding]:
    """Returns both sides, cut at words so that `[CLS] s [SEP] t [SEP]` has at most `max_length`."""
    # 3: [CLS] and two [SEP].
    keep = limits(len(src.ids), len(tgt.ids), max_length - 3)
    return truncate(src, keep[0], texts[0], spans[0]), truncate(tgt, keep[1], texts[1], spans[1])


def list_slices(column: pa.ChunkedArray, fields: tuple[str, ...]) -> list[np.ndarray]:
    """Returns each row of a list-of-structs column as an int array [n, fields].

    Goes through the flat children: 30 times faster than `to_pylist` on links.
    """
    lists = column.combine_chunks()
    flat = lists.flatten()
    values = np.stack([flat.field(f).to_numpy().astype(np.int32) for f in fields], axis=1)
    lengths = pc.list_value_length(lists).to_numpy()
    return np.split(values, np.cumsum(lengths)[:-1])
