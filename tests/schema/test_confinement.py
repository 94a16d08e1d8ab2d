"""What a confined process may open, by Python itself: the rest is refused as the system would."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bitextile.schema import confinement
from bitextile.schema.confinement import confined, refuse_outside, root_folder
from bitextile.schema.errors import ConfigError, OutsideRootError
from bitextile.schema.storage import exists, filesystem


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BITEXTILE_ROOT", raising=False)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("for the user alone")
    (tmp_path / "rootless").mkdir()  # begins as the root's name does
    (tmp_path / "root/inner").mkdir(parents=True)
    (tmp_path / "root/own").write_text("own")
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    (tmp_path / "root/metrics.jsonl").symlink_to(tmp_path / "outside/secret")
    return tmp_path / "root"


REFUSED = {
    "read": lambda place: (place / "secret").read_text(),
    "append": lambda place: os.open(place / "secret", os.O_WRONLY | os.O_APPEND),
    "make": lambda place: (place / "new").write_text("x"),
    "low level": lambda place: os.open(place / "secret", os.O_RDONLY),
    "list": lambda place: list(place.iterdir()),
    "scan": lambda place: list(os.scandir(place)),
    "remove": lambda place: (place / "secret").unlink(),
    "folder": lambda place: (place / "new").mkdir(),
    "rename": lambda place: (place / "secret").rename(place / "other"),
    "link": lambda place: (place / "other").symlink_to(place / "secret"),
    "mode": lambda place: (place / "secret").chmod(0o666),
    "bytes": lambda place: os.open(os.fsencode(place / "secret"), os.O_RDONLY),
}


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("way", ["outside", "root/link", "root/inner/../../outside"])
def test_nothing_outside_is_read_or_changed(root, act, way) -> None:
    with (
        confined(str(root)),
        pytest.raises(OutsideRootError, match="which --root confines") as error,
    ):
        act(root.parent / way)
    assert isinstance(error.value, PermissionError)
    assert isinstance(error.value, ConfigError)
    assert sorted(os.listdir(root.parent / "outside")) == ["secret"]
    assert (root.parent / "outside/secret").read_text() == "for the user alone"


def test_a_file_inside_that_is_a_link_is_not_followed(root) -> None:
    with confined(str(root)):
        for act in (Path.read_text, Path.touch, lambda path: path.write_text("x")):
            # `touch` opens the file to write, then sets its times.
            with pytest.raises(OutsideRootError):
                act(root / "metrics.jsonl")
        with pytest.raises(ConfigError):
            exists(root / "metrics.jsonl")


def test_a_folder_whose_name_begins_as_the_roots_is_outside(root) -> None:
    with confined(str(root)), pytest.raises(ConfigError):
        refuse_outside(root.parent / "rootless/x")


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/etc/passwd", "/proc/self/root/etc/passwd"]
)
def test_secrets_of_the_system_are_outside(root, path) -> None:
    with confined(str(root)):
        with pytest.raises(OutsideRootError):
            Path(path).read_bytes()
        with pytest.raises(ConfigError):
            filesystem(path)


def test_inside_and_for_itself_python_may_do_all(root) -> None:
    with confined(str(root)):
        assert root_folder() == str(root.resolve())
        (root / "new").write_text("x")
        (root / "new").rename(root / "inner/new")
        assert filesystem(f"file://{root}/own")[1] == f"{root}/own"
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "x").write_text("x")
            refuse_outside(folder)
        temporary = tempfile.gettempdir()
        assert Path(os.__file__).read_text()
        with pytest.raises(OutsideRootError):
            Path(os.__file__).write_text("x")
        Path("/dev/null").write_text("x")
        Path("/proc/self/status").read_text()
    assert not os.path.exists(temporary)
    assert (root.parent / "outside/secret").read_text()
    assert "BITEXTILE_ROOT" not in os.environ


def test_other_machines_are_outside_and_without_a_root_nothing_is(root) -> None:
    with confined(""):
        refuse_outside("/etc/passwd")
    with confined(str(root)):
        for uri in ("s3://bucket/x", "gs://bucket/x", "hdfs://host/x", "mock://x"):
            with pytest.raises(ConfigError, match="is not local"):
                filesystem(uri)
    with pytest.raises(ConfigError, match="no such folder"), confined(str(root / "absent")):
        pass


def test_a_process_that_a_run_starts_is_confined_by_the_environment(root) -> None:
    script = "from bitextile.schema.confinement import install; install(); open('/etc/passwd')"
    with confined(str(root)):
        environment = dict(os.environ)
    assert environment[confinement.VARIABLE]
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert "OutsideRootError: /etc/passwd: lies outside" in ended.stderr
