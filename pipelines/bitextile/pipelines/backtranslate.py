"""`bitextile backtranslate`: mono -> pseudo, translations that a model made up."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from bitextile.kernels.filters.translation import TranslationFilterConfig, scripts_of
from bitextile.pipelines.runner.job import DatasetResult, RunOptions, dataset_input
from bitextile.pipelines.runner.stage import run_stage
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import ALIGNED, EXCHANGE, MONO, PAIRS, PSEUDO, SPLIT_CHOICES
from bitextile.trainer.generate.camlm import CamlmEngine, camlm_engine
from bitextile.trainer.generate.config import CamlmConfig, Ctranslate2Config, Seq2seqConfig
from bitextile.trainer.generate.ctranslate2 import Ctranslate2Engine, ctranslate2_engine
from bitextile.trainer.generate.seq2seq import Seq2seqEngine, seq2seq_engine

_NAMES = {CamlmConfig: "camlm", Seq2seqConfig: "seq2seq", Ctranslate2Config: "ctranslate2"}
_SEEN_TEXTS = 2_000
"""Sentences of a language that tell its scripts."""


@dataclass(frozen=True, kw_only=True)
class BacktranslateConfig:
    """What is translated into which languages, and by which model.

    Attributes:
        model: folder of the checkpoint.
        weights: of the target languages; a sentence draws one, never its own.
        engine: how the model writes; its class tells which engine.
        pairs: datasets of pairs, on which length ratios and scripts of languages are measured.
        length_ratios: (source, target) to target subwords for a source subword, where known.
        split: which sentences; pseudo pairs have no split of their own, so by default held-out
            ones are left out.
        translation_filter: limits of what is kept; without scripts, which are found here.
    """

    model: str
    weights: Mapping[str, float]
    engine: CamlmConfig | Seq2seqConfig | Ctranslate2Config = field(default_factory=CamlmConfig)
    pairs: tuple[str, ...] = ()
    length_ratios: Mapping[tuple[str, str], float] = field(default_factory=dict)
    split: str = "train"
    translation_filter: TranslationFilterConfig = field(default_factory=TranslationFilterConfig)


def backtranslate(
    mono: str, out: str, *, config: BacktranslateConfig, options: RunOptions
) -> DatasetResult:
    """Writes pseudo translations of a `mono` dataset; what the filter rejects goes to rejects.

    Args:
        mono: folder of the dataset.
        out: folder for the `pseudo` dataset.
        config: model, languages, filter.
        options: how to run.

    Raises:
        ConfigError: the model cannot write these languages.
        InputError: there is nothing to translate.
        OutputExistsError: `out` is there.
    """
    from bitextile.kernels.model_digest import encoder_digest, model_digest

    source = open_dataset(mono, MONO)
    check_split(source, config.split)
    converted = isinstance(config.engine, Ctranslate2Config)
    digest = model_digest(config.model) if converted else encoder_digest(config.model)
    engine = _engine(source, config, digest)
    translation_filter = _with_scripts(source, config)

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.generation import Backtranslate, SelectSplit

        taken = rows if config.split == "all" else rows | SelectSplit(config.split)
        return taken | Backtranslate(engine, config.weights, translation_filter, config.engine.seed)

    name = _NAMES[type(config.engine)]
    described = {"verb": "backtranslate", "engine": name, **asdict(config.engine)}
    described |= {"model": config.model, "to": dict(config.weights), "split": config.split}
    if isinstance(engine, CamlmEngine):
        described["length_ratios"] = {f"{s} -> {t}": ratio for s, t, ratio in engine.ratios}
    described["translation_filter"] = asdict(translation_filter)
    pairs = tuple(dataset_input(open_dataset(path)) for path in config.pairs)
    return run_stage(
        source,
        out,
        make,
        kind=PSEUDO,
        config=described,
        options=options,
        work=0.0,  # an engine uses every core in one process; two would only hold two models
        more_inputs=({"path": config.model, "digest": digest}, *pairs),
    )


def check_split(source: Dataset, split: str) -> None:
    """Refuses a split that is none, or of which a dataset has no sentence.

    Raises:
        ConfigError: no such split.
        InputError: no sentence in it.
    """
    if split not in SPLIT_CHOICES:
        raise ConfigError(f"--split {split}: expected {', '.join(SPLIT_CHOICES)}")
    keys = source.manifest.keys.values()
    rows = sum(k["rows"] if split == "all" else _of_split(k, split) for k in keys)
    if not rows:
        raise InputError(f"{source.path}: has no sentence of split {split}; give --split, or data")


def _of_split(statistics: dict[str, Any], split: str) -> int:
    counted = statistics.get("split")  # a foreign writer may not have counted
    return int(statistics["rows"] if counted is None else counted.get(split, 0))


def _engine(
    source: Dataset, config: BacktranslateConfig, digest: str
) -> CamlmEngine | Seq2seqEngine | Ctranslate2Engine:
    directions = {(src, tgt) for src in source.languages for tgt in config.weights if src != tgt}
    if alone := sorted(set(source.languages) - {src for src, _ in directions}):
        raise ConfigError(
            f"{source.path} holds sentences in {alone[0]}, and --to names no other language; "
            "a sentence is never turned into its own"
        )
    if isinstance(config.engine, Seq2seqConfig):
        return seq2seq_engine(
            config.model, digest=digest, directions=directions, config=config.engine
        )
    if isinstance(config.engine, Ctranslate2Config):
        return ctranslate2_engine(
            config.model, digest=digest, directions=directions, config=config.engine
        )
    return camlm_engine(
        config.model,
        digest=digest,
        directions=directions,
        given=config.length_ratios,
        pairs=config.pairs,
        config=config.engine,
    )


def _with_scripts(source: Dataset, config: BacktranslateConfig) -> TranslationFilterConfig:
    """Returns the filter with the scripts of each target language that there is text of."""
    datasets = [source, *(open_dataset(p, (PAIRS, ALIGNED, EXCHANGE)) for p in config.pairs)]
    scripts = {}
    for lang in config.weights:
        texts = (text for dataset in datasets for text in _texts(dataset, lang))
        if found := scripts_of(islice(texts, _SEEN_TEXTS)):
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
