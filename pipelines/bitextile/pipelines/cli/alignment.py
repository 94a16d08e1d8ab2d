"""`align`, `align-text`, `lexicon`: words that translate each other."""

from typing import Annotated

import typer

from bitextile.kernels.align.engine import AlignConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.pipelines.cli.options import Without
from bitextile.pipelines.cli.shared import Out, print_results
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.terminal import say


def align(
    pairs: Annotated[str, typer.Argument(help="folder of a pairs dataset")],
    out: Out,
    config: AlignConfig,
    options: RunOptions,
) -> None:
    """Aligns the words of every pair, by an aligner fitted per language pair or an encoder."""
    # In each command: importing a pipeline takes longer than help or a refusal should.
    from bitextile.pipelines.align import align as run

    print_results(run(pairs, out, config=config, options=options))


def align_text(
    config: Annotated[AlignConfig, Without(("sample_pairs", "segmenter", "seed", "lexicons"))],
    input: Annotated[
        str, typer.Option("--input", "-i", help="Lines `source words ||| target words`; - is stdin")
    ] = "-",
    out: Annotated[
        str, typer.Option("--out", "-o", help="Pharaoh lines, one per input line; - is stdout")
    ] = "-",
    model: Annotated[
        str | None, typer.Option(help="Folder of a saved model that is applied; nothing is fitted")
    ] = None,
    save_model: Annotated[str | None, typer.Option(help="Folder for the fitted model")] = None,
    scores: Annotated[
        str | None, typer.Option(help="File for each line's mean log score of a link")
    ] = None,
    lexicon: Annotated[
        str | None, typer.Option(help="hmm: File of known translations, source word first")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 takes every core")] = 0,
) -> None:
    """The aligner alone, on text lines: a drop-in for fast_align and eflomal."""
    from bitextile.pipelines.align_text import align_files

    # Links may go to standard output, so all that is printed about them goes to stderr.
    summary = align_files(
        input,
        out,
        config=config,
        model=model,
        save_model=save_model,
        scores=scores,
        lexicon=lexicon,
        threads=threads,
        progress=lambda line: say(line),
    )
    skipped = {
        "no_separator": "without `|||`",
        "empty_side": "with an empty side",
        "too_long": "too long",
        "no_links": "without a likely link",
    }
    counts = [f"{n:,} {text}" for name, text in skipped.items() if (n := getattr(summary, name))]
    line = f"{summary.lines:,} lines, {summary.aligned:,} aligned, {summary.links:,} links"
    say(", ".join([line, *counts]))


def lexicon(
    aligned: Annotated[str, typer.Argument(help="folder of an aligned dataset")],
    out: Out,
    config: LexiconConfig,
    options: RunOptions,
) -> None:
    """Makes a bilingual dictionary from the word alignments."""
    from bitextile.pipelines.lexicon import lexicon as run

    print_results(run(aligned, out, config=config, options=options))
