"""Processes: which one wrote something and whether it still runs, and children that end with it.

A process that SIGKILL hits cannot end its children, so each child looks after itself: Python
processes by `end_with` or in a BoundContext, other programs under `run_bound`.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

_POLL_S = 0.5
# Fields of /proc/PID/stat behind the name, which may hold spaces and brackets: state and starttime,
# numbers 3 and 22 in proc(5).
_STATE, _START = 0, 19


@cache
def machine() -> str:
    """Returns what two processes share if one can see the other by its id, else "".

    Not the host's name: containers may share one, and after a restart ids begin anew.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return ""


def start_of(pid: int) -> int | None:
    """Returns when a process began, in clock ticks since the machine did; None if it has ended.

    With it an id is unambiguous: ids are given anew to later processes.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    # A zombie has ended; only its parent has not asked yet how.
    return None if fields[_STATE] in (b"Z", b"X") else int(fields[_START])


def end_with(pid: int, last: Callable[[], object] = lambda: None) -> None:
    """Makes this process end when another one does, however that ended: within a second.

    Args:
        pid: of a process on this machine, such as the one that started this one.
        last: done before; must not wait for the process that is gone.
    """
    thread = threading.Thread(target=_end_after, args=(pid, last), name="end-with", daemon=True)
    thread.start()


class BoundProcess(SpawnProcess):
    """A process of `multiprocessing` that ends with the one that starts it, from its beginning on.

    Not by a call in its function: unpickling that and its arguments may import libraries for long.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns how to unpickle it: bound first, and then all that it holds."""
        return _bound_process, (os.getpid(),), self.__dict__


def _bound_process(parent: int) -> BoundProcess:
    process = BoundProcess.__new__(BoundProcess)
    end_with(parent)
    return process


class BoundContext(SpawnContext):
    """The context `spawn` of `multiprocessing`, with a BoundProcess as its process."""

    Process = BoundProcess


def _end_after(pid: int, last: Callable[[], object]) -> None:
    try:
        with suppress(ProcessLookupError):
            _wait(pid)
        last()
    finally:
        # Not by an exception: cleaning up could wait for the process that is gone.
        os._exit(1)


def _wait(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):  # no Linux, an old one, or a container that forbids it
        _wait_polling(pid)
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()


def _wait_polling(pid: int) -> None:
    wait = threading.Event()
    while not wait.wait(_POLL_S):
        os.kill(pid, 0)  # raises ProcessLookupError when it has ended


_NOT_RUNNABLE = 126  # as of a shell's

# It stays between the two, as only it knows both: programs such as eflomal-align have children of
# their own, and these would outlive a program that is killed alone.
_SUPERVISE = f"""
import os, signal, subprocess, sys, threading, time
def watch():
    while os.getppid() == int(sys.argv[1]):
        time.sleep({_POLL_S})
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
try:
    code = subprocess.call(sys.argv[2:])
except OSError as error:
    print(error, file=sys.stderr)
    code = {_NOT_RUNNABLE}
sys.exit(code if code >= 0 else 128 - code)
"""


def run_bound(
    command: Sequence[str], *, cwd: str, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Runs a program that ends, with all its children, when this process does, however it ends.

    Args:
        command: the program's path and its arguments; it reads nothing.
        cwd: the folder it runs in.
        env: its environment.

    Returns:
        Its exit code and what it wrote; the code is 128 + n if signal n ended it.

    Raises:
        OSError: the program cannot be run.
    """
    supervise = [sys.executable, "-I", "-S", "-c", _SUPERVISE, str(os.getpid()), *command]
    with subprocess.Popen(
        supervise,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Of their own, which can be killed as one.
        process_group=0,
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:  # Ctrl-C, which the terminal sends to this group only
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode == _NOT_RUNNABLE:
        raise OSError(err.decode(errors="replace").strip())
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)
