"""eflomal's two programs as processes: text files in, text files out.

eflomal (Östling and Tiedemann 2016) is under the GPL, so nothing of it is imported or needed by
bitextile.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.schema.confinement import root_folder
from bitextile.schema.endings import how_it_ended
from bitextile.schema.errors import BitextileError, ConfigError
from bitextile.schema.processes import run_bound

ALIGN = "eflomal-align"
MAKE_PRIORS = "eflomal-makepriors"


def find_program(name: str, options: EflomalOptions) -> str:
    """Returns the path of one of eflomal's programs.

    Args:
        name: ALIGN or MAKE_PRIORS.
        options: names the folder to look in.

    Raises:
        ConfigError: it is not there; eflomal is never installed along with bitextile. Or a folder
            is named in a run that `--root` confines: a recipe could name programs of its own.
    """
    if options.bin_dir and root_folder():
        raise ConfigError(
            f"eflomal's programs in {options.bin_dir}: under --root only those on PATH are run; "
            "put that folder there and leave --eflomal-bin (`bin_dir`) out"
        )
    found = shutil.which(name, path=options.bin_dir or None)
    if found is None:
        where = options.bin_dir or "the folders of PATH"
        raise ConfigError(
            f"{name} is not in {where}; aligner eflomal runs the programs of eflomal 2, which is "
            "installed separately: python3 -m venv VENV && VENV/bin/pip install eflomal, then name "
            "VENV/bin by --eflomal-bin, or by `bin_dir` in a recipe"
        )
    return os.path.abspath(found)


def run_align(
    texts: tuple[str, str], priors: str, *, options: EflomalOptions, n_threads: int | None
) -> tuple[str, str]:
    """Returns the lines of links `i-j` of both directions, one per sentence pair.

    Args:
        texts: the sentences of both sides, one a line.
        priors: lines of a priors file; empty for none.
        options: how it is run.
        n_threads: of eflomal; None leaves the choice to it.

    Raises:
        ConfigError: eflomal is not there.
        BitextileError: it failed, or wrote another number of lines.
    """
    program = find_program(ALIGN, options)
    # One folder a call: workers on one machine never share a file.
    with TemporaryDirectory(prefix="eflomal-") as folder:
        _write(folder, "s", texts[0])
        _write(folder, "t", texts[1])
        arguments = ["-s", "s", "-t", "t", "-f", "f", "-r", "r", "-m", str(options.model)]
        arguments += ["--length", str(options.length), "--null-prior", str(options.null_prior)]
        if priors:
            _write(folder, "p", priors)
            arguments += ["-p", "p"]
        _run([program, *arguments], folder, n_threads)
        forward, reverse = (list(_read(folder, name)) for name in "fr")
    n_pairs = texts[0].count("\n")
    for lines in (forward, reverse):
        if len(lines) != n_pairs:
            raise BitextileError(f"eflomal wrote {len(lines)} lines of links for {n_pairs} pairs")
    return "".join(forward), "".join(reverse)


def run_make_priors(
    texts: tuple[str, str], links: tuple[str, str], *, options: EflomalOptions
) -> list[str]:
    """Returns the lines of the priors file that the links of `run_align` make.

    Args:
        texts: as for `run_align`.
        links: what it returned.
        options: how it is run.

    Raises:
        ConfigError: eflomal is not there.
        BitextileError: it failed.
    """
    program = find_program(MAKE_PRIORS, options)
    with TemporaryDirectory(prefix="eflomal-") as folder:
        for name, text in zip("stfr", (*texts, *links)):
            _write(folder, name, text)
        arguments = [argument for name in "stfr" for argument in (f"-{name}", name)]
        _run([program, *arguments, "-p", "priors"], folder, None)
        return [line.rstrip("\n") for line in _read(folder, "priors")]


def _run(command: list[str], folder: str, n_threads: int | None) -> None:
    threads = {} if n_threads is None else {"OMP_NUM_THREADS": str(n_threads)}
    try:
        done = run_bound(command, cwd=folder, env={**os.environ, **threads})
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error}; install eflomal again") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise BitextileError(
            f"{command[0]} {how_it_ended(done.returncode)}: {said[-1]}; run it by hand to see why"
        )


def _write(folder: str, name: str, text: str) -> None:
    # Not the line ends of the system: what is sent and what is read back must not depend on it.
    Path(folder, name).write_text(text, encoding="utf-8", newline="\n")


def _read(folder: str, name: str) -> Iterator[str]:
    try:
        with open(Path(folder, name), encoding="utf-8", newline="\n") as lines:
            yield from lines
    except OSError as error:
        raise BitextileError(f"eflomal wrote no file of {name!r}: {error}") from error
