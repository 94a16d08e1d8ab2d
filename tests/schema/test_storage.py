import gzip
import os
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from bitextile.schema.errors import InputError, OutputExistsError
from bitextile.schema.storage import (
    arrow_file,
    exists,
    file_sha256,
    filesystem,
    is_local,
    write_atomically,
)


def test_a_digest_is_of_the_bytes_and_not_of_what_they_unpack_to(tmp_path: Path) -> None:
    content = gzip.compress(b"a" * 3_000_000) + b"x" * 1_100_000
    (tmp_path / "words.gz").write_bytes(content)
    assert file_sha256(tmp_path / "words.gz") == sha256(content).hexdigest()


def test_a_file_written_atomically_replaces_the_old_one_and_leaves_nothing_else(
    tmp_path: Path,
) -> None:
    place = tmp_path / "new" / "manifest.json"
    for content in (b"old", b"new"):
        write_atomically(place, content)
        assert place.read_bytes() == content
    assert [path.name for path in place.parent.iterdir()] == ["manifest.json"]


def test_a_path_is_local_and_an_unknown_scheme_is_refused(tmp_path: Path) -> None:
    assert is_local(tmp_path)
    assert exists(tmp_path)
    assert not exists(tmp_path / "none")
    with pytest.raises(InputError, match="no file system for it"):
        filesystem("gopher://host/file")


def test_equal_tables_make_equal_arrow_files_however_they_are_chunked() -> None:
    whole = pa.table({"word": ["犬", "", "dog"], "n": [1, 2, 3]})
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert parts["n"].num_chunks == 2
    assert arrow_file(parts) == arrow_file(whole)
    assert pa.ipc.open_file(arrow_file(whole)).read_all() == whole


def test_a_file_that_came_to_be_is_not_replaced_unless_asked(tmp_path: Path, monkeypatch) -> None:
    place = tmp_path / "report.html"
    write_atomically(place, b"first", overwrite=False)
    with pytest.raises(OutputExistsError, match="came to be while this run was writing it"):
        write_atomically(place, b"second", overwrite=False)

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    # A file system without hard links.
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="not supported"):
        write_atomically(place, b"second", overwrite=False)
    write_atomically(tmp_path / "new", b"new", overwrite=False)
    assert place.read_bytes() == b"first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "report.html"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_is_followed_and_a_pipe_written_to(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "link").symlink_to("disk/file")
    (tmp_path / "disk").mkdir()
    write_atomically(tmp_path / "link", b"text", overwrite=overwrite)
    assert (tmp_path / "link").is_symlink()
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "disk").iterdir()] == [("file", b"text")]
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", b"text", overwrite=overwrite)
    assert os.read(reader, 10) == b"text"
    os.close(reader)
