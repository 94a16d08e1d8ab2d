"""Outputs that appear whole or not at all, and replace nothing but their like."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bitextile.schema.errors import OutputExistsError
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists, filesystem, is_local


@contextmanager
def staged(
    paths: Sequence[str], *, overwrite: bool, marker: str = FILE_NAME
) -> Iterator[dict[str, str]]:
    """Yields for each output path a place to write it; on success they are moved, else removed.

    On an object store, where folders cannot be moved, the place is the path itself, and it is the
    manifest, written last, that makes a dataset of it. What is to be replaced is removed there
    first, or the old shards would lie among the new ones.

    Args:
        paths: folders to be.
        overwrite: replace folders that are there.
        marker: the file by which such a folder is known; one without it is never replaced.

    Raises:
        OutputExistsError: a path is there, and may not or must not be replaced.
    """
    for path in paths:
        check_free(path, overwrite=overwrite, marker=marker)
    places = {path: _staging(path) if is_local(path) else path for path in paths}
    local = {path: place for path, place in places.items() if path != place}
    # Parents that are made for the output go again if it fails, the innermost first.
    made = [folder for place in local.values() for folder in _missing_folders(Path(place).parent)]
    try:
        for place in local.values():
            shutil.rmtree(place, ignore_errors=True)
            Path(place).mkdir(parents=True)
        # All outputs are written before the first is moved: if a pipeline fails, none of them has
        # changed.
        for path in places.keys() - local.keys():
            _remove(path, marker)
        yield places
        for path, place in local.items():
            _replace(place, filesystem(path)[1])
    finally:
        for place in local.values():
            shutil.rmtree(place, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # it holds an output by now
                folder.rmdir()


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


def _missing_folders(folder: Path) -> list[Path]:
    return [folder, *_missing_folders(folder.parent)] if not folder.exists() else []


def _staging(path: str) -> str:
    # In the same folder, thus on the same file system, where a rename is atomic.
    target = Path(filesystem(path)[1])
    return str(target.with_name(f".{target.name}.partial"))


def _replace(place: str, path: str) -> None:
    old = f"{place}.old"
    shutil.rmtree(old, ignore_errors=True)
    # Two renames: for a moment the path is absent, but it never holds half of an output.
    if os.path.exists(path):
        os.rename(path, old)
    # Should this fail, the old output lies in `old`: nothing has been deleted yet.
    os.rename(place, path)
    shutil.rmtree(old, ignore_errors=True)
