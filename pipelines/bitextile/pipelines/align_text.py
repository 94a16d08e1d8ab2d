"""`bitextile align-text`: an aligner alone, from text lines to Pharaoh lines; no Beam."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

import pyarrow as pa

from bitextile.kernels.align.eflomal import (
    EflomalModel,
    alignment_of_sampled,
    find_program,
    model_of_sampled,
    sample_links,
)
from bitextile.kernels.align.engine import (
    AlignConfig,
    EflomalConfig,
    HmmConfig,
    SimalignConfig,
    lexicon_of,
)
from bitextile.kernels.align.hmm.apply import Alignment
from bitextile.kernels.align.pharaoh import (
    PAIRS_PER_BATCH,
    TextSummary,
    align_text,
    sides_of,
    write_links,
)
from bitextile.schema.errors import ConfigError, InputError

STANDARD = "-"
Progress = Callable[[str], None]
Alignments = Iterator[Alignment]


def align_files(
    input: str,
    output: str,
    *,
    config: AlignConfig,
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
        config: of the engine; what it says of samples and segmenters is not used here.
        model: folder of a saved model to apply.
        save_model: folder the fitted model is saved to.
        scores: where the mean log score of each line's links goes.
        lexicon: known translations for the statistical aligner, source word first, of any format
            that `kernels.bitext.dictionary.source` reads.
        threads: 0 takes every core.
        progress: told now and then how far it is.

    Raises:
        ConfigError: `model` and `save_model` together, or a wrong option.
        InputError: the input cannot be read.
    """
    _check_call(config, model, save_model, lexicon)
    known = None if lexicon is None else _known(lexicon)
    with ExitStack() as stack:
        lines = stack.enter_context(_reading(input))
        written = stack.enter_context(_writing(output))
        scored = None if scores is None else stack.enter_context(_writing(scores))
        if isinstance(config, HmmConfig):
            return align_text(
                lines,
                written,
                model=model,
                save_model=save_model,
                scores_out=scored,
                symmetrize=config.symmetrize,
                threshold=config.threshold,
                lexicon=known,
                n_threads=threads or None,
                progress=progress,
            )
        summary = TextSummary()
        sides = sides_of(lines, summary)
        if isinstance(config, EflomalConfig):
            parts = _by_eflomal(*sides, config, summary, (model, save_model), threads, progress)
        else:
            parts = _by_encoder(*sides, config, summary, threads)
        return _written(parts, written, scored, summary, progress)


def _check_call(
    config: AlignConfig, model: str | None, save_model: str | None, lexicon: str | None
) -> None:
    if model is not None and save_model is not None:
        raise ConfigError("--model applies a saved model and fits none; leave --save-model out")
    if lexicon is not None and (model is not None or not isinstance(config, HmmConfig)):
        raise ConfigError("--lexicon is for fitting with --aligner hmm; leave it out")
    if isinstance(config, SimalignConfig) and (model is not None or save_model is not None):
        raise ConfigError("--aligner simalign fits no model; leave --model and --save-model out")


def _known(path: str) -> pa.Table:
    from bitextile.kernels.bitext.dictionary.source import DictionarySource, read_dictionary

    # The lines name no languages; their order does.
    source = DictionarySource(path=path, src_lang="a", tgt_lang="b", columns="src,tgt")
    return lexicon_of(read_dictionary(source))


def _written(
    parts: Alignments,
    written: TextIO,
    scored: TextIO | None,
    summary: TextSummary,
    progress: Progress,
) -> TextSummary:
    done = 0
    for alignment in parts:
        write_links(alignment, written, scored, summary)
        done += len(alignment.links)
        progress(f"aligned {done:,} of {summary.lines:,} lines")
    summary.no_links -= summary.lines - summary.aligned
    return summary


def _by_eflomal(
    src: pa.ListArray,
    tgt: pa.ListArray,
    config: EflomalConfig,
    summary: TextSummary,
    models: tuple[str | None, str | None],
    threads: int,
    progress: Progress,
) -> Alignments:
    """Yields the links that eflomal drew when it trained on these lines, or with a saved model."""
    applied, saved = models
    known = None if applied is None else EflomalModel.load(applied)
    find_program("eflomal-align", config.sampling)
    progress(f"eflomal: {summary.aligned:,} pairs; it tells nothing until it is done")
    sampled = sample_links(
        src, tgt, sampling=config.sampling, model=known, n_threads=threads or None
    )
    if cut := sampled.statistics["pairs_in_windows"]:
        progress(f"eflomal: {cut:,} pairs too long for it were cut into windows")
    if saved is not None:
        known = model_of_sampled(sampled, sampling=config.sampling)
        known.save(saved)
    summary.model = known.digest if known else ""
    alignment = alignment_of_sampled(sampled, symmetrize=config.symmetrize)
    for first in _firsts(len(src)):
        links, score = (c.slice(first, PAIRS_PER_BATCH) for c in (alignment.links, alignment.score))
        yield Alignment(links, score)


def _by_encoder(
    src: pa.ListArray, tgt: pa.ListArray, config: SimalignConfig, summary: TextSummary, threads: int
) -> Alignments:
    import torch

    from bitextile.kernels.model_digest import encoder_digest
    from bitextile.transforms.encoder_model import EncoderAligner

    summary.model = encoder_digest(config.encoder)
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    encoder = EncoderAligner(config.encoder, layer=config.layer)
    for first in _firsts(len(src)):
        batch = (side.slice(first, PAIRS_PER_BATCH) for side in (src, tgt))
        yield encoder.align(*batch, matcher=config.matcher)


def _firsts(n_lines: int) -> Iterable[int]:
    return range(0, n_lines, PAIRS_PER_BATCH)


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
