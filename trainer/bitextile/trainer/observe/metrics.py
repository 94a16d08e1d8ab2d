"""What a run reports: metrics.jsonl, TensorBoard scalars, progress on stderr."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch.utils.tensorboard import SummaryWriter

from bitextile.schema.terminal import printable, say

METRICS = "metrics.jsonl"
LINE_EVERY_S = 60.0
"""Between two lines of progress where there is no terminal."""
SMOOTHING_STEPS = 50
"""A shown loss is an exponential mean over about so many steps of its objective."""


class Metrics:
    """Writes one JSON line per step or validation, and the same numbers for TensorBoard."""

    def __init__(self, out: Path, *, step: int) -> None:
        """Opens the files; what stands in them after `step` is dropped, a resumed run writes it.

        Args:
            out: the run's folder.
            step: that the run starts from; 0 for a new one.
        """
        path = out / METRICS
        _keep_until(path, step)
        self._file = path.open("a", encoding="utf-8")
        # TensorBoard hides what the run that was killed had written from this step on.
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def write(self, values: dict[str, Any]) -> None:
        """Writes the values of one step; `step` must be among them."""
        self._file.write(json.dumps(values, ensure_ascii=False) + "\n")
        # Line by line: a run that is killed leaves all steps it has done, and half a line at most.
        self._file.flush()
        for name, value in _scalars("", values):
            self._board.add_scalar(name, value, values["step"])

    def close(self) -> None:
        """Flushes and closes both."""
        self._file.close()
        self._board.close()


def _keep_until(path: Path, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # A run that was killed while it wrote leaves half a line, without a line feed.
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(kept), encoding="utf-8")
    os.replace(temporary, path)


def _scalars(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _scalars(f"{prefix}{name}/", value)
        elif isinstance(value, int | float) and name != "step":
            yield f"{prefix}{name}", value


class SmoothedLosses:
    """Each objective's own loss, smoothed: steps draw different objectives and rows.

    >>> losses = SmoothedLosses(horizon=3)
    >>> for values in ({"mlm": 10.0}, {"weam": 4.0}, {"mlm": 8.0}):
    ...     losses.add(values)
    >>> str(losses)
    'mlm 9.000  weam 4.000'
    """

    def __init__(self, horizon: int = SMOOTHING_STEPS) -> None:
        self._horizon = horizon
        self._seen: dict[str, int] = {}
        self._means: dict[str, float] = {}

    def add(self, losses: Mapping[str, float]) -> None:
        """Takes the losses of a step, by objective; those without one keep theirs."""
        for name, loss in losses.items():
            self._seen[name] = seen = self._seen.get(name, 0) + 1
            # A plain mean at first: the first step alone says little of where training begins.
            rate = max(1 / seen, 2 / (self._horizon + 1))
            before = self._means.get(name, loss)
            self._means[name] = before + rate * (loss - before)

    def __str__(self) -> str:
        """Returns the losses by the names of the objectives."""
        return "  ".join(f"{name} {self._means[name]:.3f}" for name in sorted(self._means))


class Bar:
    """Progress on a terminal: a bar with step, loss, useful tokens per second, time left."""

    def __init__(self, total: int, done: int) -> None:
        """Shows the bar.

        Args:
            total: steps of the run.
            done: steps behind it.
        """
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            # Last: on a narrow terminal it is what is cut off.
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("training", total=total, completed=done, note="")
        self._losses = SmoothedLosses()
        self._progress.start()

    def step(self, values: dict[str, Any]) -> None:
        """Moves on by a step."""
        self._losses.add(values["losses"])
        self._progress.update(self._task, advance=1, note=_note(values, self._losses))

    def validation(self, losses: dict[str, float]) -> None:
        """Prints validation losses above the bar, where they stay."""
        line = printable(_validation(losses))
        self._progress.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._progress.stop()


class Lines:
    """Progress in a log file: a line now and then instead of a bar."""

    def __init__(self, total: int, done: int) -> None:
        """Prints nothing yet; arguments as of `Bar`."""
        self._total = total
        self._first = done
        self._began = self._said = time.monotonic()
        self._losses = SmoothedLosses()

    def step(self, values: dict[str, Any]) -> None:
        """Prints a line if the last one is LINE_EVERY_S old or the run is done."""
        self._losses.add(values["losses"])
        now, done = time.monotonic(), values["step"]
        if now - self._said < LINE_EVERY_S and done < self._total:
            return
        self._said = now
        left = (self._total - done) * (now - self._began) / max(1, done - self._first)
        time_left = timedelta(seconds=int(left))
        say(f"step {done:,} of {self._total:,}  {_note(values, self._losses)}  {time_left} left")

    def validation(self, losses: dict[str, float]) -> None:
        """Prints validation losses."""
        say(_validation(losses))

    def close(self) -> None:
        """Does nothing; every line is out."""


def _note(values: dict[str, Any], losses: SmoothedLosses) -> str:
    mfu = f"  MFU {values['mfu']:.0%}" if "mfu" in values else ""
    # Below a twentieth the loader keeps up, and the number is noise.
    waits = f"  waits for data {values['data_wait']:.0%}" if values["data_wait"] > 0.05 else ""
    loss = f"loss {shown}" if (shown := str(losses)) else "nothing masked"
    return f"{loss}  {values['tokens_per_s']:,.0f} tokens/s{mfu}{waits}"


def _validation(losses: dict[str, float]) -> str:
    return "valid  " + "  ".join(f"{name} {loss:.3f}" for name, loss in losses.items())


@dataclass(frozen=True)
class Report:
    """Where the numbers of a run go; nowhere on the ranks that do not write.

    Attributes:
        metrics: the files.
        progress: the screen.
    """

    metrics: Metrics | None = None
    progress: Bar | Lines | None = None

    def step(self, values: dict[str, Any]) -> None:
        """Writes and shows the metrics of a step."""
        if self.metrics is not None and self.progress is not None:
            self.metrics.write(values)
            self.progress.step(values)

    def validation(self, values: dict[str, Any]) -> None:
        """Writes and shows validation losses: `step`, and `valid` by name of the entry."""
        if self.metrics is not None and self.progress is not None:
            self.metrics.write(values)
            self.progress.validation(values["valid"])


@contextmanager
def reporting(out: Path, *, total: int, done: int, silent: bool) -> Iterator[Report]:
    """Opens files and progress, and closes them when the context ends.

    Args:
        out: the run's folder.
        total: steps of the run.
        done: steps behind it.
        silent: on all ranks but the first.
    """
    if silent:
        yield Report()
        return
    progress = Bar(total, done) if Console(stderr=True).is_terminal else Lines(total, done)
    with closing(Metrics(out, step=done)) as metrics, closing(progress):
        yield Report(metrics, progress)
