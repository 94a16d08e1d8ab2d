"""Two runs on one output, and what a killed one leaves: nothing is lost or replaced silently."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bitextile.pipelines.runner.atomic import staged
from bitextile.schema.errors import BitextileError, ConfigError, OutputExistsError, OutputInUseError
from bitextile.schema.inputs import refuse_inputs_in

WRITE = """
import sys
from pathlib import Path
from bitextile.pipelines.runner.atomic import staged
out, text, overwrite = sys.argv[1:]
with staged([out], overwrite=bool(overwrite)) as places:
    Path(places[out], "manifest.json").write_text(text)
    print("writes", flush=True)
    sys.stdin.read()  # until told to go on
"""


class Writer:
    """A process that writes an output and stands still before the move."""

    def __init__(self, out: Path, text: str, *, overwrite: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(out), text, "x" if overwrite else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        )
        self.writes = self.process.stdout.readline() == "writes\n"

    def finish(self) -> str:
        """Lets it go on; returns what it said on stderr."""
        return self.process.communicate(timeout=60)[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def write(*outs: Path | str, text: str = "new", meanwhile=None, **options) -> None:
    with staged([str(out) for out in outs], **{"overwrite": False} | options) as places:
        for place in places.values():
            Path(place, "manifest.json").write_text(text)
        if meanwhile:
            meanwhile()


def content(out: Path) -> str:
    return (out / "manifest.json").read_text()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_is_refused_while_the_first_writes(tmp_path: Path, overwrite: bool) -> None:
    out = tmp_path / "new" / "out"
    if overwrite:
        write(out, text="old")
    first = Writer(out, "first", overwrite=overwrite)
    assert first.writes
    second = Writer(out, "second", overwrite=overwrite)
    said = second.finish()
    assert not second.writes
    assert f"{out} is being written by process {first.process.pid} on " in said
    assert first.finish() == ""
    assert content(out) == "first"
    assert left(out.parent) == ["out"]


def test_one_of_many_runs_writes_and_the_others_are_told(tmp_path: Path) -> None:
    out, said = tmp_path / "out", []
    barrier = threading.Barrier(8)

    def run(name: str) -> None:
        barrier.wait()
        try:
            write(out, text=name)
            said.append(name)
        except OutputExistsError:
            said.append("")

    threads = [threading.Thread(target=run, args=(f"run {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = filter(None, said)
    assert content(out) == winner
    assert left(tmp_path) == ["out"]


def test_two_names_of_one_output_are_one_output(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with staged([str(tmp_path / "real" / "out")], overwrite=False):
        for name in ("link/out", "real/../link/./out"):
            with pytest.raises(OutputInUseError):
                write(tmp_path / name, text="second")


def test_what_came_to_be_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def appear() -> None:
        out.mkdir()
        (out / "manifest.json").write_text("theirs")

    def change() -> None:
        os.rename(out / "manifest.json", out / "thesis.tex")

    with pytest.raises(OutputExistsError, match="exists"):
        write(out, text="ours", meanwhile=appear)
    assert content(out) == "theirs"
    with pytest.raises(OutputExistsError, match=r"holds no manifest\.json"):
        write(out, text="ours", overwrite=True, meanwhile=change)
    assert (out / "thesis.tex").read_text() == "theirs"
    assert left(tmp_path) == ["out"]


def test_what_comes_to_be_in_the_last_moment_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    rename = os.rename

    def late(source: str, target: str) -> None:
        out.mkdir()
        (out / "manifest.json").write_text("theirs")
        rename(source, target)

    with pytest.raises(OutputExistsError, match="came to be while this run was writing it"):
        write(out, text="ours", meanwhile=lambda: monkeypatch.setattr(os, "rename", late))
    assert content(out) == "theirs"


def test_of_two_outputs_neither_appears_if_one_may_not(tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError):
        write(tmp_path / "pairs", tmp_path / "mono", meanwhile=(tmp_path / "mono").mkdir)
    assert left(tmp_path) == ["mono"]


def test_a_run_whose_lock_is_taken_over_moves_nothing(tmp_path: Path) -> None:
    lock = tmp_path / ".out.lock"
    with pytest.raises(BitextileError, match="taken over its lock"):
        write(tmp_path / "out", meanwhile=lambda: lock.write_text("another's"))
    assert left(tmp_path) == [".out.lock"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_killed_run_leaves_is_cleaned_up(
    tmp_path: Path, overwrite: bool, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    if overwrite:
        write(out, text="old")
    killed = Writer(out, "killed", overwrite=overwrite)
    assert killed.writes
    killed.kill()
    assert len(left(tmp_path)) == 2 + overwrite
    # Its like of another output stays.
    (tmp_path / ".outer.0123456789abcdef.partial").mkdir()
    with caplog.at_level(logging.WARNING):
        write(out, text="again", overwrite=overwrite)
    assert "which has ended, is taken over" in caplog.text
    assert content(out) == "again"
    assert left(tmp_path) == [".outer.0123456789abcdef.partial", "out"]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_run_killed_while_it_replaces_leaves_the_old_or_the_new_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    out, rename, steps = tmp_path / "out", os.rename, []
    write(out, text="old")

    def die(source: Path, target: Path) -> None:
        if len(steps) == step - 1:
            raise KeyboardInterrupt
        steps.append(source)
        rename(source, target)

    with monkeypatch.context() as patched:
        # Cleaning up does not happen when the process is killed.
        patched.setattr(os, "rename", die)
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            write(out, text="new", overwrite=True)
    with caplog.at_level(logging.WARNING), pytest.raises(OutputExistsError):
        write(out, text="third")
    assert content(out) == ("old" if step < 3 else "new")
    assert ("put back" in caplog.text) == (step == 2)
    write(out, text="third", overwrite=True)
    assert content(out) == "third"
    assert left(tmp_path) == ["out"]


def test_a_folder_that_is_no_old_output_is_not_put_back(tmp_path: Path) -> None:
    (tmp_path / ".out.0123456789abcdef.old").mkdir()
    write(tmp_path / "out", text="new")
    assert content(tmp_path / "out") == "new"


def test_a_link_as_output_is_followed(tmp_path: Path) -> None:
    for name, target in (("there", "disk/there"), ("dangling", "disk/new")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "disk" / "there").mkdir(parents=True)
    for text in ("first", "second"):
        for name in ("there", "dangling"):
            write(tmp_path / name, text=text, overwrite=True)
            assert (tmp_path / name).is_symlink()
            assert content(tmp_path / name) == text
    assert left(tmp_path) == ["dangling", "disk", "there"]
    assert left(tmp_path / "disk") == ["new", "there"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dataset `data` with `corpus/a.tsv` in it, and links to all of them."""
    write(tmp_path / "data", text="dataset")
    (tmp_path / "data" / "corpus").mkdir()
    (tmp_path / "data" / "corpus" / "a.tsv").write_text("a\tb\n")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "data").symlink_to("../data")
    (tmp_path / "links" / "a.tsv").symlink_to("../data/corpus/a.tsv")
    return tmp_path


@pytest.mark.parametrize(
    ("out", "read", "verb"),
    [
        ("data", "data", "is an input"),
        ("data/", "data/corpus/..", "is an input"),
        ("links/data", "data", "is an input"),
        ("data", "links/data", "is an input"),
        ("data", "data/corpus/a.tsv", "holds the input"),
        ("data", "links/a.tsv", "holds the input"),
        ("links/data", "links/../data/corpus/a.tsv", "holds the input"),
        ("links/../data", "links/data/corpus", "holds the input"),
    ],
)
def test_an_input_is_never_replaced(project: Path, out: str, read: str, verb: str) -> None:
    with pytest.raises(ConfigError, match=verb):
        write(f"{project}/{out}", text="new", overwrite=True, inputs=[f"{project}/{read}"])
    assert content(project / "data") == "dataset"
    assert (project / "links" / "a.tsv").read_text() == "a\tb\n"


def test_neighbours_of_inputs_are_replaced(project: Path) -> None:
    write(project / "data2", text="old")
    inputs = [str(project / "data"), str(project / "none"), str(project), "s3://bucket/data2"]
    write(project / "data2", text="new", overwrite=True, inputs=inputs)
    assert content(project / "data2") == "new"


def test_on_an_object_store_names_say_what_is_in_what() -> None:
    with pytest.raises(ConfigError, match="is an input"):
        refuse_inputs_in("gs://b/data/", ["gs://b/data"])
    with pytest.raises(ConfigError, match="holds the input gs://b/data/pairs"):
        refuse_inputs_in("gs://b/data", ["gs://b/data/pairs"])
    refuse_inputs_in("gs://b/data", ["gs://b/data2", "gs://b", "data"])
