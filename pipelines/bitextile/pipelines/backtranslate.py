"""`bitextile backtranslate`: mono -> pseudo, translations that a model made up."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from bitextile.kernels.backtranslate import TargetWeights
from bitextile.kernels.filters.translation import TranslationFilterConfig
from bitextile.kernels.text.scripts import usual_scripts
from bitextile.pipelines.runner.convert import convert_dataset
from bitextile.pipelines.runner.inputs import dataset_input
from bitextile.pipelines.runner.job import DatasetResult, check_outputs
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import ALIGNED, EXCHANGE, MONO, PAIRS, PSEUDO, SplitChoice
from bitextile.trainer.generate.config import CamlmConfig, Ctranslate2Config, Seq2seqConfig

Engine = CamlmConfig | Seq2seqConfig | Ctranslate2Config
_SEEN_TEXTS = 2_000
"""Sentences of a language that tell its scripts."""


@dataclass(frozen=True, kw_only=True)
class PseudoConfig:
    """What is translated into, and what is kept."""

    to: TargetWeights
    """Target languages, with sampling weights. Each sentence is translated into one of them, never
    into its own language."""
    translation_filter: TranslationFilterConfig = field(default_factory=TranslationFilterConfig)
    """Limits of what is kept. Scripts are found in the text."""

    def __post_init__(self) -> None:
        """Raises ConfigError for scripts, which would not be read."""
        if self.translation_filter.scripts:
            raise ConfigError(
                "backtranslate.translation_filter: scripts are found in the text; leave them out"
            )


@dataclass(frozen=True, kw_only=True)
class BacktranslateConfig(PseudoConfig):
    """What is translated into which languages, and by which model."""

    model: str
    """Folder of a model: local, weights in safetensors or converted by CTranslate2."""
    pairs: tuple[str, ...] = field(default=(), metadata={"option": "pairs"})
    """Dataset of pairs, on which length ratios and scripts of languages are measured."""
    split: SplitChoice = "train"
    """Split whose sentences are translated. Pseudo pairs have no split of their own, so held-out
    sentences are left out."""


def backtranslate(
    mono: str, out: str, *, config: BacktranslateConfig, engine: Engine, options: RunOptions
) -> DatasetResult:
    """Writes pseudo translations of a `mono` dataset; what the filter rejects goes to rejects.

    Args:
        mono: folder of the dataset.
        out: folder for the `pseudo` dataset.
        config: model, languages, filter.
        engine: how the model writes; its class tells which engine.
        options: how to run.

    Raises:
        ConfigError: the model cannot write these languages.
        InputError: there is nothing to translate.
        OutputExistsError: `out` is there.
    """
    from bitextile.kernels.model_digest import encoder_digest, model_digest

    check_outputs([out], options)
    source = open_dataset(mono, MONO)
    check_split(source, config.split)
    pairs = tuple(dataset_input(open_dataset(path)) for path in config.pairs)
    converted = isinstance(engine, Ctranslate2Config)
    # A converted model has no weights in safetensors, which `encoder_digest` looks for.
    digest = model_digest(config.model) if converted else encoder_digest(config.model)
    # Before Beam: a model that cannot write a language should not fail in each worker, hours later.
    loadable = _checked_engine(source, config, engine, digest)
    translation_filter = _with_scripts(source, config)

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.generation import Backtranslate

        return rows | Backtranslate(loadable, config.to, translation_filter, engine.seed)

    described = {"command": "backtranslate", **asdict(engine)}
    described |= {"model": config.model, "to": dict(config.to), "split": config.split}
    if isinstance(engine, CamlmConfig):
        # Measured on `pairs`, and the length of what a CAMLM writes: part of what made the rows.
        described["length_ratios"] = {f"{s} -> {t}": ratio for s, t, ratio in loadable.ratios}
    described["translation_filter"] = asdict(translation_filter)
    return convert_dataset(
        source,
        out,
        make,
        kind=PSEUDO,
        config=described,
        options=options,
        work=0.0,  # an engine uses every core in one process; two would only hold two models
        split=config.split,
        # By digest: --reuse must notice a model that was trained on under the same path.
        more_inputs=({"path": config.model, "digest": digest}, *pairs),
    )


def check_split(source: Dataset, split: str) -> None:
    """Raises InputError if a dataset has no sentence of a split."""
    keys = source.manifest.keys.values()
    rows = sum(k["rows"] if split == "all" else _of_split(k, split) for k in keys)
    if not rows:
        raise InputError(f"{source.path}: has no sentence of split {split}; give --split, or data")


def _of_split(statistics: dict[str, Any], split: str) -> int:
    counted = statistics.get("split")  # a foreign writer may not have counted
    return int(statistics["rows"] if counted is None else counted.get(split, 0))


def _checked_engine(
    source: Dataset, config: BacktranslateConfig, engine: Engine, digest: str
) -> Any:
    """Returns what workers load; raises ConfigError if the model cannot write the languages."""
    from bitextile.trainer.generate.camlm import camlm_engine
    from bitextile.trainer.generate.engines import translator_engine

    # Every pair that `draw_targets` may ask for.
    directions = {(src, tgt) for src in source.languages for tgt in config.to if src != tgt}
    if alone := sorted(set(source.languages) - {src for src, _ in directions}):
        raise ConfigError(
            f"{source.path} holds sentences in {alone[0]}, and --to names no other language; "
            "a sentence is never translated into its own language"
        )
    # A CAMLM's length ratios are per direction and measured; translators find lengths themselves.
    if isinstance(engine, CamlmConfig):
        return camlm_engine(
            config.model, digest=digest, directions=directions, pairs=config.pairs, config=engine
        )
    translator = translator_engine(config.model, digest=digest, config=engine)
    translator.check(directions)
    return translator


def _with_scripts(source: Dataset, config: BacktranslateConfig) -> TranslationFilterConfig:
    """Returns the filter with the scripts of each target language that there is text of."""
    datasets = [source, *(open_dataset(p, (PAIRS, ALIGNED, EXCHANGE)) for p in config.pairs)]
    scripts = {}
    for lang in config.to:
        texts = (text for dataset in datasets for text in _texts(dataset, lang))
        # A language without text gets no limit: the filter passes what it cannot judge.
        if found := usual_scripts(islice(texts, _SEEN_TEXTS)):
            scripts[lang] = found
    return replace(config.translation_filter, scripts=scripts)


def _texts(dataset: Dataset, lang: str) -> Iterator[str]:
    sides = dataset.kind.sides
    for key in dataset.keys:
        if lang not in dataset.languages_of(key):
            continue
        for batch in dataset.batches(key=key, columns=[c for side in sides for c in side]):
            for tags, texts in sides:
                named = zip(batch.column(tags).to_pylist(), batch.column(texts).to_pylist())
                yield from (text for tag, text in named if tag == lang)
