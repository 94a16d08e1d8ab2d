"""Advisory locks: of several runs that name one output, one writes it and the others are told so.

A lock is a small file that holds host, process id and start time of the run that has it, and which
appears whole or not at all. It works where several machines share a file system: nothing but hard
links is asked of it (`flock` is off by default on Lustre). A run that ends removes its lock; of one
that was killed it stays and is stale:

- on the same machine, when the process has ended, as process id and start time tell;
- on another one, when the file has not been touched for SILENT_S; its holder does so every BEAT_S.

Why no library: filelock's locks are the kernel's, or files that name no holder on another machine.
"""

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bitextile.schema.errors import BitextileError, OutputInUseError
from bitextile.schema.processes import machine, start_of

BEAT_S = 10.0
"""Seconds between two signs of life."""

SILENT_S = 120.0
"""Seconds without one after which a run on another machine counts as ended. Network file systems
show a file's time up to a minute late."""

LOCK = ".lock"
"""Name of the lock in a folder that a run writes into as it goes."""

_MAX_BYTES = 4096

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """The run that has a lock.

    Attributes:
        host: its machine, for people.
        pid: its process there.
        started: when it took the lock; UTC, ISO 8601.
        machine: as `processes.machine` gives it.
        ticks: start of the process, as `processes.start_of` gives it.
        token: different for each lock taken.
    """

    host: str
    pid: int
    started: str
    machine: str
    ticks: int
    token: str

    def __str__(self) -> str:
        """Returns who it is, for a sentence."""
        return f"process {self.pid} on {self.host}, since {self.started}"

    @property
    def here(self) -> bool:
        """Whether this process could see that one."""
        return bool(self.machine) and self.machine == machine()

    @property
    def runs(self) -> bool:
        """Whether it runs still; to be asked of a process that is `here`."""
        return start_of(self.pid) == self.ticks


@dataclass(frozen=True)
class _Found:
    """A lock file as it was found.

    Attributes:
        holder: None if the file does not say.
        token: of its content, whatever it is.
        touched: of the file, in seconds.
    """

    holder: Holder | None
    token: str
    touched: float


class Lock:
    """A lock that this process has taken.

    Attributes:
        path: its file.
        what: the output it guards, for messages.
        taken_over: whether an earlier run had left it.
    """

    def __init__(self, path: Path, what: str) -> None:
        # Through links, so that the names of one folder are one lock.
        self.path, self.what = Path(os.path.realpath(path.parent), path.name), what
        self.taken_over = False
        self._me = Holder(
            host=socket.gethostname(),
            pid=os.getpid(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=machine(),
            ticks=start_of(os.getpid()) or 0,
            token=secrets.token_hex(8),
        )
        self._released = threading.Event()

    def check(self) -> None:
        """Raises BitextileError if another run has taken the lock over in the meantime."""
        found = _read(self.path)
        if found is None and self._create():
            return  # removed by hand, and by nobody taken
        if found is None or found.token != self._me.token:
            other = found.holder if found and found.holder else "another run"
            raise BitextileError(
                f"{self.what}: {other} has taken over its lock {self.path}, as this run gave no "
                "sign of life (was this machine suspended?), so this run's result is not kept; "
                "run it again when the other one has ended"
            )

    def _take(self) -> None:
        # Each turn ends in a lock, a refusal, or a change that somebody else has made.
        while not self._create():
            found = _read(self.path)
            if found is None:
                continue
            if found.holder and found.holder.here:
                stale = not found.holder.runs
            else:
                stale = self._silent(found)
            if not stale:
                raise self._in_use(found)
            if self._remove(found):
                self.taken_over = True
                who = found.holder or "an unknown process"
                logger.warning("%s: the lock of %s, which has ended, is taken over", self.what, who)

    def _in_use(self, found: _Found) -> OutputInUseError:
        if found.holder and (found.holder.pid, found.holder.machine) == (self._me.pid, machine()):
            who = "this very process"
        else:
            who = str(found.holder or "another run")
        return OutputInUseError(
            f"{self.what} is being written by {who}; wait for it to end or give another --out "
            f"(its lock is {self.path})"
        )

    def _create(self) -> bool:
        """Returns whether the lock could be taken."""
        content = json.dumps(asdict(self._me)).encode()
        # A link appears with all that the file holds; what O_EXCL makes is empty at first.
        whole = self.path.with_name(f"{self.path.name}.{self._me.token}")
        _write_new(whole, content)
        try:
            os.link(whole, self.path)
        except FileExistsError:
            # A network file system may have made it, lost the answer and asked again.
            return whole.stat().st_nlink > 1
        except OSError:  # a file system without hard links
            with suppress(FileExistsError):
                _write_new(self.path, content)
                return True
            return False
        finally:
            whole.unlink()
        return True

    def _silent(self, found: _Found) -> bool:
        """Waits until a lock of another machine has, or has not, been touched for SILENT_S."""
        # By the clock of the file server, as that of another machine may be wrong.
        probe = self.path.with_name(f"{self.path.name}.{self._me.token}")
        _write_new(probe, b"")
        try:
            age = probe.stat().st_mtime - found.touched
        finally:
            probe.unlink()
        deadline = time.monotonic() + SILENT_S - max(0.0, age)
        if time.monotonic() < deadline:
            logger.warning(
                "%s: its lock %s is of %s; waiting for a sign of life, %.0f s at most",
                self.what,
                self.path,
                found.holder or "an unknown process",
                deadline - time.monotonic(),
            )
        while time.monotonic() < deadline:
            time.sleep(min(1.0, SILENT_S / 10))
            if _read(self.path) != found:
                return False
        return True

    def _remove(self, stale: _Found) -> bool:
        """Takes a stale lock away; returns False if somebody else was quicker."""
        away = self.path.with_name(f"{self.path.name}.{self._me.token}")
        try:
            os.rename(self.path, away)
        except FileNotFoundError:
            return False
        try:
            found = _read(away)
            if found is not None and found.token != stale.token:
                # Between reading and renaming another run has taken it over: it gets its lock back.
                with suppress(FileExistsError):
                    os.link(away, self.path)
                return False
        finally:
            away.unlink()
        return True

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            with suppress(OSError):  # a file server that is away for a moment
                if self._is_held():
                    os.utime(self.path)

    def _is_held(self) -> bool:
        found = _read(self.path)
        return found is not None and found.token == self._me.token

    def _release(self) -> None:
        self._released.set()
        with suppress(OSError):  # what the run made is there; a lock that stays is stale
            if self._is_held():
                self.path.unlink()


@contextmanager
def hold(path: str | os.PathLike[str], what: str) -> Iterator[Lock]:
    """Holds a lock while the context lasts; only other processes that ask for it are kept out.

    Args:
        path: of the lock's file. Folders that are made for it go again if nothing else has come
            into them.
        what: the output it guards, as the user named it.

    Raises:
        OutputInUseError: another run, or another thread of this one, holds it.
    """
    lock = Lock(Path(path), what)
    made = _missing_folders(lock.path.parent)
    try:
        while True:
            lock.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another run has failed and removed what it had made
                lock._take()
                break
        threading.Thread(target=lock._beat, name="lock", daemon=True).start()
        try:
            yield lock
        finally:
            lock._release()
    finally:
        for folder in made:  # the innermost first
            with suppress(OSError):
                folder.rmdir()


def holder_of(path: str | os.PathLike[str]) -> tuple[Holder | None, bool] | None:
    """Returns who has a lock, as far as its file says, and whether that run still goes on.

    Args:
        path: of the lock's file.

    Returns:
        None if there is no lock. A run on another machine goes on if it gave a sign of life within
        SILENT_S by this machine's clock, so the answer is as good as the clocks agree.
    """
    found = _read(Path(path))
    if found is None:
        return None
    if found.holder and found.holder.here:
        return found.holder, found.holder.runs
    return found.holder, time.time() - found.touched < SILENT_S


def _missing_folders(folder: Path) -> list[Path]:
    return [folder, *_missing_folders(folder.parent)] if not folder.exists() else []


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "wb") as file:
        file.write(content)


def _read(path: Path) -> _Found | None:
    try:
        # Opened each time: that is when network file systems ask the server for the latest.
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
            touched = os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        holder = _holder(json.loads(content))
    except (ValueError, KeyError, TypeError, RecursionError):
        holder = None
    return _Found(holder, holder.token if holder else repr(content), touched)


def _holder(fields: dict[str, Any]) -> Holder:
    return Holder(
        host=str(fields["host"]),
        pid=int(fields["pid"]),
        started=str(fields["started"]),
        machine=str(fields["machine"]),
        ticks=int(fields["ticks"]),
        token=str(fields["token"]),
    )
