"""Progress on the screen and in a file beside an output: stage, step, rows, rows/s, time left.

On a terminal it is a bar, which goes when the work is done; elsewhere, as in the log of a job, a
line a minute. `DIR/.NAME.progress` says the same of the output `DIR/NAME` while it is being made,
for `bitextile status`.
"""

import json
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from bitextile.kernels.progress import News, Step, listening
from bitextile.schema.storage import filesystem, is_local
from bitextile.schema.terminal import printable

BAR_AFTER_S = 2.0
"""A bar that stands for a moment is a flicker."""
LINE_EVERY_S = 60.0
"""Between two lines where there is no terminal."""
POLL_S = 0.5
RATE_S = 30.0
"""The rate is that of so many seconds: it follows when the rows get longer."""
SUFFIX = ".progress"
RUN_PROGRESS = ".progress"
"""In the folder of `bitextile run`: which step of the chain it is in."""

_ITERATION = re.compile(r"\b(\d+)/(\d+)\b")
_VISIBLE = threading.Event()


@dataclass(frozen=True)
class State:
    """How far a command has come.

    Attributes:
        command: what is being made.
        stage: number of the stage it is in, from 1; 0 if it is not told.
        stages: how many there are; 0 if it is not told.
        step: what is being done.
        rows: done in this step.
        total: rows of this step; None if nobody knows.
        rows_per_s: of the last half minute.
        left_s: until the end of this step; None if nobody knows.
        note: what the step said last.
        updated: UTC, ISO 8601.
    """

    command: str
    stage: int = 0
    stages: int = 0
    step: str = ""
    rows: int = 0
    total: int | None = None
    rows_per_s: float = 0.0
    left_s: float | None = None
    note: str = ""
    updated: str = ""

    @property
    def share(self) -> float | None:
        """What is done of the step, 0 to 1."""
        if self.total:
            return min(1.0, self.rows / self.total)
        if found := _ITERATION.search(self.note):
            return min(1.0, int(found[1]) / max(1, int(found[2])))
        return None

    def __str__(self) -> str:
        """Returns one line.

        >>> print(State("align", 3, 9, "LinkWords", 500, 2_000, 100.0, 15.0))
        align  stage 3 of 9  LinkWords  500 of 2,000 rows  100 rows/s  0:00:15 left
        """
        parts = [self.command]
        if self.stages:
            parts.append(f"stage {self.stage} of {self.stages}")
        parts.append(self.step)
        if self.rows:
            of = "" if self.total is None else f" of {self.total:,}"
            parts += [f"{self.rows:,}{of} rows", f"{self.rows_per_s:,.0f} rows/s"]
        if self.left_s is not None:
            parts.append(f"{timedelta(seconds=int(self.left_s))} left")
        parts.append(self.note)
        return "  ".join(filter(None, parts))


class Stages:
    """Counts the stages of a pipeline; the runner tells it."""

    def __init__(self) -> None:
        self.total = 0
        self._begun: set[str] = set()

    @property
    def begun(self) -> int:
        """How many stages have begun."""
        return len(self._begun)

    def begin(self, name: str) -> None:
        """Takes note of a stage, the first time."""
        self._begun.add(name)


@contextmanager
def visible() -> Iterator[None]:
    """Lets `shown` print; called from Python without it, a function prints nothing."""
    _VISIBLE.set()
    try:
        yield
    finally:
        _VISIBLE.clear()


@contextmanager
def shown(command: str, outputs: Sequence[str] = ()) -> Iterator[Stages]:
    """Shows how far the work in the context has come.

    Args:
        command: what it is called.
        outputs: local paths beside which a file says it, too.

    Yields:
        To be told of stages, where there are some.
    """
    stages, ended = Stages(), threading.Event()
    files = [_file_beside(path) for path in outputs if is_local(path)]
    with listening() as news, _screen() as screen:
        meter = Meter(command, stages, news)

        def watch() -> None:
            while not ended.wait(POLL_S):
                state = meter.read()
                # A full disk, or a terminal that has gone, is no reason to stop the work.
                with suppress(OSError):
                    for file in files:
                        write_progress(file, state)
                with suppress(OSError):
                    screen.show(state)

        thread = threading.Thread(target=watch, name="progress", daemon=True)
        thread.start()
        try:
            yield stages
        finally:
            ended.set()
            thread.join()
            for file in files:
                file.unlink(missing_ok=True)


def read_progress(file: Path) -> State | None:
    """Returns what a progress file says; None if there is none, or it is not readable."""
    try:
        return State(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _file_beside(path: str) -> Path:
    place = Path(os.path.realpath(filesystem(path)[1]))
    return place.with_name(f".{place.name}{SUFFIX}")


def write_progress(file: Path, state: State) -> None:
    """Writes a progress file, which appears whole."""
    temporary = file.with_name(f"{file.name}.tmp")
    temporary.write_text(json.dumps(asdict(state), ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, file)


class Meter:
    """Makes a State of the news: rate and time left of the step that began last."""

    def __init__(self, command: str, stages: Stages, news: News) -> None:
        self._command, self._stages, self._news = command, stages, news
        self._step, self._began = "", time.monotonic()
        self._seen: deque[tuple[float, int]] = deque()
        self._total: int | None = None

    def read(self, now: float | None = None) -> State:
        """Returns the state; `now` in seconds of time.monotonic."""
        now = time.monotonic() if now is None else now
        # Steps that run together begin in their order in the pipeline: the last is furthest.
        step = next(reversed(self._news().values()), Step(""))
        if step.name != self._step:
            self._step, self._began = step.name, now
            self._seen.clear()
        # A step that does not know its total has that of the last step before it that did.
        self._total = self._total if step.total is None else step.total
        self._seen.append((now, step.rows))
        while now - self._seen[0][0] > RATE_S:
            self._seen.popleft()
        state = State(
            self._command,
            self._stages.begun,
            self._stages.total,
            step.name,
            step.rows,
            self._total if step.rows else None,
            self._rate(),
            note=step.note,
            updated=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return State(**asdict(state) | {"left_s": self._left(state, now)})

    def _rate(self) -> float:
        (first, before), (last, rows) = self._seen[0], self._seen[-1]
        return (rows - before) / (last - first) if last > first else 0.0

    def _left(self, state: State, now: float) -> float | None:
        if state.total and state.rows_per_s:
            return max(0, state.total - state.rows) / state.rows_per_s
        if state.share and not state.total:
            return (now - self._began) * (1 - state.share) / state.share
        return None


class _Silent:
    def show(self, state: State) -> None:
        """Shows nothing."""


class _Lines:
    def __init__(self, file: TextIO) -> None:
        self._file, self._said = file, time.monotonic()

    def show(self, state: State) -> None:
        """Prints a line if the last one is LINE_EVERY_S old."""
        if (now := time.monotonic()) - self._said >= LINE_EVERY_S:
            self._said = now
            self._file.write(printable(str(state)) + "\n")
            self._file.flush()


class _Bar:
    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        columns = (SpinnerColumn(), BarColumn(20), TextColumn("{task.description}", markup=False))
        self.bar = Progress(*columns, console=console, transient=True)
        self._task = self.bar.add_task("", total=None)
        self._from = time.monotonic() + BAR_AFTER_S

    def show(self, state: State) -> None:
        """Draws the bar anew, once the work has lasted for a while."""
        share = state.share
        self.bar.update(
            self._task,
            description=printable(str(state)),
            total=None if share is None else 1.0,
            completed=share or 0.0,
        )
        if time.monotonic() >= self._from:
            self.bar.start()


@contextmanager
def _screen() -> Iterator[_Silent | _Lines | _Bar]:
    if not _VISIBLE.is_set() or sys.stderr is None:
        yield _Silent()
        return
    with _own_stderr() as file:
        if not file.isatty():
            yield _Lines(file)
            return
        from rich.console import Console

        bar = _Bar(Console(file=file))
        try:
            yield bar
        finally:
            bar.bar.stop()


@contextmanager
def _own_stderr() -> Iterator[TextIO]:
    """Yields standard error on a descriptor of its own, as the runner closes that of workers."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (AttributeError, ValueError, OSError):  # replaced, as in a notebook, or closed
        yield sys.stderr
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        yield file
