"""`bitextile codeswitch`: words, or whole fields, replaced by their translations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from bitextile.kernels.bitext.dictionary.column_order import count_words
from bitextile.kernels.bitext.dictionary.source import Dictionary, DictionarySource, read_dictionary
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.kernels.switch.core import check_weights
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.kernels.text.segment import segment
from bitextile.pipelines.runner.convert import convert_dataset, convert_files
from bitextile.pipelines.runner.inputs import dictionary_input, plain_inputs
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, CANDIDATES, CODESWITCH, MONO, PAIRS

_BUCKET_ROWS = 20_000
"""Pairs of a group that are switched together, about: some 10 MB."""
_KNOWN_SENTENCES = 2_000
"""Read to tell a dictionary's columns apart; 2,000 captions hold 24,000 running words."""


def codeswitch(
    aligned: str, out: str, *, config: AlignmentSwitchConfig, options: RunOptions
) -> DatasetResult:
    """Writes code-switched sentences made from the word alignments of an `aligned` dataset.

    Args:
        aligned: folder of the dataset.
        out: folder for the `codeswitch` dataset.
        config: rates, sides, how many variants.
        options: how to run.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.switch import SwitchByAlignment

        return rows | SwitchByAlignment(config)

    source = open_dataset(aligned, ALIGNED)
    described = {"command": "codeswitch", **asdict(config)}
    return convert_dataset(source, out, make, kind=CODESWITCH, config=described, options=options)


def codeswitch_multilingual(
    aligned: str, out: str, *, config: MultilingualSwitchConfig, options: RunOptions
) -> DatasetResult:
    """Writes sentences switched into all languages they are aligned with, mixed.

    Args:
        aligned: folder of a dataset whose keys all have the pivot language.
        out: folder for the `codeswitch` dataset.
        config: rates, pivot, weights.
        options: how to run.

    Raises:
        ConfigError: a key of the dataset has no side in the pivot's language, or a weight names a
            language the dataset has not.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.switch import SwitchMultilingual

        # Any number gives the same rows, since draws are keyed by sentence; it bounds a worker's
        # memory.
        n_buckets = 1 + source.manifest.rows // _BUCKET_ROWS
        return rows | SwitchMultilingual(config, n_buckets)

    source = open_dataset(aligned, ALIGNED)
    languages = source.languages
    for key in source.keys:
        if config.pivot not in source.languages_of(key):
            raise ConfigError(
                f"{aligned}: pairs of {key} have no side in {config.pivot}, the pivot"
            )
    check_weights(config.weights, languages)
    described = {"command": "codeswitch", **asdict(config)}
    return convert_dataset(
        source, out, make, kind=CODESWITCH, config=described, options=options, work=4.0
    )


def codeswitch_by_dictionary(
    dataset: str,
    out: str,
    *,
    dictionaries: Sequence[DictionarySource],
    config: DictionarySwitchConfig,
    options: RunOptions,
) -> DatasetResult:
    """Writes sentences whose words are replaced by translations from dictionaries.

    Args:
        dataset: folder of a `mono`, `pairs` or `aligned` dataset.
        out: folder for the `codeswitch` dataset.
        dictionaries: files or lexicon datasets; their column order is found or checked here.
        config: rates, sides, how many variants.
        options: how to run.

    Raises:
        ConfigError: a dictionary's format or column order cannot be found or is another, or the
            dataset has no sentence in the language of any dictionary.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.switch import SwitchByDictionary

        return rows | SwitchByDictionary(tuple(d.source for d in read), config, source.kind)

    # Names as the user wrote them, before any file is read.
    check_weights(config.weights, {source.tgt_lang for source in dictionaries})
    # The weight becomes part of the source, so that the index is cached by it.
    weighted = [
        replace(source, weight=config.weights.get(source.tgt_lang, source.weight))
        for source in dictionaries
    ]
    source = open_dataset(dataset, (MONO, PAIRS, ALIGNED))
    read = resolve_dictionaries(source, weighted)
    described = {"command": "codeswitch", **asdict(config)}
    described["dictionaries"] = [
        {**asdict(d.source), "pos": list(d.source.pos), "counts": d.counts, "order": d.reason}
        for d in read
    ]
    return convert_dataset(
        source,
        out,
        make,
        kind=CODESWITCH,
        config=described,
        options=options,
        work=2.0,
        more_inputs=tuple(dictionary_input(d.source) for d in read),
    )


def resolve_dictionaries(
    dataset: Dataset, dictionaries: Sequence[DictionarySource]
) -> list[Dictionary]:
    """Reads dictionaries with the help of the sentences they are to switch.

    Raises:
        ConfigError: as in `codeswitch_by_dictionary`.
    """
    there = set(dataset.languages)
    wanted = [d.src_lang for d in dictionaries]
    # Of several dictionaries some may fit no sentence; if none does, it is a mistake.
    if not set(wanted) & there:
        raise ConfigError(
            f"{dataset.path} holds sentences in {', '.join(sorted(there))}, the dictionaries "
            f"translate words of {', '.join(sorted(set(wanted))) or 'nothing'}; give one that fits"
        )
    # Which column of a file is which language is told by which one's words occur in the text.
    known: dict[str, Counter[str]] = {}
    for lang in {d.src_lang for d in dictionaries} | {d.tgt_lang for d in dictionaries}:
        if lang in there:
            known[lang] = _known_words(dataset, lang)
    return [read_dictionary(source, known=known) for source in dictionaries]


def codeswitch_by_candidates(
    candidates: str, out: str, *, config: CandidatesSwitchConfig, options: RunOptions
) -> DatasetResult:
    """Writes sentences whose words are replaced by what a model suggested.

    Args:
        candidates: folder of a `candidates` dataset.
        out: folder for the `codeswitch` dataset.
        config: rates, how many variants.
        options: how to run.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.switch import SwitchByCandidates

        return rows | SwitchByCandidates(config)

    source = open_dataset(candidates, CANDIDATES)
    described = {"command": "codeswitch", **asdict(config)}
    return convert_dataset(source, out, make, kind=CODESWITCH, config=described, options=options)


def codeswitch_task_fields(
    files: TaskFiles, out: str, *, config: TaskFieldSwitchConfig, options: RunOptions
) -> DatasetResult:
    """Writes task data with whole fields replaced by their translations.

    Args:
        files: one data set in several languages.
        out: folder for the `codeswitch` dataset, whose rows carry fields and labels too.
        config: rates, weights, how many variants.
        options: how to run.

    Raises:
        ConfigError: a weight names a language without a file.
    """

    def make(root: Any) -> Any:
        from bitextile.transforms.switch import SwitchTaskFields

        return root | SwitchTaskFields(files, config)

    check_weights(config.weights, files.translations)
    inputs = plain_inputs([files.file, *files.translations.values()])
    described = {"command": "codeswitch", **asdict(config)}
    described |= {"task": files.task, "language": files.language}
    described["translations"] = sorted(files.translations)
    return convert_files(inputs, out, make, kind=CODESWITCH, config=described, options=options)


def _known_words(dataset: Dataset, lang: str) -> Counter[str]:
    """Returns the words of the first sentences of a language, with how often each occurs."""
    # The first shard is enough: rows stand by hashed id, so its first ones are as good as drawn.
    key = next(k for k in dataset.keys if lang in dataset.languages_of(k))
    batch = next(dataset.batches(key=key, batch_rows=_KNOWN_SENTENCES))
    if dataset.kind is MONO:
        texts = batch.column("text")
    else:
        # Rows of one key may run in either direction; those that have `lang` on this side are
        # enough.
        side = "src" if batch.column("src_lang")[0].as_py() == lang else "tgt"
        mine = pa.array([tag == lang for tag in batch.column(f"{side}_lang").to_pylist()])
        texts = batch.filter(mine).column(side)
    return count_words(texts, segment(texts, lang))
