"""The command line: `bitextile VERB ... [-- BEAM OPTIONS]`.

Exit codes: 0 done, 1 the run failed, 2 the call or a configuration is wrong. Every error is one
sentence on stderr; `--debug` shows the traceback. Pipelines and trainer are imported by the verb
that needs them, so that one works without the libraries of the other.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from bitextile.pipelines.cli import (
    chain,
    corpora,
    generation,
    links,
    training,
    variants,
)
from bitextile.pipelines.cli.shared import BEAM_ARGUMENTS, console
from bitextile.schema.errors import BitextileError, ConfigError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Word-aligned parallel shards from Apache Beam, and a trainer for encoders on them.",
    epilog="What follows -- goes to Beam: bitextile align ... -- --runner=FlinkRunner",
)
VERBS: tuple[Callable[..., None], ...] = (
    *(corpora.ingest, links.align, links.align_text, links.lexicon),
    *(variants.exchange, variants.codeswitch, variants.derive),
    *(generation.backtranslate, generation.candidates),
    *(corpora.tokenizer, corpora.report, corpora.verify, corpora.export),
    *(training.pretrain, training.finetune, training.evaluate),
    *(chain.run, chain.demo),
)
for verb in VERBS:
    app.command()(verb)


def command() -> None:
    """Runs the command line in a process of its own."""
    # Loading libraries makes objects, hardly any garbage: looking for it takes a tenth of a second,
    # and a third when the interpreter does so once more on its way out.
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
    main()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    given, BEAM_ARGUMENTS[:] = given[:cut], given[cut + 1 :]
    debug = "--debug" in given
    if debug:
        given.remove("--debug")
        logging.basicConfig()
        logging.getLogger("bitextile").setLevel(logging.DEBUG)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Threads that spin for each other starve on a machine that others use: trainer/README.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(given, prog_name="bitextile", standalone_mode=False) or 0
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
        code = _complain(f"{what}; a defect of bitextile: --debug shows where", 1)
    if code == _INTERRUPTED:
        _complain("interrupted; what was finished stays, nothing is half-written", code)
    sys.exit(code)


# Typer carries its own copy of click, so the class is taken from what it publishes.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 130
_ALLOCATIONS_BETWEEN_COLLECTIONS = 100_000


def _complain(sentence: str, code: int) -> int:
    line = " ".join(sentence.splitlines())
    console.print(f"bitextile: {line}", style="red", markup=False)
    return code


def _refuse_call(error: Any, *, help_only: bool) -> int:
    if help_only:
        error.show()
        return ConfigError.exit_code
    verb = error.ctx.command_path if error.ctx else "bitextile"
    message = error.format_message().rstrip(".")
    return _complain(f"{message}; see {verb} --help", ConfigError.exit_code)


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
    return f"{module} is not installed; this verb needs it: pip install 'bitextile[{extra}]'"


if __name__ == "__main__":
    command()
