"""`ingest`, `tokenizer`, `verify`, `export`, `report`: datasets made, checked, shown, handed on."""

from typing import Annotated, Any

import typer

from bitextile.pipelines.cli.shared import (
    Out,
    Overwrite,
    Reuse,
    Workers,
    console,
    run_options,
    say,
)
from bitextile.schema.errors import ConfigError


def ingest(
    recipe: Annotated[str, typer.Argument(help="YAML file that names the corpora")],
    out: Out,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Corpora -> OUT/pairs and OUT/mono: read, normalise, filter, de-duplicate, split."""
    from bitextile.pipelines.ingest import ingest as run

    say(*run(recipe, out, options=run_options(overwrite, reuse, workers)))


def tokenizer(
    datasets: Annotated[
        list[str], typer.Argument(help="folders of pairs, mono or aligned datasets")
    ],
    out: Out,
    vocab_size: Annotated[int, typer.Option(help="ids, specials included")] = 32_000,
    alpha: Annotated[float, typer.Option(help="languages weigh by share ** alpha")] = 0.3,
    max_sentences: Annotated[int, typer.Option(help="sentences learned from")] = 1_000_000,
    overwrite: Overwrite = False,
) -> None:
    """Trains a SentencePiece tokenizer that transformers loads."""
    from bitextile.pipelines.tokenizer import TokenizerConfig, train_tokenizer

    config = TokenizerConfig(vocab_size=vocab_size, alpha=alpha, max_sentences=max_sentences)
    made = train_tokenizer(datasets, out, config=config, overwrite=overwrite)
    sampled = ", ".join(f"{lang} {n:,}" for lang, n in made.sampled.items())
    console.print(f"{out}: {made.vocab_size:,} ids from sentences in {sampled}", markup=False)


def verify(dataset: Annotated[str, typer.Argument(help="folder of a dataset")]) -> None:
    """Reads every byte of a dataset and checks all that the contract promises."""
    from bitextile.pipelines.verify import verify as run

    summary = run(dataset)
    keys = ", ".join(f"{key} {counts.rows:,}" for key, counts in summary.keys.items())
    typer.echo(f"{summary.dataset}: {summary.kind}, {summary.digest}, {keys}: all is well")


def export(
    aligned: Annotated[str, typer.Argument(help="folder of aligned or pairs; muse: of a lexicon")],
    format: Annotated[str, typer.Option(help="pharaoh, moses, tsv, jsonl or muse")],
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """Writes a dataset as files that other tools read."""
    from bitextile.pipelines.export import export_dataset

    if format not in ("pharaoh", "moses", "tsv", "jsonl", "muse"):
        raise ConfigError(f"--format {format}: expected pharaoh, moses, tsv, jsonl or muse")
    wanted: Any = format
    export_dataset(aligned, out, format=wanted, overwrite=overwrite)
    console.print(f"{out}: written as {format}", markup=False)


def report(
    datasets: Annotated[list[str], typer.Argument(help="folders of datasets of any kind")],
    out: Annotated[str, typer.Option(help="the HTML file")],
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    examples: Annotated[int, typer.Option(help="rows shown per dataset")] = 8,
    overwrite: Overwrite = False,
) -> None:
    """Writes one page that shows counts, rejects, links, exchanged and switched words."""
    from bitextile.pipelines.report.page import write_report

    write_report(datasets, out, title=title, examples=examples, overwrite=overwrite)
    typer.echo(out)
