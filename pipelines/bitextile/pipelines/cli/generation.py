"""`backtranslate` and `candidates`: what a model supplies."""

from typing import Annotated

import typer

from bitextile.pipelines.backtranslate import BacktranslateConfig, Engine
from bitextile.pipelines.candidates import CandidateSearchConfig
from bitextile.pipelines.cli.shared import Out, print_results
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.ids import language_tag


def backtranslate(
    mono: Annotated[str, typer.Argument(help="folder of a mono dataset")],
    out: Out,
    config: BacktranslateConfig,
    engine: Engine,
    options: RunOptions,
) -> None:
    """Writes pseudo translations of sentences by a model: kind pseudo."""
    from bitextile.pipelines.backtranslate import backtranslate as run

    print_results(run(mono, out, config=config, engine=engine, options=options))


def candidates(
    mono: Annotated[
        str,
        typer.Argument(metavar="SENTENCES", help="folder of a mono dataset, or a task file (TSV)"),
    ],
    out: Out,
    config: CandidateSearchConfig,
    options: RunOptions,
    language: Annotated[
        str | None,
        typer.Option(help="Language of a task file: premise TAB hypothesis TAB label"),
    ] = None,
) -> None:
    """Writes words of other languages that a model would put in each word's place (SALT)."""
    from bitextile.pipelines.candidates import candidates as run
    from bitextile.pipelines.candidates import task_candidates

    if language is None:
        print_results(run(mono, out, config=config, options=options))
        return
    # Datasets say their language themselves; a task file does not.
    lang = language_tag(language)
    print_results(task_candidates(mono, out, language=lang, config=config, options=options))
