import gzip

import pytest

from bitextile.kernels.tasks import files
from bitextile.kernels.tasks.files import read_bytes, read_lines
from bitextile.schema.errors import InputError


def test_compressed_files_are_read_whole(tmp_path) -> None:
    path = str(tmp_path / "a.gz")
    with gzip.open(path, "wb") as file:
        file.write("ä\n犬\n".encode())
    assert read_lines(path) == ["ä", "犬"]
    assert read_bytes(path).decode() == "ä\n犬\n"


def test_what_is_missing_broken_or_too_large_is_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(InputError, match="none"):
        read_bytes(str(tmp_path / "none"))
    (tmp_path / "bad").write_bytes(b"ok\n\xff\n")
    with pytest.raises(InputError, match="bad, line 2"):
        read_lines(str(tmp_path / "bad"))
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 5)
    assert read_bytes(str(tmp_path / "bad")) == b"ok\n\xff\n"
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 4)
    with pytest.raises(InputError, match="more than"):
        read_bytes(str(tmp_path / "bad"))
