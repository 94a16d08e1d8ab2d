"""The command line: `bitextile COMMAND ... [-- BEAM OPTIONS]`.

Exit codes: 0 done, 1 the run failed, 2 the call or a configuration is wrong. Every error is one
sentence on stderr; `--debug` shows the traceback. Only the module of the command that was asked for
is imported, and pipelines and trainer by the command itself, so that help is quick and one works
without the libraries of the other.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import typer

from bitextile.pipelines.cli import options
from bitextile.pipelines.cli.shared import console
from bitextile.schema.errors import BitextileError, ConfigError

COMMANDS = {
    "ingest": "corpora",
    "align": "alignment",
    "align-text": "alignment",
    "lexicon": "alignment",
    "exchange": "variants",
    "codeswitch": "variants",
    "derive": "variants",
    "backtranslate": "generation",
    "candidates": "generation",
    "tokenizer": "corpora",
    "report": "corpora",
    "verify": "corpora",
    "export": "corpora",
    "pretrain": "training",
    "finetune": "training",
    "evaluate": "training",
    "run": "chain",
    "demo": "chain",
}
"""Command to the module of this package that has a function of its name, in the order of help."""


def build_app(names: Iterable[str]) -> typer.Typer:
    """Returns the command line with the commands named."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Word-aligned parallel shards from Apache Beam, and a trainer for encoders on them.",
        epilog="What follows -- goes to Beam: bitextile align ... -- --runner=FlinkRunner",
    )
    app.callback()(lambda: None)  # with it a single command keeps its name on the command line
    for name in names:
        # Only the modules of `names`: each imports the configurations its options are made from.
        module = import_module(f"{__package__}.{COMMANDS[name]}")
        app.command(name)(options.command(getattr(module, name.replace("-", "_"))))
    return app


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
    # Before any library reads it: models are local folders, and no run asks the network by itself.
    # Worker processes inherit it.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Threads that spin for each other starve on a machine that others use: trainer/README.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Anything else loads all commands: help lists them, a misspelt name gets the nearest one.
    named = [name for name in given[:1] if name in COMMANDS]
    arguments = given + [f"--beam={argument}" for argument in for_beam]
    try:
        app = build_app(named or COMMANDS)
        # standalone_mode would let click print errors and exit by itself; with False they are
        # raised, and the exit code of `typer.Exit` is returned.
        code = app(arguments, prog_name="bitextile", standalone_mode=False) or 0
    except _UsageError as error:
        code = _refuse_call(error, help_only=not given)
    except BitextileError as error:
        if debug:
            raise
        code = _complain(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if debug or (error.name or "").startswith("bitextile"):
            raise
        code = _complain(_missing(error.name or ""), ConfigError.exit_code)
    except OSError as error:
        if debug:
            raise
        code = _complain(f"{error}; check the path, its permissions and the space left", 1)
    except Exception as error:
        if debug:
            raise
        what = f"{type(error).__name__}: {error}"
        code = _complain(f"{what}; a bug in bitextile, --debug shows the traceback", 1)
    if code == _INTERRUPTED:
        _complain("interrupted; finished outputs stay, nothing is half-written", code)
    sys.exit(code)


# Typer carries its own copy of click, so the class is taken from what it publishes.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 130
_ALLOCATIONS_BETWEEN_COLLECTIONS = 100_000


def _complain(sentence: str, code: int) -> int:
    # One line, which scripts and logs can rely on.
    line = " ".join(sentence.splitlines())
    console.print(f"bitextile: {line}", style="red", markup=False)
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
