import gzip

import pytest

from bitextile.kernels.readers import whole
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
    monkeypatch.setattr(whole, "MAX_BYTES", 5)
    assert read_bytes(str(tmp_path / "bad")) == b"ok\n\xff\n"
    monkeypatch.setattr(whole, "MAX_BYTES", 4)
    with pytest.raises(InputError, match="more than"):
        read_bytes(str(tmp_path / "bad"))


@pytest.mark.parametrize("read", [read_bytes, read_lines])
@pytest.mark.parametrize("line", ["a" * 500, "犬" * 100, ""])
def test_a_compressed_file_that_would_fill_memory_is_refused(
    tmp_path, monkeypatch, read, line: str
) -> None:
    path = str(tmp_path / "a.gz")
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(f"{line}\n" * 30_000)
    assert len(read(path)) >= 30_000
    monkeypatch.setattr(whole, "FREE_BYTES", 20_000)
    with pytest.raises(
        InputError, match=r"a\.gz: more than 0 MiB, unpacked, of a file that is read"
    ):
        read(path)


def test_json_of_too_many_values_is_refused(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_bytes(b"[[],{},[]]")
    monkeypatch.setattr(files, "MAX_JSON_VALUES", 6)
    assert len(read_bytes(str(tmp_path / "a"))) == 10
    monkeypatch.setattr(files, "MAX_JSON_VALUES", 5)
    with pytest.raises(InputError, match="more than 5 values"):
        read_bytes(str(tmp_path / "a"))
