"""`bitextile run`: the whole chain of a recipe, from corpora to a page to look at."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitextile.pipelines.align import align, beside
from bitextile.pipelines.exchange import exchange
from bitextile.pipelines.ingest import ingest_corpora
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.recipe import Recipe, sources_of
from bitextile.pipelines.report import write_report
from bitextile.pipelines.running import Finished, RunOptions
from bitextile.pipelines.tokenizer import same_tokenizer, train_tokenizer
from bitextile.pipelines.variants import check_variants, derived, switch
from bitextile.schema.errors import BitextileError, ConfigError, OutputExistsError
from bitextile.schema.storage import exists, write_atomically

Tell = Callable[[str | Finished], None]
Evaluation = dict[str, Any]

OBJECTIVES = {"mlm": 1.0, "tlm": 1.0, "weam": 1.0}
ON_MONO = frozenset({"mlm", "align_mlm", "dict_mlm"})
"""Objectives on single sentences: they read `mono` where the recipe has some, else `aligned`."""
WITH_LEXICON = frozenset({"align_mlm", "dict_mlm"})


@dataclass(frozen=True)
class Summary:
    """What a run came to: every dataset, every figure, and the page that shows them."""

    datasets: tuple[Finished, ...]
    evaluations: tuple[Evaluation, ...]
    report: str


def run(recipe: Recipe, folder: Path, out: str, *, options: RunOptions, tell: Tell) -> Summary:
    """Runs the chain: ingest, align, lexicon, variants, tokenizer, training, evaluation.

    Args:
        recipe: what to do.
        folder: what its paths are relative to.
        out: folder that gets one folder for each stage, evaluation.json and report.html.
        options: how to run; `reuse` keeps the stages that are finished.
        tell: called with each stage's name when it begins, and with each dataset it wrote.

    Raises:
        ConfigError: the recipe is wrong; nothing was started.
        BitextileError: a stage failed; the stages before it stay, and --reuse goes on from there.
    """
    chain = _Chain(recipe, folder, out, options, tell)
    chain.check()
    chain.make_datasets()
    chain.make_tokenizer()
    chain.train_and_evaluate()
    return chain.finish()


class _Chain:
    """The stages of one run, and what they have come to so far."""

    def __init__(
        self, recipe: Recipe, folder: Path, out: str, options: RunOptions, tell: Tell
    ) -> None:
        self.recipe, self.folder, self.out = recipe, folder, out
        self.options, self.tell = options, tell
        self.datasets: list[Finished] = []
        self.evaluations: list[Evaluation] = []

    def at(self, name: str) -> str:
        """Returns where a stage's result lies."""
        return f"{self.out}/{name}"

    def check(self) -> None:
        """Raises ConfigError before anything runs, where a late stage would fail."""
        sources = sources_of(self.recipe, self.folder)
        if not sources.bitext:
            raise ConfigError("the recipe has no `bitext`; the chain starts from sentence pairs")
        check_variants(self.recipe, self.folder)
        for gold in self.recipe.evaluate.alignment:
            self.existing(gold.gold)
        for texts in self.recipe.evaluate.retrieval:
            for file in texts.files:
                self.existing(file)
        if self.recipe.pretrain is not None:
            self.pretrain_config(mono=bool(sources.mono))

    def existing(self, name: str) -> str:
        """Returns the path of a file the recipe names; raises ConfigError if there is none."""
        path = self.folder / name
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; check the recipe's `evaluate`")
        return str(path)

    def done(self, *finished: Finished) -> None:
        """Notes what a stage wrote."""
        self.datasets += finished
        for dataset in finished:
            self.tell(dataset)

    def make_datasets(self) -> None:
        """Runs the pipelines from corpora to variants."""
        recipe, options = self.recipe, self.options
        self.tell("ingest")
        self.done(*ingest_corpora(recipe, self.folder, self.out, options=options))
        aligned = self.at("aligned")
        config = beside(recipe.align, self.folder)
        self.tell("align")
        self.done(align(self.at("pairs"), aligned, config=config, options=options))
        self.tell("lexicon")
        self.done(lexicon(aligned, self.at("lexicon"), config=recipe.lexicon, options=options))
        self.tell("exchange")
        self.done(exchange(aligned, self.at("exchange"), config=recipe.exchange, options=options))
        self.tell("codeswitch")
        for asked in recipe.codeswitch:
            self.done(switch(asked, self.folder, self.out, options=options))
        if recipe.derive:
            self.tell("derive")
        for wanted in recipe.derive:
            self.done(derived(wanted, self.folder, self.out, options=options))

    def make_tokenizer(self) -> None:
        """Trains the tokenizer on all text, unless the same one may be kept."""
        self.tell("tokenizer")
        texts = [f.dataset.path for f in self.datasets if f.dataset.kind.name in ("pairs", "mono")]
        out, config = self.at("tokenizer"), self.recipe.tokenizer
        if self.options.reuse and exists(out):
            if same_tokenizer(texts, out, config=config):
                return
            if not self.options.overwrite:
                raise OutputExistsError(
                    f"{out} was made from other inputs or with other options, so --reuse cannot "
                    "keep it; give --overwrite to replace it, or another --out"
                )
        train_tokenizer(texts, out, config=config, overwrite=self.options.overwrite)

    def pretrain_config(self, *, mono: bool) -> Any:
        """Returns the trainer's configuration, with this run's folders filled in."""
        from bitextile.trainer.config import parse_config

        settings = dict(self.recipe.pretrain or {})
        objectives = settings.pop("objectives", OBJECTIVES)
        if not isinstance(objectives, dict):
            raise ConfigError(
                f"pretrain.objectives is {objectives!r}, expected a weight, or options such as "
                "{weight: 2}, by name"
            )
        data = [self._entry(name, value, mono=mono) for name, value in objectives.items()]
        content = {"tokenizer": self.at("tokenizer"), "data": data, **settings}
        return parse_config(content, base=Path.cwd(), where="the recipe's `pretrain`")

    def _entry(self, name: str, value: Any, *, mono: bool) -> dict[str, Any]:
        """Returns an entry of the mixture on this run's datasets."""
        options = value if isinstance(value, dict) else {"weight": value}
        dataset = "mono" if name in ON_MONO and mono else "aligned"
        lexicon = {"lexicon": self.at("lexicon")} if name in WITH_LEXICON else {}
        return {"objective": name, "dataset": self.at(dataset)} | lexicon | options

    def train_and_evaluate(self) -> None:
        """Pre-trains, if the recipe says so, and measures before and after; always the links."""
        if self.recipe.pretrain is None:
            self.evaluations = self.link_figures()
            return
        from bitextile.trainer.loop import pretrain, save_initial

        mono = any(f.dataset.kind.name == "mono" for f in self.datasets)
        config = self.pretrain_config(mono=mono)
        model, initial = self.at("model"), self.at("initial")
        reuse = self.options.reuse
        self.tell("pretrain")
        save_initial(config, initial, overwrite=self.options.overwrite or reuse)
        overwrite = self.options.overwrite and not reuse
        if (made := pretrain(config, model, overwrite=overwrite, resume=reuse)).interrupted:
            raise BitextileError(
                f"{model}: interrupted after {made.steps:,} steps; --reuse goes on from there"
            )
        self.tell("evaluate")
        before, after = self.model_figures(initial), self.model_figures(model)
        self.evaluations = self.link_figures()
        for name, (value, unit) in after.items():
            figure = {"name": name, "before": before[name][0], "after": value, "unit": unit}
            self.evaluations.append(figure)

    def link_figures(self) -> list[Evaluation]:
        """Returns the alignment error rate of the links in the shards, by gold set."""
        from bitextile.trainer.evaluate.run import evaluate

        figures = []
        for gold in self.recipe.evaluate.alignment:
            path = self.existing(gold.gold)
            found = evaluate(self.at("aligned"), task="alignment", data=[path])
            (result,) = found["results"].values()
            for metric in ("aer", "precision", "recall"):
                figure = {"before": None, "after": result[metric]["value"], "unit": ""}
                figures.append({"name": f"{gold.name}: links, {metric}", **figure})
        return figures

    def model_figures(self, model: str) -> dict[str, tuple[float, str]]:
        """Returns every figure of one model: name to value and unit."""
        from bitextile.trainer.evaluate.run import evaluate

        figures: dict[str, tuple[float, str]] = {}
        sets = {"test split": [self.at("pairs")]} | {
            entry.name: [self.existing(file) for file in entry.files]
            for entry in self.recipe.evaluate.retrieval
        }
        for name, data in sets.items():
            for key, result in evaluate(model, task="retrieval", data=data)["results"].items():
                figures |= _retrieval_figures(name if key == "files" else f"{name} {key}", result)
        for gold in self.recipe.evaluate.alignment:
            found = evaluate(model, task="alignment", data=[self.existing(gold.gold)])
            (result,) = found["results"].values()
            figures[f"{gold.name}: encoder, aer"] = (result["aer"]["value"], "")
        perplexity = evaluate(model, task="mlm", data=[self.at("pairs")])["results"]["pairs"]
        for lang, result in perplexity.items():
            figures[f"masked perplexity {lang}"] = (result["perplexity"]["value"], "")
        return figures

    def finish(self) -> Summary:
        """Writes evaluation.json and report.html."""
        self.tell("report")
        write_atomically(
            self.at("evaluation.json"),
            (json.dumps(self.evaluations, ensure_ascii=False, indent=1) + "\n").encode(),
        )
        report = self.at("report.html")
        extras = {"metrics": self.metrics(), "evaluations": self.evaluations}
        paths = [finished.dataset.path for finished in self.datasets]
        write_report(paths, report, extras=extras, overwrite=True)
        return Summary(tuple(self.datasets), tuple(self.evaluations), report)

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the training curve, empty without training."""
        path = Path(self.at("model")) / "metrics.jsonl"
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _retrieval_figures(name: str, result: dict[str, Any]) -> dict[str, tuple[float, str]]:
    directions = ("src_to_tgt", "tgt_to_src")
    return {
        f"retrieval {name} {direction.replace('_', ' ')}": (result[direction]["value"], "accuracy")
        for direction in directions
    }
