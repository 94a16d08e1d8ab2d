"""The command line: `bitextile COMMAND ... [-- BEAM OPTIONS]`.

Exit codes: 0 done, 1 the run failed, 2 the call or a configuration is wrong, 130 or 143 interrupted
by Ctrl-C or SIGTERM (128 and the signal's number, in training as elsewhere). Every error is one
sentence on stderr; `--debug` shows the traceback. Only the module of the command that was asked for
is imported, and pipelines and trainer by the command itself, so that help is quick and one works
without the libraries of the other.
"""

import _thread
import atexit
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer

from bitextile.pipelines.cli import options
from bitextile.pipelines.cli.commands import COMMANDS, RENAMED, epilog, summary
from bitextile.pipelines.cli.help_text import Command, Groups
from bitextile.pipelines.runner.progress import visible
from bitextile.schema.confinement import confined, root_folder
from bitextile.schema.endings import out_of_memory
from bitextile.schema.errors import BitextileError, ConfigError
from bitextile.schema.terminal import answer, guard_logs_and_tracebacks, say


def build_app(names: Iterable[str], *, listed: Iterable[str] = ()) -> typer.Typer:
    """Returns the command line.

    Args:
        names: commands that can be called.
        listed: others that help names and completion offers, of which nothing is imported.
    """
    app = typer.Typer(
        cls=Groups,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Word-aligned parallel shards from Apache Beam, and a trainer for encoders on them.",
        epilog="bitextile COMMAND --help shows options and an example. What follows -- goes to "
        "Beam: bitextile align ... -- --runner=FlinkRunner",
    )
    app.callback()(_with_debug)  # with it a single command keeps its name on the command line
    for name in names:
        # Only the modules of `names`: each imports the configurations its options are made from.
        module = import_module(f"{__package__}.{COMMANDS[name].module}")
        function = options.command(getattr(module, name.replace("-", "_")))
        app.command(name, cls=Command, epilog=epilog(name))(function)
    for name in listed:
        app.command(name, help=summary(name))(_only_listed)
    return app


def _only_listed() -> None:
    raise AssertionError("main builds the command that is called")


def _show_version(wanted: bool) -> None:
    if wanted:
        answer(f"bitextile {version('bitextile')}")
        raise typer.Exit


def _with_debug(
    root: options.Root = "",
    debug: options.Debug = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit"
        ),
    ] = False,
) -> None:
    """Takes the options that `main` has taken out already, so that help lists them."""


def command() -> None:
    """Runs the command line in a process of its own."""
    # Loading libraries makes objects, hardly any garbage: looking for it takes a tenth of a second,
    # and a third when the interpreter does so once more on its way out.
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
    main()


def main(call: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    given = list(sys.argv[1:] if call is None else call)
    # typer takes -- for the end of options, so what follows it is cut off and comes back as
    # options.
    cut = given.index("--") if "--" in given else len(given)
    given, for_beam = given[:cut], given[cut + 1 :]
    # Taken out by hand: it is an option of every command and of none, and holds for errors before
    # any command is chosen.
    debug = "--debug" in given
    if debug:
        given.remove("--debug")
        logging.basicConfig()
        logging.getLogger("bitextile").setLevel(logging.DEBUG)
    guard_logs_and_tracebacks()
    given, root = _take_root(given)
    # Before any library reads it: models are local folders, and no run asks the network by itself.
    # Worker processes inherit it.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Threads that spin for each other starve on a machine that others use: trainer/README.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    named = [name for name in _words_before_options(given) if name in COMMANDS]
    given = _renamed(named, given)
    arguments = given + [f"--beam={argument}" for argument in for_beam]
    with _sigterm_as_ctrl_c() as terminated:
        try:
            # The others are listed: in help, and where a misspelt name gets the nearest one.
            app = build_app(named, listed=[name for name in COMMANDS if name not in named])
            # standalone_mode would let click print errors and exit by itself; with False they are
            # raised, and the exit code of `typer.Exit` is returned.
            with confined(root), visible():
                code = app(arguments, prog_name="bitextile", standalone_mode=False) or 0
        except _UsageError as error:
            code = _refuse_call(error, help_only=not given)
        except Exception as error:
            if debug:
                raise
            code = _complain(*_sentence(error))
    if code == _INTERRUPTED:
        code = 128 + signal.SIGTERM if terminated else code
        _complain("interrupted; finished outputs stay, nothing is half-written", code)
    sys.exit(code)


def _renamed(named: list[str], given: list[str]) -> list[str]:
    """Returns a call with options by their names of today; says which had an older one."""
    renamed = RENAMED.get(named[0], {}) if named else {}
    call = []
    for argument in given:
        option, equals, value = argument.partition("=")
        if option in renamed:
            say(f"{option} is called {renamed[option]} now")
            option = renamed[option]
        call.append(option + equals + value)
    return call


def _take_root(given: list[str]) -> tuple[list[str], str]:
    """Returns a call without its --root, and the folder that it or the environment names."""
    # By hand, as for --debug. The last one counts, as of other options.
    rest, root = [], root_folder()
    arguments = iter(given)
    for argument in arguments:
        if argument == "--root":
            root = next(arguments, "")
        elif argument.startswith("--root="):
            root = argument.removeprefix("--root=")
        else:
            rest.append(argument)
            continue
        if not root.strip():
            sys.exit(_complain("--root is empty, expected a folder", ConfigError.exit_code))
    return rest, root


def _words_before_options(given: Sequence[str]) -> list[str]:
    """Returns the word that can be the command's name: the first one that is no option."""
    # To complete a call the shell starts this program with the call in its environment.
    words = os.environ.get("COMP_WORDS", "").split()[1:] if _COMPLETING in os.environ else given
    if _COMPLETING in os.environ and not words:  # zsh and fish
        words = os.environ.get("_TYPER_COMPLETE_ARGS", "").split()[1:]
    return [word for word in words if not word.startswith("-")][:1]


_COMPLETING = "_BITEXTILE_COMPLETE"
"""Where a shell that completes a call says so."""

# Typer carries its own copy of click, so the class is taken from what it publishes.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 128 + signal.SIGINT
_ALLOCATIONS_BETWEEN_COLLECTIONS = 100_000
_AGAIN_S = 0.05


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[list[int]]:
    """Lets SIGTERM end a command as Ctrl-C does, which removes what is half-written; loses neither.

    Yields:
        The SIGTERMs received.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # Python allows signal handlers in the main thread only.
        return

    def interrupt(number: int, _: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before, hook = signal.signal(signal.SIGTERM, interrupt), sys.unraisablehook

    # Python prints and forgets what is raised in a __del__ or a callback, of which there are many
    # while libraries are loaded (`regex` has a __del__); the interrupt comes again shortly after.
    def again(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        number = received[-1] if received else signal.SIGINT
        later = threading.Timer(_AGAIN_S, _thread.interrupt_main, [number])
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        yield received
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def _sentence(error: Exception) -> tuple[str, int]:
    """Returns what is said of an error that ends a command, and the exit code."""
    if isinstance(error, BitextileError):
        return str(error), error.exit_code
    if told := out_of_memory(error):
        return told, BitextileError.exit_code
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("bitextile"):
        return _missing(error.name or ""), ConfigError.exit_code
    if isinstance(error, OSError):
        return f"{error}; check the path, its permissions and the space left", 1
    return (
        f"{type(error).__name__}: {error}; a bug in bitextile, --debug shows the traceback",
        BitextileError.exit_code,
    )


def _complain(sentence: str, code: int) -> int:
    # One line, which scripts and logs can rely on.
    line = " ".join(sentence.splitlines())
    say(f"bitextile: {line}", style="red")
    return code


def _refuse_call(error: Any, *, help_only: bool) -> int:
    if help_only:
        error.show()
        return ConfigError.exit_code
    command_path = error.ctx.command_path if error.ctx else "bitextile"
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    # The user wrote no --beam: `main` made it of what follows --.
    if message.startswith("No such option: --beam"):
        message = "what follows -- goes to Beam, which this command does not use; leave it out"
    return _complain(f"{message}; see {command_path} --help", ConfigError.exit_code)


_EXTRAS = {
    "apache_beam": "beam",
    "defusedxml": "beam",
    "sentencepiece": "beam",
    "torch": "train",
    "transformers": "train",
    "jinja2": "report",
    "scipy": "align-neural",
}


def _missing(module: str) -> str:
    extra = _EXTRAS.get(module.split(".")[0], "all")
    return f"{module} is not installed; this command needs it: pip install 'bitextile[{extra}]'"


if __name__ == "__main__":
    command()
