"""`bitextile align-text`: an aligner alone, from text lines to Pharaoh lines; no Beam."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TextIO

import pyarrow as pa

from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.engine import Runtime, WordEncoder
from bitextile.kernels.align.pharaoh import TextSummary, align_text
from bitextile.kernels.align.threads import usable_threads
from bitextile.kernels.model_digest import check_encoder
from bitextile.kernels.readers.lines import MAX_LINE_BYTES
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.inputs import refuse_part_of

STANDARD = "-"
Progress = Callable[[str], None]


def align_files(
    input: str,
    output: str,
    *,
    config: AlignerConfig,
    model: str | None,
    save_model: str | None,
    scores: str | None,
    lexicon: str | None,
    threads: int,
    progress: Progress,
) -> TextSummary:
    """Aligns a file of `source ||| target` lines; as many lines come out as went in.

    Args:
        input: its path, or - for standard input.
        output: where the Pharaoh lines go, or - for standard output; appears when complete.
        config: of the aligner; what it says of samples and segmenters is not used here.
        model: folder of a saved model to apply.
        save_model: folder the fitted model is saved to.
        scores: where the mean log score of each line's links goes.
        lexicon: known translations for fitting, source word first, of any format that
            `kernels.bitext.dictionary.source` reads.
        threads: 0 takes every core.
        progress: called with one line of text now and then.

    Raises:
        ConfigError: `model` and `save_model` together, or a wrong option.
        InputError: the input cannot be read.
    """
    _check_call(config, model, save_model, lexicon)
    _check_files(_named(output, scores), _named(input, lexicon, model, *config.encoders))
    translations = None if lexicon is None else _read_lexicon(lexicon)
    # The links do not depend on it: each aligner adds up in an order of its own, not of its
    # threads.
    n_threads = usable_threads(threads or None)
    runtime = Runtime(
        n_threads=n_threads,
        load_encoder=partial(_load_encoder, n_threads=n_threads),
        progress=progress,
    )
    with ExitStack() as stack:
        # Opened before anything is fitted, so that a wrong path is told at once.
        lines = stack.enter_context(_reading(input))
        lines_out = stack.enter_context(_writing(output))
        scores_out = None if scores is None else stack.enter_context(_writing(scores))
        return align_text(
            lines,
            lines_out,
            config=config,
            runtime=runtime,
            model=model,
            save_model=save_model,
            scores_out=scores_out,
            lexicon=translations,
        )


def _check_call(
    config: AlignerConfig, model: str | None, save_model: str | None, lexicon: str | None
) -> None:
    if model is not None and save_model is not None:
        raise ConfigError("--model applies a saved model and fits none; leave --save-model out")
    if lexicon is not None and (model is not None or not config.takes_lexicon):
        raise ConfigError("--lexicon is for fitting with --aligner hmm; leave it out")
    if config.fit_sample is None and (model is not None or save_model is not None):
        raise ConfigError(
            f"--aligner {config.aligner} fits no model; leave --model and --save-model out"
        )
    if model is not None and not Path(model).is_dir():
        raise ConfigError(f"{model}: no such folder; give --model that of a saved aligner")
    for folder in config.encoders:
        check_encoder(folder)


def _named(*paths: str | None) -> list[str]:
    return [path for path in paths if path is not None and path != STANDARD]


def _check_files(outputs: list[str], inputs: list[str]) -> None:
    for path in outputs:
        refuse_part_of(path, inputs, written_before=lambda _: False)
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise ConfigError(f"--out and --scores are both {outputs[0]}; give two files")


def _read_lexicon(path: str) -> pa.Table:
    from bitextile.kernels.align.known_translations import word_translations
    from bitextile.kernels.bitext.dictionary.source import DictionarySource, read_dictionary

    # The lines name no languages; their order does.
    source = DictionarySource(path=path, src_lang="a", tgt_lang="b", columns="src,tgt")
    return word_translations(read_dictionary(source))


def _load_encoder(folder: str, *, layer: int | None, prefix: str, n_threads: int) -> WordEncoder:
    import torch

    from bitextile.transforms.align_encoder import load_encoder

    # Before loading: `TorchEncoder` takes as many threads as torch is set to.
    torch.set_num_threads(n_threads)
    return load_encoder(folder, layer=layer, prefix=prefix)


@contextmanager
def _reading(path: str) -> Iterator[Iterator[str | None]]:
    """Yields the lines; bytes that are not UTF-8 become U+FFFD, so that no line is lost.

    None stands for a line of more than MAX_LINE_BYTES.
    """
    if path != STANDARD:
        refuse_outside(path)
    with ExitStack() as stack:
        try:
            raw = sys.stdin.buffer if path == STANDARD else stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check --input") from error
        # Read as bytes and split at \n alone: str.splitlines also splits at U+2028 and U+0085, and
        # then line n of the output would not be line n of the input.
        yield map(_decoded, iter(partial(_line, raw), b""))


def _line(raw: IO[bytes]) -> bytes:
    """Returns the next line; of a longer one than is read the beginning, and passes over the rest.

    What is returned of it is longer than MAX_LINE_BYTES, too.
    """
    line = rest = raw.readline(MAX_LINE_BYTES + 2)
    while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
        rest = raw.readline(MAX_LINE_BYTES + 2)
    return line


def _decoded(line: bytes) -> str | None:
    return None if len(line) > MAX_LINE_BYTES + 1 else line.decode(errors="replace")


@contextmanager
def _writing(path: str) -> Iterator[TextIO]:
    if path == STANDARD:
        # Standard output cannot be taken back, so lines appear on it as they come.
        yield sys.stdout
        return
    # A link is followed. What is no file, such as /dev/null, is written to as it is.
    path = os.path.realpath(path)
    in_place = os.path.exists(path) and not os.path.isfile(path)
    partial = path if in_place else f"{path}.{secrets.token_hex(8)}.partial"
    try:
        file = open(partial, "w", encoding="utf-8")  # noqa: SIM115 - closed below, then renamed
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        with file:
            yield file
        if not in_place:
            os.replace(partial, path)
    finally:
        if not in_place:
            with suppress(FileNotFoundError):
                os.remove(partial)
