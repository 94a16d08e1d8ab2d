"""`bitextile align`: pairs -> aligned, by an aligner fitted per language pair or an encoder."""

from dataclasses import asdict, replace
from typing import Any

from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.engine import AlignConfig
from bitextile.kernels.align.known_translations import word_translations
from bitextile.kernels.bitext.dictionary.source import Dictionary, read_dictionary
from bitextile.kernels.model_digest import encoder_digest
from bitextile.kernels.text.segment import segmenter_for
from bitextile.pipelines.runner.convert import convert_dataset
from bitextile.pipelines.runner.inputs import dictionary_input
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
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
        config: of the aligner, as its class tells, and of segmentation.
        options: how to run.

    Raises:
        ConfigError: there is no such encoder, or a library that the aligner needs is not installed.
        OutputExistsError: `out` is there.
        DatasetError: `pairs` is not a whole dataset; SchemaError: of another kind.
    """
    source = open_dataset(pairs, PAIRS)
    # The manifest says which layer it was.
    config = config.with_encoder_defaults()
    # "auto" depends on what is installed; the manifest says what it was, and --reuse compares that.
    segmenters = {tag: segmenter_for(tag, config.segmenter).name for tag in source.languages}
    described = {"command": "align", **asdict(config), "segmenters": segmenters}
    if not config.reproducible:
        described["reproducible"] = False  # the digest is of what was written
    # Here and not in a worker: a library that is missing is reported before any row is read.
    config.check_installed()
    dictionaries = _known_translations(source, config)
    digests = {folder: encoder_digest(folder) for folder in config.encoders}
    inputs = [dictionary_input(dictionary.source) for dictionary in dictionaries.values()]
    inputs += [{"path": folder, "digest": digest} for folder, digest in digests.items()]

    # Beam is imported in here, so that a wrong call is refused without loading it.
    def make(rows: Any, folder: str) -> Any:
        from bitextile.transforms.align import AlignWords

        return rows | AlignWords(
            # In the staging folder, so that the models appear and vanish with the dataset.
            models=f"{folder}/models",
            rows={key: entry["rows"] for key, entry in source.manifest.keys.items()},
            config=config,
            lexicons={key: word_translations(d) for key, d in dictionaries.items()},
            encoder_digests=digests,
        )

    made = convert_dataset(
        source,
        out,
        make,
        kind=ALIGNED,
        config=described,
        options=options,
        work=_WORK_OF_ENCODER if config.encoders else _WORK,
        more_inputs=tuple(inputs),
    )
    if made.reused:  # it was said when the dataset was made
        return made
    # In here: a wrong call is refused without it.
    from bitextile.pipelines.belonging import unmatched_corpora

    return replace(made, warnings=tuple(unmatched_corpora(made.dataset)))


def _known_translations(source: Dataset, config: AlignerConfig) -> dict[str, Dictionary]:
    """Returns the known translations of each language pair."""
    sources = config.lexicon_sources()
    for key in sources:
        if key not in source.manifest.keys:
            raise ConfigError(
                f"align: a lexicon of {key}, but {source.path} holds {', '.join(source.keys)}"
            )
    return {key: read_dictionary(named) for key, named in sources.items()}
