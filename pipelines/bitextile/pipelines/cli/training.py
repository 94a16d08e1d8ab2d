"""`pretrain`, `finetune`, `evaluate`: the trainer, which works without Beam."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bitextile.pipelines.cli.options import Chosen, OneOf
from bitextile.pipelines.cli.shared import Overwrite, console
from bitextile.trainer.evaluate.tasks import TASKS

Run = Annotated[str, typer.Option(help="local folder for the run, a model folder at the end")]
Resume = Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")]


def pretrain(
    config: Annotated[str, typer.Argument(help="YAML file; see trainer/README.md")],
    out: Run,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Pre-trains an encoder on datasets, on several devices or machines if started by torchrun."""
    from bitextile.trainer.config import PretrainConfig
    from bitextile.trainer.train.pretrain import pretrain as train

    _train(PretrainConfig, train, config, out, overwrite=overwrite, resume=resume)


def finetune(
    config: Annotated[str, typer.Argument(help="YAML file; see trainer/README.md")],
    out: Run,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Fine-tunes an encoder for a task: alone, with SALT, or on switched data."""
    from bitextile.trainer.finetune.config import FinetuneConfig
    from bitextile.trainer.finetune.loop import finetune as train

    _train(FinetuneConfig, train, config, out, overwrite=overwrite, resume=resume)


def _train(model: Any, train: Callable[..., Any], config: str, out: str, **flags: bool) -> None:
    from bitextile.schema.inputs import refuse_inputs_in
    from bitextile.trainer.config_file import load_config
    from bitextile.trainer.distributed.process_group import PeerFailedError, init_distributed

    try:
        # torchrun starts this command once for each rank; alone it is a group of one.
        with init_distributed() as group:
            # Each rank reads the file; if one cannot, all stop together, where the others would
            # wait for it.
            settings = group.on_all(lambda: load_config(model, config))
            if flags["overwrite"]:
                group.on_all(lambda: refuse_inputs_in(out, [config]))
            made = train(settings, out, group=group, **flags)
    except PeerFailedError as error:  # the rank it began on says why
        raise typer.Exit(error.exit_code) from error
    if group.is_main:
        state = "interrupted; --resume goes on" if made.interrupted else "done"
        line = f"{out}: {made.steps:,} steps, {made.tokens:,} tokens, {made.seconds:.0f} s, {state}"
        console.print(line, markup=False)


def evaluate(
    model: Annotated[str, typer.Argument(help="model folder; for alignment also a dataset")],
    task: Annotated[
        Chosen,
        OneOf("task", {t.name: t.options for t in TASKS}, {t.name: t.data for t in TASKS}),
    ],
    data: Annotated[list[str], typer.Option(help="Dataset, gold file or text file; repeatable")],
    out: Annotated[str | None, typer.Option(help="JSON file for the metrics")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Measures a model, or the word alignments of a dataset, and prints the metrics as JSON."""
    from bitextile.trainer.evaluate.evaluate import evaluate as run

    options = vars(task.config)
    found = run(model, task=task.name, data=data, out=out, overwrite=overwrite, **options)
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
