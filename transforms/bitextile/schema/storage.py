"""Where datasets lie: a local folder, or any file system pyarrow knows by URI (gs://, s3://)."""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from bitextile.schema.confinement import refuse_outside, refuse_remote
from bitextile.schema.errors import InputError, OutputExistsError


def filesystem(location: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """Returns the file system and the path on it that `location` names.

    Raises:
        InputError: the URI's scheme is unknown to pyarrow.
        ConfigError: it lies outside the folder that `--root` confines the run to.
    """
    text = os.fspath(location)
    if "://" not in text:
        refuse_outside(text)
        # absolute() and not resolve(): a link stays a link, so paths in messages are the user's
        # own.
        return fs.LocalFileSystem(), str(Path(text).absolute())
    if not text.startswith("file:"):
        refuse_remote(text)  # before it is asked for anything
    try:
        found, path = fs.FileSystem.from_uri(text)
        if isinstance(found, fs.LocalFileSystem):
            refuse_outside(path)
        return found, path
    except (ValueError, OSError) as error:
        raise InputError(
            f"{text}: no file system for it ({error}); use a path, gs:// or s3://"
        ) from error


def is_local(location: str | os.PathLike[str]) -> bool:
    """Returns whether `location` is a path on this machine."""
    return isinstance(filesystem(location)[0], fs.LocalFileSystem)


def exists(location: str | os.PathLike[str]) -> bool:
    """Returns whether a file or folder is there."""
    filesystem_, path = filesystem(location)
    return filesystem_.get_file_info(path).type != fs.FileType.NotFound


def file_sha256(location: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a file's bytes in hex, read a megabyte at a time."""
    filesystem_, path = filesystem(location)
    digest = hashlib.sha256()
    # By default pyarrow decompresses by the name's ending: of a .gz it would hash the content.
    with filesystem_.open_input_stream(path, compression=None) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(
    location: str | os.PathLike[str], content: bytes, *, overwrite: bool = True
) -> None:
    """Writes a file so that a reader sees all of it or none.

    Locally by fsync and rename, and a symbolic link is followed; an object store shows an object
    only when it is complete.

    Args:
        location: of the file; its folder is made.
        content: all of it.
        overwrite: replace a file that is there.

    Raises:
        OutputExistsError: there is one, and `overwrite` is false.
    """
    filesystem_, path = filesystem(location)
    filesystem_.create_dir(str(Path(path).parent), recursive=True)
    if not isinstance(filesystem_, fs.LocalFileSystem):
        with filesystem_.open_output_stream(path) as stream:
            stream.write(content)
        return
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        # /dev/stdout, a named pipe: there is nothing to replace.
        Path(path).write_bytes(content)
        return
    # A name of its own, so that two processes that write the same file never share a half.
    temporary = f"{path}.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            # Without it, the rename can survive a power cut that the content does not.
            os.fsync(file.fileno())
        move_file(temporary, path, overwrite=overwrite)
    finally:
        with suppress(FileNotFoundError):
            os.remove(temporary)


def move_file(source: str, target: str, *, overwrite: bool) -> None:
    """Gives a file another name in its folder, at once.

    Args:
        source: of the file.
        target: its name to be.
        overwrite: replace a file that is there.

    Raises:
        OutputExistsError: there is one, and `overwrite` is false.
    """
    try:
        if not overwrite:
            os.link(source, target)  # of all ways to give a name, the one that replaces nothing
            return
    except FileExistsError as error:
        raise OutputExistsError(
            f"{target} came to be while this run was writing it, and is left alone; give "
            "--overwrite to replace it, or another name"
        ) from error
    except OSError:  # a file system without hard links
        if os.path.exists(target):
            raise
    os.replace(source, target)


def arrow_file(table: pa.Table) -> bytes:
    """Returns a table in Arrow's file format; equal tables give equal bytes, however chunked.

    >>> table = pa.table({"word": ["犬", "dog"]})
    >>> pa.ipc.open_file(arrow_file(table)).read_all() == table
    True
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        # In one chunk, as the format writes each chunk as a batch of its own.
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())
