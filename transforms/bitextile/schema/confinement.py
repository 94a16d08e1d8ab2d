"""`--root DIR`: a run that reads and writes nothing outside a folder, whatever its recipe names.

Three checks, since files are opened in three ways, each on the path that links and `..` lead to:

    Arrow (corpora, datasets, reports)             `refuse_outside`, in `schema/storage.py`
    libraries in Rust and C++ (model folders)      `refuse_outside`, in `kernels/model_folder.py`
    Python itself (all else)                       an audit hook, `_check_event`

What Python and its packages need to run is read from where it lies, temporary files go to a folder
of their own, and nothing else. The folder must not change under the run by another's hand: between
a check and the opening a link could be replaced.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitextile.schema.errors import ConfigError, OutsideRootError

VARIABLE = "BITEXTILE_ROOT"
"""Of the environment: the folder; worker processes inherit it."""
_TEMPORARY = "TMPDIR"

# Tables of the system that libraries read: nothing in them is a secret.
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/localtime", "/etc/mime.types", "/etc/os-release")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/shm", "/dev/tty")
_KERNEL = ("/proc", "/sys")
# Of /proc: what else is in memory, or what else is open.
_SECRET = frozenset(["environ", "mem", "fd", "root", "cwd", "map_files", "cmdline"])


def root_folder() -> str:
    """Returns the folder that the run is confined to; "" if it is not."""
    return os.environ.get(VARIABLE, "")


def refuse_outside(path: str | os.PathLike[str]) -> None:
    """Refuses a local path that leads out of the folder the run is confined to, if it is.

    Raises:
        ConfigError: it does.
    """
    root = root_folder()
    if root and not _within(path, (root, _private())):
        raise ConfigError(_sentence(path, root))


def _sentence(path: Any, root: str) -> str:
    return (
        f"{os.fsdecode(path)}: lies outside {root}, which --root confines this run to; move it "
        "there, or name another one"
    )


def refuse_remote(location: str) -> None:
    """Refuses a URI of an object store or another machine in a run that is confined.

    Raises:
        ConfigError: the run is.
    """
    if root := root_folder():
        raise ConfigError(f"{location}: is not local, and --root confines this run to {root}")


@contextmanager
def confined(root: str) -> Iterator[None]:
    """Confines this process and those it starts to a folder until the block ends.

    Args:
        root: the folder; "" for none.

    Raises:
        ConfigError: it is not there.
    """
    if not root:
        yield
        return
    if not os.path.isdir(root):
        raise ConfigError(f"--root {root}: no such folder; make it, or name another one")
    kept = {name: os.environ.get(name) for name in (VARIABLE, _TEMPORARY)}
    private = tempfile.mkdtemp(prefix="bitextile-")
    os.environ |= {VARIABLE: os.path.realpath(root), _TEMPORARY: private}
    tempfile.tempdir = None  # it is found anew, where the variable says
    install()
    try:
        yield
    finally:
        _STATE["asks"] = False
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        tempfile.tempdir = None
        shutil.rmtree(private, ignore_errors=True)


# An audit hook stays as long as the process; between two calls it is to be silent.
_STATE = {"installed": False, "asks": False}


def install() -> None:
    """Makes Python ask, whenever it opens, lists or changes a file, whether the run may.

    For each process of a run; without the variable nothing is refused.
    """
    if not root_folder():
        return
    _STATE["asks"] = True
    if not _STATE["installed"]:
        _STATE["installed"] = True
        sys.addaudithook(_check_event)


# How many of an event's first arguments are paths, by its name:
# https://docs.python.org/3/library/audit_events.html
_READING = {"os.listdir": 1, "os.scandir": 1, "os.chdir": 1}
_WRITING = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 1, "os.truncate": 1, "os.chmod": 1}
_WRITING |= {"os.rename": 2, "os.link": 2, "os.symlink": 2, "os.chown": 1, "os.utime": 1}
_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _check_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _STATE["asks"]:
        return
    if event == "open":
        path, _, flags = arguments
        _check(path, writes=bool((flags or 0) & _WRITE))
    elif n_paths := _READING.get(event, 0) or _WRITING.get(event, 0):
        for path in arguments[:n_paths]:
            _check(path, writes=event in _WRITING)


def _check(path: Any, *, writes: bool) -> None:
    root = root_folder()
    # A number is a file that is open already; None is the folder the process is in.
    if not root or not isinstance(path, str | bytes | os.PathLike):
        return
    own = (root, _private())
    if _within(path, own) or (not writes and _is_runtime(path)) or _is_device(path):
        return
    if writes and _is_cache(path):
        return
    raise OutsideRootError(_sentence(path, root))


def _private() -> str:
    return os.environ.get(_TEMPORARY, "")


def _within(path: Any, folders: tuple[str, ...]) -> bool:
    real = os.path.realpath(os.fsdecode(path))
    for folder in folders:
        if folder and (real == folder or real.startswith(folder.rstrip("/") + "/")):
            return True
    return False


def _is_device(path: Any) -> bool:
    return _within(path, _DEVICES)


def _is_runtime(path: Any) -> bool:
    if _within(path, _KERNEL):
        return not _SECRET & set(Path(os.path.realpath(os.fsdecode(path))).parts)
    return _within(path, _runtime_folders())


def _is_cache(path: Any) -> bool:
    """Returns whether a file is compiled code of a package: of Python, or of numba."""
    real = os.path.realpath(os.fsdecode(path))
    numba = os.environ.get("NUMBA_CACHE_DIR", "")
    if numba and _within(path, (os.path.realpath(numba),)):
        return True
    return "__pycache__" in Path(real).parts and _within(path, _runtime_folders())


_FOLDERS: list[tuple[str, ...]] = []


def _runtime_folders() -> tuple[str, ...]:
    """Returns where Python, its packages and bitextile lie."""
    if not _FOLDERS:
        here = os.path.realpath(os.curdir)
        found = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
        # The folder the process is in may be on the path too (`python -m`); it is no package.
        found |= {entry for entry in sys.path if os.path.realpath(entry or os.curdir) != here}
        _FOLDERS.append((*_SYSTEM, *sorted(os.path.realpath(entry) for entry in found if entry)))
    return _FOLDERS[0]
