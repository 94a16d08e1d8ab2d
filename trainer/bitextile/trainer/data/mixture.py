"""The mixture: which objective, language and row comes next, as a function of counters.

A step consists of `lanes` micro-batches. Lane l of n makes micro-batches l, l + n, l + 2n, ... of
the run, each of one entry of the mixture, and owns every n-th row of every stream. Its whole state
is a few counters, so lanes can be dealt out to any number of processes, and a run resumes anywhere
at the same price:

    micro-batch   0      1      2      3      4      5     ...
    lane          0      1      2      0      1      2            (3 lanes)
    step          |------- 0 ------|   |------ 1 -------|
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bitextile.kernels.randomness import uniform
from bitextile.schema.dataset import Dataset
from bitextile.trainer.data.examples import Example
from bitextile.trainer.data.streams import Rows, Stream
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.objectives.objective import Learned, Objective

CHUNK = 256
"""Rows read and tokenised at once by a lane; a matter of speed only, the sequence is the same."""

_GOLDEN = (5**0.5 - 1) / 2


class Source(Protocol):
    """Rows in a seeded order, as a `Stream` gives them."""

    @property
    def key(self) -> str:
        """What tells it from the other sources of its entry."""

    def take(self, position: int, count: int, *, lane: int, lanes: int) -> Rows:
        """Returns the next rows for one lane; see `Stream.take`."""


class Mixed(Protocol):
    """An entry of the mixture, wherever its rows come from."""

    @property
    def objective(self) -> Learned:
        """What is learned."""

    @property
    def weight(self) -> float:
        """Share of the micro-batches, relative to the others."""

    @property
    def streams(self) -> Sequence[Source]:
        """The sources of its rows, at least one."""

    @property
    def shares(self) -> np.ndarray:
        """[streams] probability of each."""


@dataclass(frozen=True)
class Entry:
    """One entry of the mixture, opened.

    Attributes:
        objective: what is learned.
        dataset: from which rows.
        weight: share of the micro-batches, relative to the others.
        streams: one per key, all of the same dataset.
        alpha: keys are drawn in proportion to rows ** alpha.
    """

    objective: Objective
    dataset: Dataset
    weight: float
    streams: tuple[Stream, ...]
    alpha: float

    @property
    def shares(self) -> np.ndarray:
        """[keys] probability of each stream."""
        sizes = np.asarray([float(s.rows) for s in self.streams])
        powers = np.where(sizes > 0, sizes**self.alpha, 0.0)
        return powers / powers.sum()


@dataclass(frozen=True)
class MicroBatch:
    """Examples of one entry, within the token budget.

    Attributes:
        entry: index in the mixture.
        examples: in the order in which they were drawn.
    """

    entry: int
    examples: tuple[Example, ...]


def entry_of(index: int, weights: Iterable[float]) -> int:
    """Returns which entry micro-batch `index` of a run belongs to.

    Multiples of the golden ratio, modulo 1, fill [0, 1) evenly at every length (Weyl), so the
    shares are met to within one or two micro-batches at any time, without a counter.

    >>> [entry_of(i, [3, 1]) for i in range(8)]
    [0, 1, 0, 0, 1, 0, 0, 0]
    """
    ends = np.cumsum(list(weights))
    place = (index + 0.5) * _GOLDEN % 1.0 * ends[-1]
    return int(np.searchsorted(ends, place, side="right"))


@dataclass
class _Cursor:
    """Where a lane stands in one entry: rows drawn in all, and its position in each stream."""

    draws: int = 0
    positions: dict[str, int] = field(default_factory=dict)


@dataclass
class Lane:
    """One lane of micro-batches.

    Attributes:
        entries: the mixture.
        coder: the tokenizer.
        lane: 0-based.
        lanes: how many there are.
        batch_tokens: most useful tokens of a micro-batch.
        seed: of the run.
        batch_rows: most rows of a micro-batch; None where the tokens alone decide.
        batches: micro-batches made so far.
    """

    entries: Sequence[Mixed]
    coder: Coder
    lane: int
    lanes: int
    batch_tokens: int
    seed: int
    batch_rows: int | None = None
    batches: int = 0
    _cursors: list[_Cursor] = field(init=False)
    _ready: list[deque[tuple[Example, str, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self._cursors = [_Cursor() for _ in self.entries]
        self._ready = [deque() for _ in self.entries]

    def next(self) -> MicroBatch:
        """Returns the lane's next micro-batch and moves on."""
        index = self.lane + self.batches * self.lanes
        entry = entry_of(index, [e.weight for e in self.entries])
        cursor, ready = self._cursors[entry], self._ready[entry]
        examples: list[Example] = []
        room = self.batch_tokens
        while True:
            if not ready:
                ready.extend(self._draw(entry, cursor))
            example, key, after = ready[0]
            room -= example.n_tokens
            if (room < 0 and examples) or len(examples) == self.batch_rows:
                break
            ready.popleft()
            examples.append(example)
            cursor.draws += 1
            cursor.positions[key] = after
        self.batches += 1
        return MicroBatch(entry, tuple(examples))

    def state(self) -> dict[str, Any]:
        """Returns the counters, as JSON holds them."""
        cursors = [{"draws": c.draws, "positions": dict(c.positions)} for c in self._cursors]
        return {"batches": self.batches, "entries": cursors}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts the lane where it stood when `state` was taken."""
        self.batches = state["batches"]
        self._cursors = [_Cursor(c["draws"], dict(c["positions"])) for c in state["entries"]]
        self._ready = [deque() for _ in self.entries]

    def _draw(self, index: int, cursor: _Cursor) -> list[tuple[Example, str, int]]:
        """Reads and tokenises the next rows of an entry; the cursor moves when they are used."""
        entry = self.entries[index]
        chosen = uniform(
            np.asarray([self.lane], np.uint64),
            seed=self.seed,
            operation=f"mixture/{index}",
            position=np.arange(cursor.draws, cursor.draws + CHUNK),
        )
        which = np.searchsorted(np.cumsum(entry.shares), chosen, side="right")
        which = np.minimum(which, len(entry.streams) - 1)
        drawn: list[tuple[Example, str, int] | None] = [None] * CHUNK
        for stream_index in np.unique(which):
            stream = entry.streams[stream_index]
            places = np.flatnonzero(which == stream_index)
            start = cursor.positions.get(stream.key, 0)
            rows = stream.take(start, len(places), lane=self.lane, lanes=self.lanes)
            for place, example, after in zip(places, self._encode(entry, rows), rows.after):
                drawn[place] = (example, stream.key, int(after))
        return [d for d in drawn if d is not None]

    def _encode(self, entry: Mixed, rows: Rows) -> list[Example]:
        return entry.objective.examples(rows.table, rows.epochs, self.coder)
