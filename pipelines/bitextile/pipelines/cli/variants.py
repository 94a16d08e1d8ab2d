"""`exchange`, `codeswitch`, `derive`: text that differs from other text in a known way."""

import os
from dataclasses import dataclass, field
from typing import Annotated

import typer

from bitextile.kernels.bitext.dictionary.source import (
    DictionaryFormat,
    DictionarySource,
    LexiconLimits,
    dictionary_named,
)
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles, TaskTranslations
from bitextile.kernels.tasks.tasks import TASKS
from bitextile.pipelines.cli.shared import Out, print_results
from bitextile.pipelines.recipe.parts import base_config
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.ids import language_tag
from bitextile.schema.terminal import say


def exchange(
    aligned: Annotated[str, typer.Argument(help="folder of an aligned dataset")],
    out: Out,
    config: ExchangeConfig,
    options: RunOptions,
) -> None:
    """Swaps linked words between the two sentences of each pair."""
    from bitextile.pipelines.exchange import exchange as run

    print_results(run(aligned, out, config=config, options=options))


@dataclass(frozen=True, kw_only=True)
class DictionarySwitchOptions(DictionarySwitchConfig, DictionaryFormat, LexiconLimits):
    """Switching by dictionaries, all read alike."""

    dictionaries: tuple[str, ...] = field(metadata={"option": "lexicon"})
    """Dictionary file or folder of a lexicon, as SRC,TGT=PATH."""

    def sources(self) -> list[DictionarySource]:
        """Returns the dictionaries named."""
        # All dictionaries of a call are read alike; a recipe has options for each.
        how = vars(base_config(DictionaryFormat, self)) | vars(base_config(LexiconLimits, self))
        return [dictionary_named(text, **how) for text in self.dictionaries]


@dataclass(frozen=True, kw_only=True)
class TaskFieldSwitchOptions(TaskFieldSwitchConfig, TaskTranslations):
    """Switching of task data, the file of which is the command's argument."""

    def files(self, file: str) -> TaskFiles:
        """Returns the data set that `file` is part of."""
        return TaskFiles(file=file, **vars(base_config(TaskTranslations, self)))


SwitchOptions = (
    AlignmentSwitchConfig
    | MultilingualSwitchConfig
    | DictionarySwitchOptions
    | CandidatesSwitchConfig
    | TaskFieldSwitchOptions
)


def codeswitch(
    dataset: Annotated[str, typer.Argument(help="folder of a dataset; for task-field a task file")],
    out: Out,
    config: SwitchOptions,
    options: RunOptions,
) -> None:
    """Replaces words, or whole fields of task data, by their translations."""
    from bitextile.pipelines import codeswitch as run

    # The union is told apart by class; the last branch is the default, `alignment`.
    if isinstance(config, DictionarySwitchOptions):
        result = run.codeswitch_by_dictionary(
            dataset,
            out,
            dictionaries=config.sources(),
            config=base_config(DictionarySwitchConfig, config),
            options=options,
        )
    elif isinstance(config, TaskFieldSwitchOptions):
        by_field = base_config(TaskFieldSwitchConfig, config)
        files = config.files(dataset)
        result = run.codeswitch_task_fields(files, out, config=by_field, options=options)
    elif isinstance(config, MultilingualSwitchConfig):
        result = run.codeswitch_multilingual(dataset, out, config=config, options=options)
    elif isinstance(config, CandidatesSwitchConfig):
        result = run.codeswitch_by_candidates(dataset, out, config=config, options=options)
    else:
        result = run.codeswitch(dataset, out, config=config, options=options)
    print_results(result)


def derive(
    dataset: Annotated[
        str, typer.Argument(help="folder of mono, pairs or aligned; a CoNLL-U or task file")
    ],
    out: Out,
    config: DeriveConfig,
    options: RunOptions,
    language: Annotated[str, typer.Option(help="Language of a file")] = "en",
    task: Annotated[
        str | None,
        typer.Option(
            help=f"Task of a file that is written again: {', '.join(task.name for task in TASKS)}"
        ),
    ] = None,
) -> None:
    """Makes a derived language with exact links; with --task, derived task data."""
    from bitextile.pipelines import derive as run

    lang = language_tag(language)
    if task is not None:
        made = run.derive_file(
            dataset, out, task=task, lang=lang, config=config, overwrite=options.overwrite
        )
        counts = ", ".join(f"{name} {n:,}" for name, n in made.counts.items())
        say(f"{made.path}: {counts}")
    # A dataset is a folder or URI, so a file is CoNLL-U.
    elif os.path.isfile(dataset):
        made_of_file = run.derive_conllu(dataset, out, lang=lang, config=config, options=options)
        print_results(made_of_file)
    else:
        print_results(run.derive(dataset, out, config=config, options=options))
