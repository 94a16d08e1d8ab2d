"""`bitextile status`: what has been written to a folder, and what is being written there now.

It reads locks, progress files, manifests and metrics, and changes nothing. So it may be called at
any time, from any machine that sees the folder.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bitextile.pipelines.runner.progress import RUN_PROGRESS, SUFFIX, read_progress
from bitextile.schema.errors import BitextileError, InputError
from bitextile.schema.locks import LOCK, holder_of
from bitextile.schema.manifest import FILE_NAME, read_manifest
from bitextile.schema.storage import is_local

_METRICS, _RUN_CONFIG, _MODEL = "metrics.jsonl", "run.yaml", "bitextile.json"
_TAIL_BYTES = 1 << 20

Word = Literal["done", "running", "stopped"]


@dataclass(frozen=True)
class Status:
    """What is known of one output.

    Attributes:
        path: of the output.
        word: "done", "running" or "stopped": a run has begun it and has ended before it was whole.
        text: the details.
    """

    path: str
    word: Word
    text: str

    def __str__(self) -> str:
        """Returns one line."""
        return f"{self.word:<8} {self.path}  {self.text}".rstrip()


def status(folder: str) -> list[Status]:
    """Returns what is known of a folder and of the outputs in it, in the order of their names.

    Args:
        folder: local, of an output or of a run that has several.

    Raises:
        InputError: nothing of bitextile's is there, and nothing is being written there.
    """
    if not is_local(folder):
        raise InputError(f"{folder}: status looks at local folders; give the path of a local one")
    place = Path(folder)
    found = [*_chain(place), *_output(place)]
    for name in sorted(_names_in(place)):
        found += _output(place / name)
    if not found:
        raise InputError(
            f"{folder}: no output of bitextile, and none is being written there; "
            "give the folder that was given as --out"
        )
    return found


def _names_in(folder: Path) -> set[str]:
    """Returns the names of outputs in a folder: those there, and those that have a lock."""
    if not folder.is_dir():
        return set()
    names = {path.name for path in folder.iterdir()}
    locked = {match[1] for name in names if (match := re.fullmatch(r"\.(.+)\.lock", name))}
    return {n for n in names if not n.startswith(".") and (folder / n).is_dir()} | locked


def _chain(folder: Path) -> Iterator[Status]:
    """Yields what `bitextile run` is doing in a folder."""
    state = read_progress(folder / RUN_PROGRESS)
    if state is None:
        return
    word, who = _working(folder / LOCK)
    text = f"run, step {state.stage} of {state.stages}: {state.step}, since {state.updated}"
    yield Status(str(folder), word or "stopped", f"{text}{who}")


def _output(path: Path) -> Iterator[Status]:
    """Yields what is known of one output: at most that it is whole, and that it is being made."""
    if (path / FILE_NAME).is_file():
        yield _dataset(path)
    elif (path / _RUN_CONFIG).is_file():
        yield _training(path)
    elif (path / "tokenizer.json").is_file():
        yield Status(str(path), "done", "tokenizer" if not _is_model(path) else "model")
    elif _is_model(path):
        yield Status(str(path), "done", "model")
    real = Path(os.path.realpath(path))
    word, who = _working(real.with_name(f".{real.name}{LOCK}"))
    if word is not None:
        state = read_progress(real.with_name(f".{real.name}{SUFFIX}"))
        yield Status(str(path), word, f"{state or 'being written'}{who}")


def _is_model(path: Path) -> bool:
    return (path / _MODEL).is_file()


def _working(lock: Path) -> tuple[Word | None, str]:
    """Returns whether a run has the lock, None without one, and who it is."""
    found = holder_of(lock)
    if found is None:
        return None, ""
    holder, goes_on = found
    return "running" if goes_on else "stopped", f" ({holder or 'an unknown process'})"


def _dataset(path: Path) -> Status:
    try:
        manifest = read_manifest(str(path))
    except BitextileError as error:
        return Status(str(path), "stopped", str(error))
    rejected = sum(manifest.counts.rejected.values())
    text = f"{manifest.kind}, {manifest.rows:,} rows, {rejected:,} rejected, {manifest.created}"
    return Status(str(path), "done", text)


def _training(path: Path) -> Status:
    """Returns how far a training has come: by its metrics, of which each step writes a line."""
    word, who = _working(path / LOCK)
    config = (path / _RUN_CONFIG).read_text(encoding="utf-8", errors="replace")
    last = _last_step(path / _METRICS)
    if _is_model(path) and word is None:
        word = "done"
    # A fine-tuning that counts epochs says 0.
    found = re.search(r"^steps: ([1-9]\d*)$", config, re.MULTILINE)
    of = f" of {int(found[1]):,}" if found else ""
    text = f"training, step {last.get('step', 0):,}{of}"
    if losses := last.get("losses"):
        text += "".join(f"  {name} {loss:.3f}" for name, loss in losses.items())
    if rate := last.get("tokens_per_s"):
        text += f"  {rate:,.0f} tokens/s"
    if word in (None, "stopped"):
        who = f"{who}; --resume goes on"
    return Status(str(path), word or "stopped", f"{text}{who}")


def _last_step(metrics: Path) -> dict[str, Any]:
    """Returns the last whole line that is of a step; {} if there is none."""
    if not metrics.is_file():
        return {}
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - _TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    for line in reversed(lines):
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict) and "losses" in values:
            return values
    return {}
