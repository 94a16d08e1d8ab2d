"""The mixture: which objective, language and row comes next, as a function of counters.

A step consists of `grad_accumulation` micro-batches, each of one entry of the mixture. Micro-batch
stream i of n makes micro-batches i, i + n, i + 2n, ... of the run and owns every n-th row of every
row stream. Its whole state is a few counters, so streams can be given to any number of
processes, and a run resumes anywhere at the same price:

    micro-batch   0      1      2      3      4      5     ...
    stream        0      1      2      0      1      2            (3 streams)
    step          |------- 0 ------|   |------ 1 -------|
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64
from bitextile.kernels.randomness import uniform
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.packed import Packed
from bitextile.trainer.data.streams import StreamRows
from bitextile.trainer.data.tokens import Tokenizer

CHUNK = 256
"""Rows read and tokenised at once by a stream; a matter of speed only, the sequence is the same."""

_GOLDEN = (5**0.5 - 1) / 2


class RowStream(Protocol):
    """Rows in a seeded order, as a `DatasetStream` gives them."""

    @property
    def key(self) -> str:
        """What tells it from the other row streams of its entry."""

    def take(self, position: int, count: int, *, offset: int, stride: int) -> StreamRows:
        """Returns the next rows of every `stride`-th; see `DatasetStream.take`."""


class Batch(Protocol):
    """The tensors an objective makes of examples; each objective has its own kind."""

    @property
    def packs(self) -> tuple[Packed, ...]:
        """Every set of rows that an encoder runs over."""

    def to(self, device: Any) -> Any:
        """Returns the batch on a device."""


class DataObjective(Protocol):
    """What reading data needs of an objective: from rows to examples to tensors."""

    @property
    def name(self) -> str:
        """As configurations and metrics name it."""

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one example per row, in order."""

    def collate(self, examples: Sequence[Example], collation: Collation) -> Any:
        """Returns its `Batch` of examples, at least one: a pure function."""

    def weights(self, batch: Any) -> dict[str, int]:
        """Returns the weight of each part of its loss on a batch, without computing the loss."""


class MixtureEntry(Protocol):
    """An entry of the mixture, wherever its rows come from."""

    @property
    def objective(self) -> DataObjective:
        """What is learned."""

    @property
    def weight(self) -> float:
        """Share of the micro-batches, relative to the others."""

    @property
    def row_streams(self) -> Sequence[RowStream]:
        """Where its rows come from, at least one."""

    @property
    def probabilities(self) -> np.ndarray:
        """[row streams] probability of each."""


@dataclass(frozen=True)
class MicroBatch:
    """Examples of one entry, within the token budget.

    Attributes:
        entry: index in the mixture.
        examples: in the order in which they were drawn.
        is_filler: True where the stream has no row left, while other streams have: one example
            keeps ranks in step, and nothing is learned from it.
    """

    entry: int
    examples: tuple[Example, ...]
    is_filler: bool = False


def entry_of(index: int, weights: Iterable[float]) -> int:
    """Returns which entry micro-batch `index` of a run belongs to.

    Multiples of the golden ratio, modulo 1, fill [0, 1) evenly at every length (Weyl), so the
    shares are met to within one or two micro-batches at any time, without a counter.

    >>> [entry_of(i, [3, 1]) for i in range(8)]
    [0, 1, 0, 0, 1, 0, 0, 0]
    """
    #     weights 3 1   ends 3 4      0 |---- entry 0 ----| 3 |- 1 -| 4
    ends = np.cumsum(list(weights))
    place = (index + 0.5) * _GOLDEN % 1.0 * ends[-1]
    return int(np.searchsorted(ends, place, side="right"))


@dataclass
class _Cursor:
    """Where a stream stands in one entry: rows drawn in all, and its position per row stream."""

    draws: int = 0
    positions: dict[str, int] = field(default_factory=dict)


@dataclass
class MicroBatchStream:
    """One of the micro-batches of each step, for all steps.

    Attributes:
        entries: the mixture.
        tokenizer: of the run.
        index: which of the micro-batches of a step, 0-based.
        count: micro-batches of a step.
        batch_tokens: most useful tokens of a micro-batch.
        seed: of the run.
        batch_rows: most rows of a micro-batch; None where the tokens alone decide.
        max_rows: rows of the run, over all streams of a mixture of one entry; None for no end.
        batches: micro-batches made so far.
    """

    entries: Sequence[MixtureEntry]
    tokenizer: Tokenizer
    index: int
    count: int
    batch_tokens: int
    seed: int
    batch_rows: int | None = None
    max_rows: int | None = None
    batches: int = 0
    _cursors: list[_Cursor] = field(init=False)
    _ready: list[deque[tuple[Example, str, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self._cursors = [_Cursor() for _ in self.entries]
        self._ready = [deque() for _ in self.entries]

    def next(self) -> MicroBatch:
        """Returns the stream's next micro-batch and moves on."""
        # Of the run, not of the stream: the streams take turns in one sequence of entries.
        index = self.index + self.batches * self.count
        entry = entry_of(index, [e.weight for e in self.entries])
        cursor, ready = self._cursors[entry], self._ready[entry]
        examples: list[Example] = []
        tokens_left = self.batch_tokens
        max_rows = self._max_rows(cursor)
        while True:
            # Read ahead by CHUNK; counters move only with what is used, so nothing is skipped.
            if not ready:
                ready.extend(self._draw(entry, cursor))
            example, key, after = ready[0]
            if max_rows == 0:
                self.batches += 1
                return MicroBatch(entry, (example,), is_filler=True)
            # Useful tokens, not positions: how inputs are packed must not decide what a batch
            # holds.
            tokens_left -= example.n_tokens
            # An example longer than the budget is a micro-batch of its own: nothing is dropped.
            if (tokens_left < 0 and examples) or len(examples) == max_rows:
                break
            ready.popleft()
            examples.append(example)
            cursor.draws += 1
            cursor.positions[key] = after
        self.batches += 1
        return MicroBatch(entry, tuple(examples))

    def _max_rows(self, cursor: _Cursor) -> int | None:
        """Returns how many rows the next micro-batch may have; None where tokens decide."""
        if self.max_rows is None:
            return self.batch_rows
        # Rows index, index + count, index + 2 count, ... below max_rows are the stream's.
        own = len(range(self.index, self.max_rows, self.count))
        left = max(0, own - cursor.draws)
        return left if self.batch_rows is None else min(self.batch_rows, left)

    def state(self) -> dict[str, Any]:
        """Returns the counters, as JSON holds them."""
        cursors = [{"draws": c.draws, "positions": dict(c.positions)} for c in self._cursors]
        return {"batches": self.batches, "entries": cursors}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts the stream where it stood when `state` was taken."""
        self.batches = state["batches"]
        # What was read ahead is dropped: the counters are of what was used, so it is read again.
        self._cursors = [_Cursor(c["draws"], dict(c["positions"])) for c in state["entries"]]
        self._ready = [deque() for _ in self.entries]

    def _draw(self, index: int, cursor: _Cursor) -> list[tuple[Example, str, int]]:
        """Reads and tokenises the next rows of an entry; the cursor moves when they are used."""
        entry = self.entries[index]
        drawn: list[tuple[Example, str, int] | None] = [None] * CHUNK
        which = self._choose(index, cursor.draws)
        for stream_index in np.unique(which):
            row_stream = entry.row_streams[stream_index]
            # The slots of a row stream get its next rows in order, so its position can move row by
            # row as they are used.
            slots = np.flatnonzero(which == stream_index)
            start = cursor.positions.get(row_stream.key, 0)
            rows = row_stream.take(start, len(slots), offset=self.index, stride=self.count)
            examples = entry.objective.examples(rows.table, rows.epochs, self.tokenizer)
            for slot, example, after in zip(slots, examples, rows.after):
                drawn[slot] = (example, row_stream.key, int(after))
        return [d for d in drawn if d is not None]

    def _choose(self, index: int, draws: int) -> I64:
        """Returns the row stream of each of the next rows of an entry, by its probability."""
        entry = self.entries[index]
        # Keyed by the stream and by how many rows it has drawn, not by micro-batch: where batches
        # end depends on lengths, and the languages must not.
        chosen = uniform(
            np.asarray([self.index], np.uint64),
            seed=self.seed,
            operation=f"mixture/{index}",
            position=np.arange(draws, draws + CHUNK),
        )
        which = np.searchsorted(np.cumsum(entry.probabilities), chosen, side="right")
        # The probabilities may add up to a rounding less than 1.
        return np.minimum(which, len(entry.row_streams) - 1)
