"""`ingest`, `tokenizer`, `verify`, `export`, `report`: datasets made, checked, exported, shown."""

from typing import Annotated

import typer

from bitextile.kernels.export.formats import FORMATS
from bitextile.kernels.filters.rules import RULES
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.cli.shared import Out, Overwrite, print_results
from bitextile.pipelines.export_order import ExportOrder
from bitextile.pipelines.report.config import ReportConfig
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.terminal import answer, say


def ingest(
    recipe: Annotated[
        str,
        typer.Argument(
            help="YAML file that names the corpora. Rules of its filters, in their order: "
            + " ".join(f"{rule.id}: {rule.doc}" for rule in RULES)
        ),
    ],
    out: Out,
    options: RunOptions,
) -> None:
    """Corpora -> OUT/pairs and OUT/mono: read, normalise, filter, de-duplicate, split."""
    from bitextile.pipelines.ingest import ingest as run

    print_results(*run(recipe, out, options=options))


def tokenizer(
    datasets: Annotated[
        list[str], typer.Argument(help="folders of pairs, mono or aligned datasets")
    ],
    out: Out,
    config: TokenizerConfig,
    overwrite: Overwrite = False,
) -> None:
    """Trains a SentencePiece tokenizer that transformers loads."""
    from bitextile.pipelines.tokenizer import train_tokenizer

    # No RunOptions: SentencePiece trains in this process, so there are no workers and nothing for
    # Beam.
    made = train_tokenizer(datasets, out, config=config, overwrite=overwrite)
    sampled = ", ".join(f"{lang} {n:,}" for lang, n in made.sampled.items())
    say(f"{out}: {made.vocab_size:,} ids from sentences in {sampled}")


def status(
    folder: Annotated[
        str, typer.Argument(help="what `run`, `pretrain`, `finetune` or any --out has written")
    ],
) -> None:
    """Tells what a run has done and is doing: datasets, models, steps, rows, time left."""
    from bitextile.pipelines.runner.status import status as look

    # On stdout: the answer is what the command was called for.
    answer("\n".join(map(str, look(folder))))


def verify(dataset: Annotated[str, typer.Argument(help="folder of a dataset")]) -> None:
    """Reads every byte of a dataset and checks all that the contract promises."""
    from bitextile.pipelines.verify import verify as run

    summary = run(dataset)
    keys = ", ".join(f"{key} {counts.rows:,}" for key, counts in summary.keys.items())
    # On stdout: the answer is what the command was called for.
    answer(f"{summary.dataset}: {summary.kind}, {summary.digest}, {keys}: OK")


def export(
    dataset: Annotated[str, typer.Argument(help="folder of aligned or pairs; muse: of a lexicon")],
    format: Annotated[
        str, typer.Option(help="; ".join(f"{format.name}: {format.doc}" for format in FORMATS))
    ],
    out: Out,
    order: ExportOrder,
    overwrite: Overwrite = False,
) -> None:
    """Writes a dataset as files that other tools read."""
    from bitextile.pipelines.export import export_dataset

    summary = export_dataset(dataset, out, format=format, order=order, overwrite=overwrite)
    say(f"{out}: written as {format}")
    for file in summary.corpus_files:
        lines = f"{file.lines:,} lines, {file.empty:,} of them empty"
        say(f"{out}/{file.folder}: {file.key}, {lines}, of {file.corpus} {file.file}")


def report(
    datasets: Annotated[list[str], typer.Argument(help="folders of datasets of any kind")],
    out: Annotated[str, typer.Option("--out", "-o", help="Path of the HTML file")],
    config: ReportConfig,
    overwrite: Overwrite = False,
) -> None:
    """Writes one page that shows counts, rejects, links, exchanged and switched words."""
    from bitextile.pipelines.report.page import write_report

    write_report(datasets, out, config=config, overwrite=overwrite)
    answer(out)
