"""`exchange`, `codeswitch`, `derive`: text that differs from other text in a known way."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bitextile.pipelines.cli.shared import (
    MinScore,
    Out,
    Overwrite,
    Reuse,
    Seed,
    Share,
    Variants,
    Workers,
    by_name,
    console,
    number,
    refuse,
    run_options,
    say,
)
from bitextile.pipelines.runner.job import DatasetResult, RunOptions
from bitextile.schema.errors import ConfigError

if TYPE_CHECKING:
    from bitextile.kernels.bitext.dictionary.source import DictionarySource


def exchange(
    aligned: Annotated[str, typer.Argument(help="folder of an aligned dataset")],
    out: Out,
    rate: Share = 0.5,
    many_to_many: Annotated[
        bool, typer.Option("--many-to-many", help="also groups of links, m to n")
    ] = False,
    min_score: MinScore = 0.0,
    recase: Annotated[bool, typer.Option("--recase", help="casing follows the position")] = False,
    variants: Variants = 1,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Swaps linked words between the two sentences of each pair."""
    from bitextile.kernels.exchange import ExchangeConfig
    from bitextile.pipelines.exchange import exchange as run

    config = ExchangeConfig(
        rate=rate,
        many_to_many=many_to_many,
        min_score=min_score,
        recase=recase,
        variants=variants,
        seed=seed,
    )
    say(run(aligned, out, config=config, options=run_options(overwrite, reuse, workers)))


def codeswitch(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help="folder of a dataset; or (task-field) a task file")
    ],
    method: Annotated[str, typer.Option(help="alignment, dictionary, candidates or task-field")],
    out: Out,
    sentence_rate: Share = 1.0,
    token_rate: Annotated[float | None, typer.Option(help="of words, 0.3; of fields, 0.5")] = None,
    sides: Annotated[str, typer.Option(help="src, tgt or both, of pairs")] = "both",
    min_score: MinScore = 0.0,
    pivot: Annotated[str | None, typer.Option(help="mix all translations from LANG")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="LANG=NUMBER; repeatable")] = None,
    dictionary: Annotated[
        list[str] | None, typer.Option(help="SRC,TGT=FILE (or lexicon); repeatable")
    ] = None,
    columns: Annotated[str, typer.Option(help="src,tgt or tgt,src; auto looks or asks")] = "auto",
    format: Annotated[str, typer.Option(help="auto, space, tab, at, wiktionary, tei")] = "auto",
    min_count: Annotated[int, typer.Option(help="fewest links of a lexicon's entry")] = 0,
    min_probability: Annotated[float, typer.Option(help="least p of an entry, 0 to 1")] = 0.0,
    pos: Annotated[list[str] | None, typer.Option(help="part of speech wanted; repeat")] = None,
    task: Annotated[str, typer.Option(help="task-field: nli or qa")] = "nli",
    language: Annotated[str, typer.Option(help="task-field: of the task file")] = "en",
    translation: Annotated[list[str] | None, typer.Option(help="LANG=FILE; repeatable")] = None,
    variants: Variants = 1,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Replaces words, or whole fields of task data, by their translations."""
    _check_method(context, method, multilingual=pivot is not None)
    say(_switched(context.params, options=run_options(overwrite, reuse, workers)))


def _switched(given: dict[str, Any], *, options: RunOptions) -> DatasetResult:
    """Runs `codeswitch` by the method that was given."""
    from bitextile.pipelines import codeswitch as verbs

    dataset, out, method = given["dataset"], given["out"], given["method"]
    rates = {name: given[name] for name in ("sentence_rate", "variants", "seed")}
    if given["token_rate"] is not None:
        rates["token_rate"] = given["token_rate"]
    weights = {lang: number(n) for lang, n in by_name(given["weight"], "--weight").items()}
    if method == "alignment" and given["pivot"] is not None:
        mixed = verbs.MultilingualSwitchConfig(
            pivot=given["pivot"], min_score=given["min_score"], weights=weights, **rates
        )
        return verbs.codeswitch_multilingual(dataset, out, config=mixed, options=options)
    if method == "alignment":
        config = verbs.AlignmentSwitchConfig(
            sides=given["sides"], min_score=given["min_score"], **rates
        )
        return verbs.codeswitch(dataset, out, config=config, options=options)
    if method == "dictionary":
        by_word = verbs.DictionarySwitchConfig(sides=given["sides"], **rates)
        sources = _dictionaries(given, weights)
        return verbs.codeswitch_by_dictionary(
            dataset, out, dictionaries=sources, config=by_word, options=options
        )
    if method == "candidates":
        plain = verbs.SwitchConfig(**rates)
        return verbs.codeswitch_by_candidates(dataset, out, config=plain, options=options)
    translations = by_name(given["translation"], "--translation")
    files = verbs.TaskFiles(
        task=given["task"], lang=given["language"], file=dataset, translations=translations
    )
    by_field = verbs.TaskFieldSwitchConfig(weights=weights, **rates)
    return verbs.codeswitch_task_fields(files, out, config=by_field, options=options)


_METHOD_OPTIONS = {
    "alignment": ("sides", "min_score", "pivot"),
    "alignment --pivot": ("min_score", "pivot", "weight"),
    "dictionary": (
        *("sides", "weight", "dictionary", "columns", "format"),
        *("min_count", "min_probability", "pos"),
    ),
    "candidates": (),
    "task-field": ("weight", "task", "language", "translation"),
}


def _check_method(context: typer.Context, method: str, *, multilingual: bool) -> None:
    """Raises ConfigError for an unknown method or an option that it would not read."""
    if method not in ("alignment", "dictionary", "candidates", "task-field"):
        raise ConfigError(
            f"--method {method}: expected alignment, dictionary, candidates or task-field"
        )
    name = "alignment --pivot" if method == "alignment" and multilingual else method
    every = {option for options in _METHOD_OPTIONS.values() for option in options}
    refuse(context, every.difference(_METHOD_OPTIONS[name]), f"--method {name}")


def _dictionaries(given: dict[str, Any], weights: dict[str, float]) -> "list[DictionarySource]":
    """Returns the dictionaries named, with the limits given for all of them."""
    from bitextile.kernels.bitext.dictionary.source import DictionarySource
    from bitextile.schema.ids import language_tag

    limits = {name: given[name] for name in ("columns", "format", "min_count", "min_probability")}
    limits["pos"] = tuple(given["pos"] or ())
    sources = []
    for named in given["dictionary"] or []:
        tags, _, path = named.partition("=")
        languages = tags.split(",")
        if len(languages) != 2 or not path:
            raise ConfigError(f"--dictionary {named}: expected SRC,TGT=FILE, as en,de=en-de.txt")
        src, tgt = map(language_tag, languages)
        weight = weights.get(tgt, 1.0)
        sources.append(
            DictionarySource(path=path, src_lang=src, tgt_lang=tgt, weight=weight, **limits)
        )
    for lang in weights:
        if lang not in (known := {source.tgt_lang for source in sources}):
            into = ", ".join(sorted(known)) or "nothing"
            raise ConfigError(f"--weight {lang}: dictionaries translate into {into}")
    return sources


def derive(
    dataset: Annotated[
        str, typer.Argument(help="folder of mono, pairs or aligned; a CoNLL-U or task file")
    ],
    transform: Annotated[
        str, typer.Option(help="transliterate, invert, permute, syntax; several with commas")
    ],
    out: Out,
    sides: Annotated[str, typer.Option(help="src, tgt or both, of pairs")] = "both",
    language: Annotated[str, typer.Option(help="of a file")] = "en",
    task: Annotated[
        str | None, typer.Option(help="pos, ner, nli or qa: write the file again, derived")
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Makes a derived language with exact links; with --task, derived task data."""
    from bitextile.kernels.derive.rows import DeriveConfig
    from bitextile.pipelines import derive as verbs

    wanted: Any = {"transforms": tuple(transform.split(",")), "sides": sides}
    config = DeriveConfig(**wanted, seed=seed)
    options = run_options(overwrite, reuse, workers)
    if task is not None:
        made = verbs.derive_file(
            dataset, out, task=task, lang=language, config=config, overwrite=overwrite
        )
        counts = ", ".join(f"{name} {n:,}" for name, n in made.counts.items())
        console.print(f"{made.path}: {counts}", markup=False)
    elif os.path.isfile(dataset):
        say(verbs.derive_conllu(dataset, out, lang=language, config=config, options=options))
    else:
        say(verbs.derive(dataset, out, config=config, options=options))
