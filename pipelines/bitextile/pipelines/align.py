"""`bitextile align`: pairs -> aligned, by an aligner fitted per language pair or an encoder."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from bitextile.kernels.align.eflomal import find_program
from bitextile.kernels.align.engine import (
    AlignConfig,
    EflomalConfig,
    FittedConfig,
    HmmConfig,
    SimalignConfig,
    lexicon_of,
    lexicon_sources,
)
from bitextile.kernels.bitext.dictionary.source import read_dictionary
from bitextile.kernels.text.segment import segmenter_for
from bitextile.pipelines.recipe.recipe import as_config
from bitextile.pipelines.runner.inputs import dictionary_input
from bitextile.pipelines.runner.job import DatasetResult, RunOptions
from bitextile.pipelines.runner.stage import run_stage
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, PAIRS

# 28,997 pairs take 12 s in one process and in two, 446,433 take 90 and 76 s.
_WORK = 25.0
# torch uses every core in one process; two processes would only hold two models.
_WORK_OF_ENCODER = 0.0


def align(pairs: str, out: str, *, config: AlignConfig, options: RunOptions) -> DatasetResult:
    """Aligns the words of a `pairs` dataset; models that are fitted stay in `OUT/models/KEY`.

    Args:
        pairs: folder of the dataset.
        out: folder for the `aligned` dataset.
        config: of the engine, as its class tells, and of segmentation.
        options: how to run.

    Raises:
        ConfigError: there is no such encoder, or a library that the engine needs is not installed.
        OutputExistsError: `out` is there.
        DatasetError: `pairs` is not a whole dataset; SchemaError: of another kind.
    """
    source = open_dataset(pairs, PAIRS)
    segmenters = {tag: segmenter_for(tag, config.segmenter).name for tag in source.languages}
    described = {"verb": "align", **as_config(config), "segmenters": segmenters}
    if isinstance(config, SimalignConfig):
        make, inputs = _by_encoder(config)
        work = _WORK_OF_ENCODER
    else:
        lexicons, inputs = _lexicons(source, config)
        make, work = _by_fitting(source, config, lexicons), _WORK
    if isinstance(config, EflomalConfig):
        check_eflomal(config)
        described["reproducible"] = False  # it seeds itself; the digest is of what was written
    return run_stage(
        source,
        out,
        make,
        kind=ALIGNED,
        config=described,
        options=options,
        work=work,
        more_inputs=inputs,
    )


def beside(config: AlignConfig, folder: Path) -> AlignConfig:
    """Returns a recipe's configuration with its paths resolved.

    Args:
        config: as the recipe has it.
        folder: what the recipe's paths are relative to.
    """
    if isinstance(config, HmmConfig):
        named = (entry.partition("=") for entry in config.lexicons)
        return replace(config, lexicons=tuple(f"{t}={folder / path}" for t, _, path in named))
    if isinstance(config, EflomalConfig) and config.programs:
        return replace(config, programs=str(folder / config.programs))
    if isinstance(config, SimalignConfig):
        return replace(config, encoder=str(folder / config.encoder))
    return config


def check_eflomal(config: EflomalConfig) -> None:
    """Raises ConfigError if eflomal's programs are not there."""
    for program in ("eflomal-align", "eflomal-makepriors"):
        find_program(program, config.sampling)


def _lexicons(
    source: Dataset, config: FittedConfig
) -> tuple[dict[str, pa.Table], tuple[dict[str, str], ...]]:
    """Returns the known translations of each key, and their files as a manifest names them."""
    sources = lexicon_sources(config) if isinstance(config, HmmConfig) else {}
    for key in sources:
        if key not in source.manifest.keys:
            raise ConfigError(
                f"align: a lexicon of {key}, but {source.path} holds {', '.join(source.keys)}"
            )
    read = {key: read_dictionary(named) for key, named in sources.items()}
    inputs = tuple(dictionary_input(dictionary.source) for dictionary in read.values())
    return {key: lexicon_of(dictionary) for key, dictionary in read.items()}, inputs


def _by_fitting(
    source: Dataset, config: FittedConfig, lexicons: dict[str, pa.Table]
) -> Callable[[Any, str], Any]:
    rows = {key: entry["rows"] for key, entry in source.manifest.keys.items()}

    def make(pairs: Any, place: str) -> Any:
        from bitextile.transforms.align import AlignWords

        return pairs | AlignWords(f"{place}/models", rows, config, lexicons)

    return make


def _by_encoder(
    config: SimalignConfig,
) -> tuple[Callable[[Any, str], Any], tuple[dict[str, str], ...]]:
    needed = ["torch", "transformers", *(["scipy"] if config.matching == "mwmf" else [])]
    if missing := [name for name in needed if find_spec(name) is None]:
        raise ConfigError(
            f"aligner simalign needs {missing[0]}, which is not installed: "
            "pip install 'bitextile[align-neural]'"
        )
    from bitextile.kernels.model_digest import encoder_digest

    digest = encoder_digest(config.encoder)

    def make(pairs: Any, place: str) -> Any:
        from bitextile.transforms.align_encoder import AlignWordsByEncoder

        return pairs | "AlignWords" >> AlignWordsByEncoder(config, digest)

    return make, ({"path": config.encoder, "digest": digest},)
