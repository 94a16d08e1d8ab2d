r"""How far a run is, told by whatever process does the work to the one that shows it.

A kernel or a step of a pipeline calls `count` and `note`. If somebody listens, each call appends a
line to a file that the environment names, which worker processes of this machine inherit; else it
does nothing, as on a cluster. Nothing that is computed depends on it.

>>> with listening() as news:
...     count("Filter", 200, total=1_000)
...     note("FitAligner", "hmm 1/5")
...     [(step.name, step.rows, step.total, step.note) for step in news().values()]
[('Filter', 200, 1000, ''), ('FitAligner', 0, None, 'hmm 1/5')]
"""

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache

ENVIRONMENT = "BITEXTILE_PROGRESS"
"""Names the file, for this process and those it starts."""


@dataclass
class Step:
    """How far a step has come.

    Attributes:
        name: of the step.
        rows: that it has done, of all processes.
        total: rows it will do; None if nobody knows.
        note: what it said last.
    """

    name: str
    rows: int = 0
    total: int | None = None
    note: str = ""


News = Callable[[], dict[str, Step]]
"""Returns the steps so far, in the order in which they began."""


def count(step: str, rows: int, *, total: int | None = None) -> None:
    """Says that a step has done some rows more.

    Args:
        step: its name.
        rows: done since it last said so.
        total: rows that all processes will do in this step, where it is known.
    """
    _append({"step": step, "rows": rows} | ({} if total is None else {"total": total}))


def note(step: str, text: str) -> None:
    """Says where a step is that counts no rows, as an iteration of n: `hmm 2/5`."""
    _append({"step": step, "note": text})


def numbered(step: str) -> str:
    """Returns a name for one of several calls of a step, each of which has its own total."""
    return f"{step} {next(_CALLS)}"


_CALLS = itertools.count(1)


@contextmanager
def listening() -> Iterator[News]:
    """Yields what tells how far this process and those it starts have come.

    Within another `listening` the inner one alone hears.
    """
    before = os.environ.get(ENVIRONMENT)
    with tempfile.TemporaryDirectory(prefix="bitextile-progress-") as folder:
        path = os.path.join(folder, "news")
        _create(path)
        os.environ[ENVIRONMENT] = path
        try:
            yield _Reader(path).read
        finally:
            if before is None:
                del os.environ[ENVIRONMENT]
            else:
                os.environ[ENVIRONMENT] = before
            _opened.cache_clear()


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        self._steps: dict[str, Step] = {}

    def read(self) -> dict[str, Step]:
        with open(self._path, "rb") as file:
            file.seek(self._at)
            new = file.read()
        # A line that is still being written is left for the next time.
        end = new.rfind(b"\n") + 1
        self._at += end
        for line in new[:end].splitlines():
            self._add(json.loads(line))
        return self._steps

    def _add(self, news: dict) -> None:
        step = self._steps.setdefault(news["step"], Step(news["step"]))
        step.rows += news.get("rows", 0)
        step.total = news.get("total", step.total)
        step.note = news.get("note", step.note)


def _append(news: dict) -> None:
    path = os.environ.get(ENVIRONMENT)
    if not path:
        return
    # The shower may have gone, and its disk be full: neither is a reason to stop the work.
    with suppress(OSError):
        # One write of O_APPEND: lines of several processes do not mix.
        os.write(_opened(path, os.getpid()), json.dumps(news).encode() + b"\n")


class _Descriptor(int):
    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self)


@lru_cache(maxsize=1)
def _opened(path: str, _: int) -> _Descriptor:
    return _Descriptor(os.open(path, os.O_WRONLY | os.O_APPEND))


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
