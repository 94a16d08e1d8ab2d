"""What the trainer asks of an objective, and what objectives share."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from bitextile.kernels.arrays import I32, I64, U64
from bitextile.kernels.randomness import hash64
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.packed import Packed
from bitextile.trainer.data.tokens import Coder, Side, cut, limits
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder


class Batch(Protocol):
    """The tensors an objective makes of examples; each objective has its own kind."""

    @property
    def packs(self) -> tuple[Packed, ...]:
        """Every set of rows that an encoder runs over."""

    def to(self, device: torch.device) -> Any:
        """Returns the batch on a device."""


class Learned(Protocol):
    """What a step needs to know of an objective: what it makes of rows, what it minimises."""

    @property
    def name(self) -> str:
        """As configurations and metrics name it."""

    def examples(self, rows: pa.Table, epochs: I64, coder: Coder) -> list[Example]:
        """Returns one example per row, in order."""

    def collate(self, examples: Sequence[Example], collation: Collation) -> Any:
        """Returns its batch of examples, at least one: a pure function."""

    def module(self, encoder: Encoder) -> nn.Module | None:
        """Returns what it has besides the encoder: parameters, tables, queues; None for nothing."""

    def losses(self, encoder: Encoder, own: Any, batch: Any) -> dict[str, LossSum]:
        """Returns the named parts of its loss on a batch; their means add up to the objective.

        A part's weight depends on the batch alone, never on the model, so that the loop can know
        the weight of a whole step beforehand: see `weights`.
        """

    def weights(self, batch: Any) -> dict[str, int]:
        """Returns the weight of each part on a batch, without computing it."""


class Objective(Learned, Protocol):
    """An objective of pre-training: also which rows of which datasets it reads."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Dataset kinds it can learn from."""

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns of `kind` it reads, ids included."""


Gather = Callable[[list[Any]], list[Any]]
"""Takes this process's items, returns those of all processes in the order of their ranks."""


@runtime_checkable
class Stepped(Protocol):
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
    if more not in rows.column_names:
        return ids, hash64(pa.array(ids, pa.string()))
    ids = [f"{i}/{v}" for i, v in zip(ids, rows.column(more).to_pylist())]
    return ids, hash64(pa.array([stable_id(i) for i in ids], pa.string()))


def texts_of(rows: pa.Table, *columns: str) -> list[list[str]]:
    """Returns columns as Python lists."""
    return [rows.column(name).to_pylist() for name in columns]


def fitted_pair(
    src: Side,
    tgt: Side,
    texts: tuple[str, str],
    max_length: int,
    spans: tuple[I32 | None, I32 | None] = (None, None),
) -> tuple[Side, Side]:
    """Returns both sides, cut at words so that `[CLS] s [SEP] t [SEP]` has at most `max_length`."""
    keep = limits(len(src.ids), len(tgt.ids), max_length - 3)
    return cut(src, keep[0], texts[0], spans[0]), cut(tgt, keep[1], texts[1], spans[1])


def list_slices(column: pa.ChunkedArray, fields: tuple[str, ...]) -> list[np.ndarray]:
    """Returns each row of a list-of-structs column as an int array [n, fields].

    Goes through the flat children: 30 times faster than `to_pylist` on links.
    """
    lists = column.combine_chunks()
    flat = lists.flatten()
    values = np.stack([flat.field(f).to_numpy().astype(np.int32) for f in fields], axis=1)
    lengths = pa.compute.list_value_length(lists).to_numpy()
    return np.split(values, np.cumsum(lengths)[:-1])
