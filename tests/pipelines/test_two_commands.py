"""Two commands on one output at the same time: one writes it, the other says so and ends with 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bitextile.pipelines.run import _Run
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import DatasetError
from bitextile.schema.locks import LOCK, hold

PAIRS = {"de": ["Der Hund läuft", "Die Katze schläft"], "zh": ["狗 跑", "猫 睡"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory, call) -> Path:
    folder = tmp_path_factory.mktemp("made")
    bitext = []
    for lang, sentences in PAIRS.items():
        lines = [f"The dog runs {n}\t{sentences[n % 2]} {n}\n" for n in range(400)]
        (folder / f"{lang}.tsv").write_text("".join(lines))
        bitext.append({"corpus": lang, "languages": ["en", lang], "files": [f"{lang}.tsv"]})
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"bitext": bitext}))
    assert call("ingest", folder / "recipe.yaml", "--out", folder) == 0
    assert call("align", folder / "pairs", "--out", folder / "aligned") == 0
    return folder


def commands(made: Path, out: Path) -> dict[str, list[list[str]]]:
    exchange = ["exchange", str(made / "aligned"), "--out", str(out), "--rate"]
    align = ["align", str(made / "pairs"), "--out", str(out), "--seed"]
    return {"exchange": [[*exchange, "0.2"], [*exchange, "0.9"]], "align": [[*align, "1"]] * 2}


@pytest.mark.parametrize("command", ["exchange", "align"])
def test_two_at_once_leave_one_whole_output(made: Path, tmp_path: Path, command: str) -> None:
    out = tmp_path / "out"
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bitextile.pipelines.cli.main", *arguments],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in commands(made, out)[command]
    ]
    said = [process.communicate(timeout=200)[1] for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0, 2], said
    refusal = said[codes.index(2)]
    assert refusal.startswith(f"bitextile: {out} ")
    # The second came while the first wrote, or afterwards.
    assert "is being written by process" in refusal or "exists; give another --out" in refusal
    verify_dataset(str(out))
    config = open_dataset(str(out)).manifest.config
    if command == "exchange":
        assert config["rate"] == (0.2, 0.9)[codes.index(0)]
    else:
        assert sorted(p.name for p in (out / "models").iterdir()) == ["de-en", "en-zh"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_command_is_told_who_writes(made: Path, tmp_path: Path, call, capsys) -> None:
    with hold(tmp_path / ".out.lock", "out"):
        assert call(*commands(made, tmp_path / "out")["exchange"][0]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"bitextile: {tmp_path}/out is being written by this very process; wait")
    assert told.count("\n") == 1


def test_a_lock_that_is_taken_over_is_said_on_the_terminal(made: Path, tmp_path: Path) -> None:
    script = "import os, sys; from bitextile.schema.locks import hold\n"
    script += "with hold(sys.argv[1], 'out'): os.kill(os.getpid(), 9)"
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / ".out.lock")], env=environment, check=False
    )
    assert (tmp_path / ".out.lock").exists()
    # After a first command has loaded Beam, which turns logging down.
    calls = [[*commands(made, tmp_path / name)["exchange"][0]] for name in ("first", "out")]
    program = "import contextlib, sys; from bitextile.pipelines.cli.main import main\n"
    program += f"for call in {calls!r}:\n    with contextlib.suppress(SystemExit): main(call)\n"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    [line] = [line for line in done.stderr.splitlines() if "taken over" in line]
    assert "out: the lock of process " in line
    verify_dataset(str(tmp_path / "out"))


def test_a_whole_recipe_locks_its_folder(made: Path, tmp_path: Path, call, capsys, monkeypatch):
    recipe, out = made / "recipe.yaml", tmp_path / "out"
    with hold(out / LOCK, "out"):
        assert call("run", recipe, "--out", out) == 2
    assert f"{out} is being written by" in capsys.readouterr().err
    assert not out.exists()

    def look(self: _Run) -> None:
        assert (out / LOCK).exists()
        seen.append(out)
        raise DatasetError("enough")

    seen: list[Path] = []
    monkeypatch.setattr(_Run, "make_datasets", look)
    assert call("run", recipe, "--out", out) == 1
    assert len(seen) == 1
    assert not out.exists()


def test_an_aligners_models_are_part_of_the_dataset(made: Path, tmp_path: Path, call) -> None:
    out = tmp_path / "out"
    assert call(*commands(made, out)["align"][0]) == 0
    (out / "models" / "de-en" / "model.json").unlink()
    assert call("verify", out) == 1
    again = commands(made, out)["align"][0]
    assert call(*again, "--reuse") == 1
    assert call(*again, "--reuse", "--overwrite") == 0
    assert call("verify", out) == 0
    assert call(*again, "--reuse") == 0
