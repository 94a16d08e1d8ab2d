"""What a command reads must not be what it replaces, by whatever names the two are called."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from bitextile.schema.errors import ConfigError
from bitextile.schema.storage import filesystem


def refuse_inputs_in(out: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raises ConfigError if an output that is to be replaced is, or holds, an input.

    Compared is what the names mean on disk: through symbolic links, `..` and mounts.

    Args:
        out: file or folder that is to be written.
        inputs: files and folders that are read, here or on an object store.
    """
    for path in inputs:
        if _holds(out, path):
            what = "an input of this command" if _same(out, path) else f"the input {path}"
            verb = "is" if _same(out, path) else "holds"
            raise ConfigError(
                f"{os.fspath(out)} {verb} {what}, which is never replaced; give another --out"
            )


def refuse_part_of(
    out: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]],
    *,
    written_before: Callable[[bytes], bool],
) -> None:
    """Raises ConfigError if a file that is to be replaced is an input or part of one.

    Args:
        out: the file that is to be written.
        inputs: files and folders that are read.
        written_before: of the first bytes of a file, whether the command wrote it; a result may
            stand in a model's folder, and be replaced there.
    """
    place = _place(out)
    if place is not None and not place.is_file():
        return  # new, or a device, of which nothing is replaced
    for path in inputs:
        if _same(out, path):
            what = "an input of this command"
        elif place is None or not _holds(path, out) or written_before(_beginning(place)):
            continue
        else:
            what = f"a part of the input {path}"
        raise ConfigError(
            f"{os.fspath(out)} is {what}, which is never replaced; give another name for the output"
        )


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_BEGINNING)


_BEGINNING = 4096


def _holds(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> bool:
    """Returns whether two paths are one place, or the second lies in the first."""
    outer, inner = _place(folder), _place(path)
    if outer is None or inner is None:
        # On an object store, where names alone say what is in what.
        outer_uri, inner_uri = str(folder).rstrip("/"), str(path).rstrip("/")
        return outer is inner and f"{inner_uri}/".startswith(f"{outer_uri}/")
    if not outer.exists():
        return False
    return any(p.exists() and outer.samefile(p) for p in (inner, *inner.parents))


def _same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    return _holds(one, other) and _holds(other, one)


def _place(path: str | os.PathLike[str]) -> Path | None:
    text = os.fspath(path)
    # Not by `is_local`, which asks the network for a bucket's region.
    local = "://" not in text or text.startswith("file://")
    return Path(os.path.realpath(filesystem(text)[1])) if local else None
