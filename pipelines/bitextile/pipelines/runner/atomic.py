"""Outputs that appear whole or not at all, and replace nothing but their like.

For an output `DIR/NAME` there are, while a run writes it, `DIR/.NAME.lock` and the staging folder
`DIR/.NAME.TOKEN.partial`, which is moved to `DIR/NAME` at the end; what it replaces is
`DIR/.NAME.TOKEN.old` for a moment. A run that is killed leaves some of them, and the next one that
writes there removes them, or puts the old output back if the new one was not yet in its place.
"""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bitextile.schema.errors import OutputExistsError
from bitextile.schema.inputs import refuse_inputs_in
from bitextile.schema.locks import Lock, hold
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists, filesystem, is_local

logger = logging.getLogger(__name__)


@contextmanager
def staged(
    paths: Sequence[str], *, overwrite: bool, inputs: Sequence[str] = (), marker: str = FILE_NAME
) -> Iterator[dict[str, str]]:
    """Yields for each output path a place to write it; on success they are moved, else removed.

    A path that is a symbolic link is followed: the output stands where it points.

    On an object store, where folders cannot be moved and files not be locked, the place is the path
    itself, and it is the manifest, written last, that makes a dataset of it. What is to be replaced
    is removed there first, or the old shards would lie among the new ones.

    Args:
        paths: folders to be.
        overwrite: replace folders that are there.
        inputs: files and folders that are read; what holds one of them is not replaced.
        marker: the file by which such a folder is known; one without it is never replaced.

    Raises:
        OutputExistsError: a path is there, and may not or must not be replaced; or it is being
            written by another run.
        BitextileError: another run has taken an output over in the meantime.
    """

    def check(path: str) -> None:
        check_free(path, overwrite=overwrite, marker=marker)
        refuse_inputs_in(path, inputs)

    for path in paths:
        check(path)
    with ExitStack() as stack:
        targets = {path: Path(os.path.realpath(filesystem(path)[1])) for path in paths}
        local = [
            stack.enter_context(_target(path, targets[path], marker))
            for path in paths
            if is_local(path)
        ]
        places = {path: path for path in paths} | {t.path: str(t.staging) for t in local}
        for path in paths:
            check(path)  # again, since another run may have ended between check and lock
            if places[path] == path:
                _remove(path, marker)
        yield places
        # All outputs are written before the first is moved: if a pipeline fails, none of them has
        # changed.
        for target in local:
            target.lock.check()
            check(target.path)
        for target in local:
            target.move(overwrite=overwrite)


def check_free(path: str, *, overwrite: bool, marker: str = FILE_NAME) -> None:
    """Raises OutputExistsError unless `path` is free, or to be replaced and known by `marker`."""
    if not exists(path):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{path} exists; give another --out, or --overwrite to replace it, "
            "or --reuse, where the command has it, to keep what has the same inputs and options"
        )
    folder = filesystem(path)[1]
    empty = is_local(path) and os.path.isdir(folder) and not os.listdir(folder)
    # --overwrite with a mistyped path must not delete somebody's folder.
    if not empty and not exists(f"{path}/{marker}"):
        raise OutputExistsError(
            f"{path} holds no {marker}, so it was not written by this command and --overwrite "
            "leaves it alone; give another --out"
        )


def _remove(path: str, marker: str) -> None:
    if exists(path):
        filesystem_, place = filesystem(path)
        # First what makes an output of the folder: cut off here, it leaves none that looks whole.
        if exists(f"{path}/{marker}"):
            filesystem_.delete_file(f"{place}/{marker}")
        filesystem_.delete_dir_contents(place)


@dataclass(frozen=True)
class _Target:
    """A local output that is being written.

    Attributes:
        path: as the user named it.
        target: where it will stand.
        staging: where it is written: in the same folder, thus on the same file system, where a
            rename is atomic.
        lock: held.
    """

    path: str
    target: Path
    staging: Path
    lock: Lock

    def move(self, *, overwrite: bool) -> None:
        """Moves the output to its place; raises OutputExistsError if something has come there."""
        old = self.staging.with_suffix(".old")
        # Two renames: for a moment the path is absent, but it never holds half of an output.
        if overwrite and self.target.exists():
            os.rename(self.target, old)
        try:
            # No folder that holds something is ever replaced by a rename. Should this fail, the old
            # output lies in `old`, whole.
            os.rename(self.staging, self.target)
        except OSError as error:
            if not self.target.exists():
                raise
            raise OutputExistsError(
                f"{self.path} came to be while this run was writing it, and is left alone; give "
                "another --out, or --overwrite to replace it"
            ) from error
        if old.exists():
            # From here on it is not whole, and must not be put back.
            os.rename(old, self.staging)
            shutil.rmtree(self.staging, ignore_errors=True)


@contextmanager
def _target(path: str, target: Path, marker: str) -> Iterator[_Target]:
    with hold(target.with_name(f".{target.name}.lock"), path) as lock:
        _clean_up(path, target, marker)
        staging = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
        staging.mkdir()
        try:
            yield _Target(path, target, staging, lock)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _clean_up(path: str, target: Path, marker: str) -> None:
    """Removes what runs that were killed have left; to be called while the lock is held."""
    name = re.escape(target.name)
    # Of versions up to 0.1 without a token.
    left = re.compile(rf"\.{name}\.(([0-9a-f]{{16}}\.)?partial|partial\.old|[0-9a-f]{{16}}\.old)")
    target.with_name(f".{target.name}.progress").unlink(missing_ok=True)
    for found in sorted(p for p in target.parent.iterdir() if left.fullmatch(p.name)):
        if found.suffix == ".old" and not target.exists() and (found / marker).exists():
            os.rename(found, target)
            logger.warning("%s: put back; a run that was to replace it was killed", path)
        elif found.suffix != ".old" or (target / marker).exists():
            shutil.rmtree(found, ignore_errors=True)
