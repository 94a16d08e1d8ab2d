"""`bitextile run`: the whole chain of a recipe, from corpora to a page to look at."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bitextile.pipelines.align import align
from bitextile.pipelines.exchange import exchange
from bitextile.pipelines.ingest import ingest_corpora
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.recipe.corpora import find_files
from bitextile.pipelines.recipe.evaluation import (
    Evaluation,
    alignment_metrics,
    check_evaluation,
    compare_stages,
    model_metrics,
    telling,
)
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.pipelines.recipe.run_variants import (
    check_variants,
    derived,
    switch,
    uses_run_candidates,
)
from bitextile.pipelines.recipe.training_stages import (
    TrainingStage,
    check_training,
    model_folder,
    stage_config,
    stages_before_backtranslation,
    training_stages,
)
from bitextile.pipelines.report.page import write_report
from bitextile.pipelines.runner.inputs import check_files
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.runner.progress import RUN_PROGRESS, State, shown, write_progress
from bitextile.pipelines.tokenizer import same_tokenizer, train_tokenizer
from bitextile.schema.errors import (
    BitextileError,
    ConfigError,
    InterruptedRunError,
    OutputExistsError,
)
from bitextile.schema.locks import LOCK, hold
from bitextile.schema.storage import exists, is_local, write_atomically

Progress = Callable[[str | DatasetResult], None]
"""Called with the name of each step when it begins, and with each dataset that was written."""


@dataclass(frozen=True)
class Summary:
    """Results of a run: every dataset, every metric, and the page that shows them."""

    datasets: tuple[DatasetResult, ...]
    evaluations: tuple[Evaluation, ...]
    report: str


@dataclass(frozen=True)
class More:
    """What the page shows besides the results of the recipe.

    Attributes:
        datasets: after those of the recipe.
        evaluations: returns rows before those of the recipe; called when all steps are done.
    """

    datasets: tuple[DatasetResult, ...] = ()
    evaluations: Callable[[], list[Evaluation]] = field(default=list)


def run(
    recipe: Recipe,
    folder: Path,
    out: str,
    *,
    options: RunOptions,
    progress: Progress,
    more: More = More(),
) -> Summary:
    """Runs the chain: ingest, align, lexicon, variants, tokenizer, training, evaluation.

    Args:
        recipe: what to do.
        folder: what its paths are relative to.
        out: folder that gets one folder for each step, evaluation.json and report.html.
        options: how to run; `reuse` keeps the steps that are finished.
        progress: called with each step's name when it begins, and with each dataset it wrote.
        more: what else the page shows.

    Raises:
        ConfigError: the recipe is wrong; nothing was started.
        OutputInUseError: another run is writing to `out`.
        BitextileError: a step failed; the steps before it stay, and --reuse goes on from there.
    """
    steps = _Run(recipe, folder, out, options, progress)
    # Everything that can be known from the recipe, before hours of work: files, names, languages,
    # the stages' configurations.
    steps.check()
    # Steps lock their folders as well, which a single command may write at the same time.
    with hold(f"{out}/{LOCK}", out) if is_local(out) else nullcontext(), steps.told():
        steps.make_datasets()
        steps.make_tokenizer()
        steps.train()
        steps.evaluate()
        return steps.finish(more)


class _Run:
    """The steps of one run, and their results so far."""

    def __init__(
        self, recipe: Recipe, folder: Path, out: str, options: RunOptions, progress: Progress
    ) -> None:
        self.recipe, self.folder, self.out = recipe, folder, out
        self.options, self.progress = options, progress
        self.stages: tuple[TrainingStage, ...] = ()
        self.datasets: list[DatasetResult] = []
        self.evaluations: list[Evaluation] = []

    def at(self, name: str) -> str:
        """Returns the folder of a step's result."""
        return f"{self.out}/{name}"

    def check(self) -> None:
        """Raises ConfigError before anything runs, where a late step would fail."""
        sources = find_files(self.recipe.bitext, self.recipe.mono, self.folder)
        if not sources.bitext:
            raise ConfigError("the recipe has no `bitext`; the chain starts from sentence pairs")
        check_variants(self.recipe, self.folder)
        check_evaluation(self.recipe.evaluate, self.folder)
        self.stages = training_stages(self.recipe)
        check_training(self.recipe, self.folder, self.out)
        check_files((*sources.bitext, *sources.mono))

    def begin(self, step: str) -> None:
        """Says which step begins: to the caller, and for `bitextile status`."""
        self.progress(step)
        if is_local(self.out):
            planned = self.planned()
            state = State(
                "run",
                # A step that is not foreseen is the next one after those that were.
                planned.index(step) + 1 if step in planned else 0,
                len(planned),
                step,
                updated=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            write_progress(Path(self.out, RUN_PROGRESS), state)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Removes what `begin` has written, in the end."""
        try:
            yield
        finally:
            if is_local(self.out):
                Path(self.out, RUN_PROGRESS).unlink(missing_ok=True)

    def planned(self) -> list[str]:
        """Returns the steps in their order."""
        recipe, stages = self.recipe, [stage.name for stage in self.stages]
        if recipe.backtranslate is not None:
            stages.insert(stages_before_backtranslation(self.stages), "backtranslate")
        steps = ["ingest", "align", "lexicon", "exchange", "codeswitch"]
        steps += ["derive"] if recipe.derive else []
        steps += ["tokenizer", *stages]
        steps += ["candidates"] if recipe.candidates is not None else []
        return [*steps, *(["evaluate"] if self.stages else []), "report"]

    def add(self, *finished: DatasetResult) -> None:
        """Notes what a step wrote."""
        self.datasets += finished
        for dataset in finished:
            self.progress(dataset)

    def make_datasets(self) -> None:
        """Runs the pipelines from corpora to variants."""
        recipe, options = self.recipe, self.options
        self.begin("ingest")
        self.add(*ingest_corpora(recipe, self.folder, self.out, options=options))
        aligned = self.at("aligned")
        config = recipe.align.resolve_paths(self.folder)
        self.begin("align")
        self.add(align(self.at("pairs"), aligned, config=config, options=options))
        self.begin("lexicon")
        self.add(lexicon(aligned, self.at("lexicon"), config=recipe.lexicon, options=options))
        self.begin("exchange")
        self.add(exchange(aligned, self.at("exchange"), config=recipe.exchange, options=options))
        # Those that wait for candidates come after training, in `find_candidates`.
        self.begin("codeswitch")
        for asked in itertools.filterfalse(uses_run_candidates, recipe.codeswitch):
            self.add(switch(asked, self.folder, self.out, options=options))
        if recipe.derive:
            self.begin("derive")
        for wanted in recipe.derive:
            self.add(derived(wanted, self.folder, self.out, options=options))

    def make_tokenizer(self) -> None:
        """Trains the tokenizer on all text, unless the same one may be kept."""
        self.begin("tokenizer")
        # The other datasets are made of these sentences, which would be counted again.
        texts = [f.dataset.path for f in self.datasets if f.dataset.kind.name in ("pairs", "mono")]
        out, config = self.at("tokenizer"), self.recipe.tokenizer
        if self.options.reuse and exists(out):
            # Its own check, since a tokenizer is no dataset and has no digest of inputs in
            # `manifest.json`.
            if same_tokenizer(texts, out, config=config):
                return
            if not self.options.overwrite:
                raise OutputExistsError(
                    f"{out} was made from other inputs or with other options, so --reuse cannot "
                    "keep it; give --overwrite to replace it, or another --out"
                )
        train_tokenizer(texts, out, config=config, overwrite=self.options.overwrite)

    def train(self) -> None:
        """Pre-trains in stages; models supply data between and after them."""
        before_writing = stages_before_backtranslation(self.stages)
        for done, stage in enumerate(self.stages):
            # Before the first stage that learns from pseudo translations, by the model trained so
            # far.
            if done == before_writing:
                self.backtranslate(done)
            self.pretrain(stage)
        if before_writing == len(self.stages):
            self.backtranslate(before_writing)
        self.find_candidates()

    def pretrain(self, stage: TrainingStage) -> None:
        """Runs a stage from the model before it, and writes what the first one starts from.

        Raises:
            InterruptedRunError: a signal ended it; the run has not come to what it was asked for.
        """
        from bitextile.trainer.train.pretrain import save_initial

        config = stage_config(stage, self.recipe, self.folder, self.out)
        self.begin(stage.name)
        if stage.number == 1:
            # With --reuse as well: initial weights are no result, they follow from the
            # configuration.
            overwrite = self.options.overwrite or self.options.reuse
            save_initial(config, self.at(model_folder(0)), overwrite=overwrite)
        made = self.trained(config, self.at(stage.folder))
        if made.interrupted:
            raise InterruptedRunError(
                f"{made.out}: interrupted after {made.steps:,} of {config.steps:,} steps, which "
                "are kept; the same call with --reuse goes on from there",
                made.signal,
            )

    def trained(self, config: Any, model: str) -> Any:
        """Trains a model; as with datasets, --reuse keeps only what is the same."""
        from bitextile.trainer.train.pretrain import pretrain

        if self.options.reuse:
            try:
                # A finished run resumes to its end at once; an interrupted one goes on; a
                # configuration that is not the checkpoint's is a ConfigError, as --reuse wants it.
                return pretrain(config, model, resume=True)
            except ConfigError:
                if not self.options.overwrite:
                    raise
        return pretrain(config, model, overwrite=self.options.overwrite)

    def backtranslate(self, done: int) -> None:
        """Writes pseudo translations of `mono`, if the recipe asks for some.

        Args:
            done: how many stages of training are finished.

        Raises:
            BitextileError: the translation filter rejected all, and a stage was to learn from them.
        """
        part = self.recipe.backtranslate
        if part is None:
            return
        from bitextile.pipelines.backtranslate import BacktranslateConfig, backtranslate
        from bitextile.pipelines.recipe.models import engine_of

        self.begin("backtranslate")
        config = BacktranslateConfig(
            model=self.model(part.model, done),
            to=part.to,
            pairs=(self.at("pairs"),),
            translation_filter=part.translation_filter,
        )
        mono, out = self.at("mono"), self.at("pseudo")
        self.add(
            backtranslate(mono, out, config=config, engine=engine_of(part), options=self.options)
        )
        # An early model may write nothing that passes. Training on an empty dataset would fail
        # later, with a message about the dataset and not the model.
        counts = self.datasets[-1].dataset.manifest.counts
        if not counts.kept and done < len(self.stages):
            dropped = ", ".join(f"{rule} {n:,}" for rule, n in counts.rejected.items())
            raise BitextileError(
                f"{out}: the filter kept no translation ({dropped}), so there is nothing to learn "
                "from: train longer before, or loosen `backtranslate.translation_filter`, and go "
                "on with --reuse --overwrite"
            )

    def find_candidates(self) -> None:
        """Asks the model trained last for switching candidates, and switches by them."""
        part = self.recipe.candidates
        if part is None:
            return
        from bitextile.pipelines.candidates import CandidateSearchConfig, candidates

        self.begin("candidates")
        config = CandidateSearchConfig(
            **asdict(part)
            | {
                "model": self.model(part.model, len(self.stages)),
                "vocabulary_data": (self.at("pairs"),),
            }
        )
        made = candidates(
            self.at("mono"), self.at("candidates"), config=config, options=self.options
        )
        self.add(made)
        for asked in filter(uses_run_candidates, self.recipe.codeswitch):
            self.add(switch(asked, self.folder, self.out, options=self.options))

    def model(self, named: str, done: int) -> str:
        """Returns the folder of a model that the recipe names, else that of the last stage done."""
        return str(self.folder / named) if named else self.at(model_folder(done))

    def evaluate(self) -> None:
        """Measures the word alignment, and every model from the initial one to the last."""
        if self.stages:
            self.begin("evaluate")
        measured = self.recipe.evaluate, self.folder, self.out
        # The word alignments are measured without training, too.
        with shown("evaluate"):
            self.evaluations = alignment_metrics(*measured)
            if self.stages:
                # From 0, the initial weights: a gain is read against these.
                models = [model_folder(number) for number in range(len(self.stages) + 1)]
                found = [model_metrics(self.at(model), *measured) for model in models]
                self.evaluations += compare_stages(found)

    def finish(self, more: More) -> Summary:
        """Writes evaluation.json and report.html."""
        self.begin("report")
        self.datasets += more.datasets
        self.evaluations = more.evaluations() + self.evaluations
        write_atomically(
            self.at("evaluation.json"),
            (json.dumps(self.evaluations, ensure_ascii=False, indent=1) + "\n").encode(),
        )
        report = self.at("report.html")
        extras = {"metrics": self.training_curve(), "evaluations": telling(self.evaluations)}
        paths = [finished.dataset.path for finished in self.datasets]
        # Always replaced: it is made of the other outputs, all of which were checked by now.
        write_report(paths, report, extras=extras, overwrite=True)
        return Summary(tuple(self.datasets), tuple(self.evaluations), report)

    def training_curve(self) -> list[dict[str, Any]]:
        """Returns the training curve, one stage after the other; empty without training."""
        rows: list[dict[str, Any]] = []
        for stage in self.stages:
            # Steps count on from stage to stage, so that all losses share one axis.
            done = rows[-1]["step"] if rows else 0
            text = Path(self.at(stage.folder), "metrics.jsonl").read_text(encoding="utf-8")
            for row in map(json.loads, text.splitlines()):
                rows.append(row | {"step": row["step"] + done, "stage": stage.number})
        return rows
