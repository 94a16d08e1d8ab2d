"""`bitextile candidates`: sentences -> candidates, what an encoder would say in a word's place."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bitextile.kernels.tasks.files import read_nli
from bitextile.pipelines.backtranslate import check_split
from bitextile.pipelines.runner.inputs import plain_inputs
from bitextile.pipelines.runner.job import DatasetResult, RunOptions, dataset_input
from bitextile.pipelines.runner.stage import run_files, run_stage
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import CANDIDATES, MONO
from bitextile.trainer.generate.candidates import CandidatesEngine, candidates_engine
from bitextile.trainer.generate.config import CandidatesConfig


def candidates(
    mono: str,
    out: str,
    *,
    model: str,
    vocabulary_data: tuple[str, ...],
    split: str,
    config: CandidatesConfig,
    options: RunOptions,
) -> DatasetResult:
    """Writes the switching candidates of each word of a `mono` dataset.

    Args:
        mono: folder of the dataset.
        out: folder for the `candidates` dataset.
        model: folder of a masked language model with its tokenizer.
        vocabulary_data: datasets whose texts tell which token is a word of which language; the
            sentences themselves are always counted too.
        split: which sentences; candidates have no split of their own.
        config: languages and limits.
        options: how to run.

    Raises:
        ConfigError: the model cannot be used, or a language has no text.
        InputError: there is no sentence.
        OutputExistsError: `out` is there.
    """
    from bitextile.kernels.model_digest import encoder_digest

    source = open_dataset(mono, MONO)
    check_split(source, split)
    digest = encoder_digest(model)
    engine = _engine(source, model, digest, vocabulary_data, config)

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.generation import FindCandidates, SelectSplit

        taken = rows if split == "all" else rows | SelectSplit(split)
        return taken | FindCandidates(engine)

    described = {"verb": "candidates", "model": model, "split": split, **asdict(config)}
    described["words"] = {tag: len(ids) for tag, ids in engine.vocabulary}
    inputs = tuple(dataset_input(open_dataset(path)) for path in vocabulary_data)
    return run_stage(
        source,
        out,
        make,
        kind=CANDIDATES,
        config=described,
        options=options,
        work=0.0,  # torch uses every core in one process
        more_inputs=({"path": model, "digest": digest}, *inputs),
    )


def task_candidates(
    file: str,
    out: str,
    *,
    language: str,
    model: str,
    vocabulary_data: tuple[str, ...],
    config: CandidatesConfig,
    options: RunOptions,
) -> DatasetResult:
    """Writes the switching candidates of the fields of task data, each sentence once.

    Args:
        file: TSV of premise, hypothesis and label.
        out: folder for the `candidates` dataset.
        language: BCP-47 tag of the file's text.
        model: folder of a masked language model with its tokenizer.
        vocabulary_data: datasets whose texts tell which token is a word of which language; best
            with text of the file's language among them.
        config: languages and limits.
        options: how to run.

    Raises:
        ConfigError: the model cannot be used, or a language has no text.
        InputError: the file is not of this form.
        OutputExistsError: `out` is there.
    """
    from bitextile.kernels.model_digest import encoder_digest

    read_nli(file)  # what is wrong with it is said before the model is loaded
    _refuse_alone(file, [language], config)
    digest = encoder_digest(model)
    engine = candidates_engine(
        model, digest=digest, sources=[language], vocabulary_data=vocabulary_data, config=config
    )

    def make(root: Any) -> Any:
        from bitextile.transforms.generation import FindCandidates
        from bitextile.transforms.read import ReadTaskSentences

        return root | ReadTaskSentences(file, language) | FindCandidates(engine)

    described = {"verb": "candidates", "model": model, "task": "nli", **asdict(config)}
    described["words"] = {tag: len(ids) for tag, ids in engine.vocabulary}
    counted = tuple(dataset_input(open_dataset(path)) for path in vocabulary_data)
    inputs = (*plain_inputs([file]), {"path": model, "digest": digest}, *counted)
    return run_files(inputs, out, make, kind=CANDIDATES, config=described, options=options)


def _engine(
    source: Dataset,
    model: str,
    digest: str,
    vocabulary_data: tuple[str, ...],
    config: CandidatesConfig,
) -> CandidatesEngine:
    languages = source.languages
    _refuse_alone(source.path, languages, config)
    texts = tuple(dict.fromkeys((source.path, *vocabulary_data)))
    return candidates_engine(
        model, digest=digest, sources=languages, vocabulary_data=texts, config=config
    )


def _refuse_alone(path: str, languages: Sequence[str], config: CandidatesConfig) -> None:
    if alone := [lang for lang in languages if {*config.languages} == {lang}]:
        raise ConfigError(f"{path} holds sentences in {alone[0]}; name another language as well")
