"""What a run says of itself: metrics.jsonl, TensorBoard scalars, a progress bar on stderr."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

METRICS = "metrics.jsonl"


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
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def write(self, values: dict[str, Any]) -> None:
        """Writes the values of one step; `step` must be among them."""
        self._file.write(json.dumps(values, ensure_ascii=False) + "\n")
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


class Bar:
    """A progress bar: step, loss, tokens per second, time left."""

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self._progress = progress
        self._task = progress.add_task("pretrain", total=total, completed=done, note="")

    def advance(self, *, loss: float, tokens_per_s: float) -> None:
        """Moves on by a step."""
        note = f"loss {loss:.3f}  {tokens_per_s:,.0f} tokens/s"
        self._progress.update(self._task, advance=1, note=note)


@contextmanager
def progress_bar(total: int, done: int) -> Iterator[Bar]:
    """Shows a bar on stderr while the context lasts.

    Args:
        total: steps of the run.
        done: steps behind it.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(progress, total, done)
