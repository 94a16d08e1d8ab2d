"""The command line as a whole: every command's help, and what a call may import."""

import json
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from typer.main import get_command

from bitextile.pipelines.cli.commands import RENAMED
from bitextile.pipelines.cli.main import COMMANDS, build_app, main
from project import REPOSITORY

HEAVY = {"apache_beam", "torch", "transformers", "numba", "pandas", "sentencepiece", "jieba"}
LIGHT = {
    "pretrain": {"bitextile.pipelines.align", "bitextile.kernels.exchange"},
    "exchange": {"bitextile.trainer", "bitextile.pipelines.exchange"},
    "align": {"bitextile.trainer", "bitextile.kernels.align.hmm.fit"},
    "backtranslate": {"bitextile.trainer.generate.camlm", "bitextile.transforms"},
}
"""What help does not need, beside the heavy libraries."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_has_help(name: str) -> None:
    command = get_command(build_app([name])).commands[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"


def test_a_command_is_built_alone_and_all_are_listed() -> None:
    assert list(get_command(build_app(["align"])).commands) == ["align"]
    assert list(get_command(build_app(COMMANDS)).commands) == list(COMMANDS)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_imports_no_heavy_library(name: str) -> None:
    code = (
        "import json, sys\n"
        "from bitextile.pipelines.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    arguments = [name, "--help"] if name else ["--help"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & (HEAVY | LIGHT.get(name, set()))


def told(call: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert not ended.value.code
    return capsys.readouterr().out


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(["--version"], capsys) == f"bitextile {version('bitextile')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_that_the_command_takes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = told([name, "--help"], capsys)
    lines = shown.split("Example:\n")[1].replace("\\\n", " ").split()
    assert lines == COMMANDS[name].example.split()
    assert lines[:2] == ["bitextile", name]
    offered = {
        flag for p in get_command(build_app([name])).commands[name].params for flag in p.opts
    }
    assert {word for word in lines[2:] if word.startswith("-")} <= offered


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"verify", "status"}))
def test_the_output_is_named_alike_everywhere(name: str) -> None:
    flags = [p.opts for p in get_command(build_app([name])).commands[name].params]
    assert ["--out", "-o"] in flags


def test_help_lists_the_commands_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(["--help"], capsys).splitlines()
    for listed in COMMANDS.values():
        assert f"{listed.group}:" in lines
    assert [line.split()[0] for line in lines if line[2:].startswith(tuple(COMMANDS))] == [
        *COMMANDS
    ]


def test_arguments_are_shown_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(["tokenizer", "--help"], capsys)
    assert "Usage: bitextile tokenizer [OPTIONS] DATASETS...\n" in shown
    assert "<" not in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [("bitextile lexi", "lexicon"), ("bitextile lexicon --min-c", "--min-count")],
)
def test_a_shell_is_told_how_a_call_goes_on(
    words: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("_BITEXTILE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert told([], capsys).split() == [expected]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_debug_stands_in_every_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*filter(None, [name]), "--help"])
    assert not ended.value.code
    assert "--debug" in capsys.readouterr().out


class OutOfMemoryError(RuntimeError):
    """As torch.cuda names its own."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError("malloc of size 64 failed"), "memory ran out (malloc of size 64 failed)"),
        (OSError(12, "Cannot allocate memory"), "give fewer workers"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory ran out"),
        (OutOfMemoryError("CUDA out of memory."), "lower `batch_tokens` or `batch_rows`"),
    ],
)
def test_memory_that_runs_out_is_no_defect(
    error: Exception,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr("bitextile.pipelines.verify.verify", fail)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "somewhere"])
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert sentence in told
    assert "bug in bitextile" not in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_any_command_with_one_sentence_and_its_code(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("bitextile.pipelines.verify.verify", lambda _: signal.raise_signal(number))
    with pytest.raises(SystemExit) as ended:
        main(["verify", "somewhere"])
    assert ended.value.code == 128 + number
    told = capsys.readouterr().err.strip()
    assert told == "bitextile: interrupted; finished outputs stay, nothing is half-written"
    assert signal.getsignal(signal.SIGTERM) == before


class Dying:
    """Is interrupted while it is deleted, where Python forgets what is raised."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_forgets_comes_again(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: str) -> None:
        Dying(number)
        for _ in range(1_000):
            time.sleep(0.01)
        pytest.fail("it went on")

    monkeypatch.setattr("bitextile.pipelines.verify.verify", work)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "somewhere"])
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("command", "old"), [(c, old) for c, m in RENAMED.items() for old in m])
def test_an_option_goes_by_its_older_name_too(command, old, capsys: pytest.CaptureFixture[str]):
    now = RENAMED[command][old]
    options = [p.opts for p in get_command(build_app([command])).commands[command].params]
    assert any(now in names for names in options)
    assert not any(old in names for names in options)
    messages = []
    for option in (old, now):
        with pytest.raises(SystemExit):
            main([command, f"{option}=", "--no-such-option"])
        messages.append(capsys.readouterr().err)
    assert messages[0] == f"{old} is called {now} now\n{messages[1]}"
