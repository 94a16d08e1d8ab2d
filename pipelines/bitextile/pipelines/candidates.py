"""`bitextile candidates`: sentences -> candidates, words that an encoder predicts for others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bitextile.kernels.tasks.nli import read_nli
from bitextile.pipelines.backtranslate import check_split
from bitextile.pipelines.recipe.parts import base_config
from bitextile.pipelines.runner.convert import convert_dataset, convert_files
from bitextile.pipelines.runner.inputs import dataset_input, plain_inputs
from bitextile.pipelines.runner.job import DatasetResult, check_outputs
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import CANDIDATES, MONO, SplitChoice
from bitextile.trainer.generate.config import CandidatesConfig

if TYPE_CHECKING:
    from bitextile.trainer.generate.candidates import CandidatesEngine


@dataclass(frozen=True, kw_only=True)
class CandidateSearchConfig(CandidatesConfig):
    """Which candidates are kept, where they come from, and for which sentences."""

    model: str
    """Folder of a masked language model with its tokenizer: local, weights in safetensors."""
    vocabulary_data: tuple[str, ...] = ()
    """Dataset of mono or pairs whose text tells which token is a word of which language.
    The sentences themselves are counted too, where they are a dataset."""
    split: SplitChoice | None = None
    """Split whose sentences get candidates; train by default. A task file has none."""


def candidates(
    mono: str, out: str, *, config: CandidateSearchConfig, options: RunOptions
) -> DatasetResult:
    """Writes the switching candidates of each word of a `mono` dataset.

    Args:
        mono: folder of the dataset.
        out: folder for the `candidates` dataset.
        config: model, languages and limits.
        options: how to run.

    Raises:
        ConfigError: the model cannot be used, or a language has no text.
        InputError: there is no sentence.
        OutputExistsError: `out` is there.
    """
    check_outputs([out], options)
    source = open_dataset(mono, MONO)
    split = config.split or "train"
    check_split(source, split)
    # The sentences count towards the vocabulary too: their words are known words of their language.
    engine, inputs = _checked_engine(source.path, source.languages, (source.path,), config)

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.generation import FindCandidates

        return rows | FindCandidates(engine)

    return convert_dataset(
        source,
        out,
        make,
        kind=CANDIDATES,
        config=_described(config, engine) | {"split": split},
        options=options,
        work=0.0,  # torch uses every core in one process
        split=split,
        more_inputs=inputs,
    )


def task_candidates(
    file: str, out: str, *, language: str, config: CandidateSearchConfig, options: RunOptions
) -> DatasetResult:
    """Writes the switching candidates of the fields of task data, each sentence once.

    Args:
        file: TSV of premise, hypothesis and label.
        out: folder for the `candidates` dataset.
        language: BCP-47 tag of the file's text; best with text of it in `vocabulary_data`.
        config: model, languages and limits; no split.
        options: how to run.

    Raises:
        ConfigError: the model cannot be used, a language has no text, or a split is given.
        InputError: the file is not of this form.
        OutputExistsError: `out` is there.
    """
    if config.split is not None:
        raise ConfigError("--split: a task file has none; leave it out")
    check_outputs([out], options)
    read_nli(file)  # what is wrong with it is said before the model is loaded
    engine, inputs = _checked_engine(file, [language], (), config)

    def make(root: Any) -> Any:
        from bitextile.transforms.generation import FindCandidates
        from bitextile.transforms.read import ReadTaskSentences

        return root | ReadTaskSentences(file, language) | FindCandidates(engine)

    described = _described(config, engine) | {"task": "nli"}
    inputs = (*plain_inputs([file]), *inputs)
    return convert_files(inputs, out, make, kind=CANDIDATES, config=described, options=options)


def _checked_engine(
    path: str, languages: Sequence[str], texts: tuple[str, ...], config: CandidateSearchConfig
) -> tuple["CandidatesEngine", tuple[dict[str, str], ...]]:
    """Returns what workers load, checked, and what it is made of as a manifest names it.

    Args:
        path: of the sentences, for messages.
        languages: of the sentences.
        texts: datasets that are counted besides `vocabulary_data`.
        config: model, languages and limits.
    """
    from bitextile.kernels.model_digest import encoder_digest

    # Looked at first: loading a model and counting words take much longer.
    if alone := [lang for lang in languages if {*config.languages} == {lang}]:
        raise ConfigError(f"{path} holds sentences in {alone[0]}; name another language as well")
    counted = tuple(dataset_input(open_dataset(path)) for path in config.vocabulary_data)
    digest = encoder_digest(config.model)
    # Here: it loads torch, after all that can be wrong without.
    from bitextile.trainer.generate.candidates import candidates_engine

    engine = candidates_engine(
        config.model,
        digest=digest,
        sources=languages,
        # Each once, in order: of a dataset that is named twice every word would count double.
        vocabulary_data=tuple(dict.fromkeys((*texts, *config.vocabulary_data))),
        config=base_config(CandidatesConfig, config),
    )
    return engine, ({"path": config.model, "digest": digest}, *counted)


def _described(config: CandidateSearchConfig, engine: "CandidatesEngine") -> dict[str, Any]:
    described = {"command": "candidates", **asdict(config)}
    # A task file has no split, and data are named in `inputs`, with digests; paths would make equal
    # runs in two folders differ.
    del described["split"], described["vocabulary_data"]
    return described | {"words": {tag: len(ids) for tag, ids in engine.vocabulary}}
