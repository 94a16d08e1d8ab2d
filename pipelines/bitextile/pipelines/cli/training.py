"""`pretrain`, `finetune`, `evaluate`: the trainer, which works without Beam."""

import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from bitextile.pipelines.cli.options import Chosen, OneOf
from bitextile.pipelines.cli.shared import Overwrite
from bitextile.pipelines.runner.progress import shown
from bitextile.schema.errors import InterruptedRunError
from bitextile.schema.terminal import answer, json_printable, say
from bitextile.trainer.evaluate.tasks import TASKS

Run = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        help="local folder for the run, a model folder at the end; a symbolic link is followed",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")]


def pretrain(
    config: Annotated[str, typer.Argument(help="YAML file; see trainer/README.md")],
    out: Run,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Pre-trains an encoder on datasets, on several devices or machines if started by torchrun."""
    from bitextile.trainer.config import PretrainConfig

    def train(*arguments: Any, **options: Any) -> Any:
        # In here: what is wrong with the configuration is said before torch is loaded.
        from bitextile.trainer.train.pretrain import pretrain as run

        return run(*arguments, **options)

    given = _Given("pretrain", PretrainConfig, config, out)
    _train(given, train, overwrite=overwrite, resume=resume)


def finetune(
    config: Annotated[str, typer.Argument(help="YAML file; see trainer/README.md")],
    out: Run,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Fine-tunes an encoder for a task: alone, with SALT, or on switched data."""
    from bitextile.trainer.finetune.config import FinetuneConfig

    def train(*arguments: Any, **options: Any) -> Any:
        from bitextile.trainer.finetune.loop import finetune as run

        return run(*arguments, **options)

    given = _Given("finetune", FinetuneConfig, config, out)
    _train(given, train, overwrite=overwrite, resume=resume)


class _Given(NamedTuple):
    """What a run was called with."""

    command: str
    model: Any
    config: str
    out: str

    def checked(self, *, overwrite: bool, resume: bool) -> Any:
        """Returns the settings; all that can be seen without torch is right."""
        from bitextile.schema.inputs import refuse_inputs_in
        from bitextile.trainer.config_file import load_config
        from bitextile.trainer.run_paths import check_run_paths

        settings = load_config(self.model, self.config, command=self.command)
        check_run_paths(settings, self.out, overwrite=overwrite, resume=resume)
        if overwrite:
            refuse_inputs_in(self.out, [self.config])
        return settings


def _train(given: _Given, train: Callable[..., Any], *, overwrite: bool, resume: bool) -> None:
    flags = {"overwrite": overwrite, "resume": resume}
    # torchrun starts this command once for each rank; then one of them tells for all.
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    settings = given.checked(**flags) if alone else None
    from bitextile.trainer.distributed.process_group import PeerFailedError, init_distributed

    try:
        with init_distributed() as group:
            # If one rank cannot read the file, all stop together, where the others would wait.
            if settings is None:
                settings = group.on_all(lambda: given.checked(**flags))
            made = train(settings, given.out, group=group, **flags)
    except PeerFailedError as error:  # the rank it began on says why
        raise typer.Exit(error.exit_code) from error
    state = f"{given.out}: {made.steps:,} steps, {made.tokens:,} tokens, {made.seconds:.0f} s"
    if group.is_main and not made.interrupted:
        say(f"{state}, done")
    elif group.is_main:
        raise InterruptedRunError(f"{state}, interrupted; --resume goes on", made.signal)
    elif made.interrupted:  # the first rank says so for all
        sys.exit(128 + made.signal)


def evaluate(
    model: Annotated[str, typer.Argument(help="model folder; for alignment also a dataset")],
    task: Annotated[
        Chosen,
        OneOf("task", {t.name: t.options for t in TASKS}, {t.name: t.data for t in TASKS}),
    ],
    data: Annotated[list[str], typer.Option(help="Dataset, gold file or text file; repeatable")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="JSON file for the metrics")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Measures a model, or the word alignments of a dataset, and prints the metrics as JSON."""
    from bitextile.trainer.evaluate.evaluate import evaluate as run

    options = vars(task.config)
    with shown("evaluate"):
        found = run(model, task=task.name, data=data, out=out, overwrite=overwrite, **options)
    answer(json_printable(json.dumps(found, ensure_ascii=False, indent=1)))
