"""`bitextile align-text`: the aligner alone, from text lines to Pharaoh lines; no Beam."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

from bitextile.kernels.align.text import TextSummary, align_text
from bitextile.schema.errors import ConfigError, InputError

STANDARD = "-"


def align_files(
    input: str,
    output: str,
    *,
    symmetrize: str,
    threshold: float | None,
    model: str | None,
    save_model: str | None,
    scores: str | None,
    threads: int,
    progress: Callable[[str], None],
) -> TextSummary:
    """Aligns a file of `source ||| target` lines; as many lines come out as went in.

    Args:
        input: its path, or - for standard input.
        output: where the Pharaoh lines go, or - for standard output; appears when complete.
        symmetrize: how two directions become one; see `kernels.align.apply`.
        threshold: least score of a link.
        model: folder of a saved model to apply.
        save_model: folder the fitted model is saved to.
        scores: where the mean log posterior of each line goes.
        threads: 0 takes every core.
        progress: told now and then how far it is.

    Raises:
        ConfigError: `model` and `save_model` together, or a wrong option.
        InputError: the input cannot be read.
    """
    if model is not None and save_model is not None:
        raise ConfigError("--model applies a saved model and fits none; leave --save-model out")
    with ExitStack() as stack:
        lines = stack.enter_context(_reading(input))
        written = stack.enter_context(_writing(output))
        scored = None if scores is None else stack.enter_context(_writing(scores))
        return align_text(
            lines,
            written,
            model=model,
            save_model=save_model,
            scores_out=scored,
            symmetrize=symmetrize,
            threshold=threshold,
            n_threads=threads or None,
            progress=progress,
        )


@contextmanager
def _reading(path: str) -> Iterator[Iterator[str]]:
    """Yields the lines; bytes that are not UTF-8 become U+FFFD, so that no line is lost."""
    with ExitStack() as stack:
        try:
            raw = sys.stdin.buffer if path == STANDARD else stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check --input") from error
        yield (line.decode(errors="replace") for line in raw)


@contextmanager
def _writing(path: str) -> Iterator[TextIO]:
    if path == STANDARD:
        yield sys.stdout
        return
    partial = f"{path}.partial"
    try:
        file = open(partial, "w", encoding="utf-8")  # noqa: SIM115 - closed below, then renamed
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        with file:
            yield file
        os.replace(partial, path)
    finally:
        with suppress(FileNotFoundError):
            os.remove(partial)
