"""`backtranslate` and `candidates`: what a model supplies."""

from typing import Annotated, Any

import typer

from bitextile.pipelines.cli.shared import (
    Out,
    Overwrite,
    Reuse,
    Seed,
    Split,
    Workers,
    by_name,
    is_given,
    number,
    refuse,
    run_options,
    say,
)
from bitextile.schema.errors import ConfigError

Model = Annotated[str, typer.Option(help="folder of a checkpoint; local, safetensors")]


def backtranslate(
    context: typer.Context,
    mono: Annotated[str, typer.Argument(help="folder of a mono dataset")],
    model: Model,
    to: Annotated[str, typer.Option(help="LANG[:WEIGHT],...; a sentence draws one of them")],
    out: Out,
    engine: Annotated[
        str, typer.Option(help="camlm (a checkpoint of ours), seq2seq or ctranslate2")
    ] = "camlm",
    pairs: Annotated[
        list[str] | None, typer.Option(help="pairs or aligned, to measure length ratios on; repeat")
    ] = None,
    length_ratio: Annotated[
        list[str] | None, typer.Option(help="camlm: SRC,TGT=RATIO of subwords; repeatable")
    ] = None,
    top_k: Annotated[
        int, typer.Option(help="camlm, seq2seq: draw among the k best tokens; 1: the best")
    ] = 1,
    mask_predict_passes: Annotated[
        int, typer.Option(help="camlm: mask-predict passes after the first")
    ] = 0,
    beam_size: Annotated[int, typer.Option(help="seq2seq, ctranslate2: of the search")] = 4,
    language_code: Annotated[
        list[str] | None, typer.Option(help="the same: LANG=CODE of the tokenizer; repeatable")
    ] = None,
    max_repetition: Annotated[float, typer.Option(help="share of repeated bigrams, at most")] = 0.5,
    split: Split = "train",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Writes pseudo translations of sentences by a model: kind pseudo."""
    from bitextile.kernels.backtranslate import parse_weights
    from bitextile.kernels.filters.translation import TranslationFilterConfig
    from bitextile.pipelines import backtranslate as verb
    from bitextile.schema.ids import language_tag

    _check_generator(context, engine)
    codes = by_name(language_code, "--language-code")
    named = tuple((language_tag(tag), code) for tag, code in sorted(codes.items()))
    chosen: verb.CamlmConfig | verb.Seq2seqConfig | verb.Ctranslate2Config
    if engine == "camlm":
        chosen = verb.CamlmConfig(top_k=top_k, mask_predict_passes=mask_predict_passes, seed=seed)
    elif engine == "ctranslate2":
        chosen = verb.Ctranslate2Config(beam_size=beam_size, codes=named, seed=seed)
    else:
        chosen = verb.Seq2seqConfig(beam_size=beam_size, top_k=top_k, codes=named, seed=seed)
    config = verb.BacktranslateConfig(
        model=model,
        weights=parse_weights(to),
        engine=chosen,
        pairs=tuple(pairs or ()),
        length_ratios=_ratios(length_ratio),
        split=split,
        translation_filter=TranslationFilterConfig(max_repetition=max_repetition),
    )
    say(
        verb.backtranslate(mono, out, config=config, options=run_options(overwrite, reuse, workers))
    )


def _ratios(given: list[str] | None) -> dict[tuple[str, str], float]:
    """Returns SRC,TGT=RATIO options by (source, target)."""
    from bitextile.schema.ids import language_tag

    ratios = {}
    for name, ratio in by_name(given, "--length-ratio").items():
        tags = [language_tag(tag) for tag in name.split(",")]
        if len(tags) != 2:
            raise ConfigError(f"--length-ratio {name}: expected SRC,TGT=RATIO, as de,en=1.1")
        ratios[tags[0], tags[1]] = number(ratio, "--length-ratio")
    return ratios


_GENERATOR_OPTIONS = {
    "camlm": ("length_ratio", "mask_predict_passes", "top_k"),
    "seq2seq": ("beam_size", "language_code", "top_k"),
    "ctranslate2": ("beam_size", "language_code"),
}


def _check_generator(context: typer.Context, engine: str) -> None:
    """Raises ConfigError for an unknown engine or an option that it would not read."""
    if engine not in _GENERATOR_OPTIONS:
        raise ConfigError(f"--engine {engine}: expected {', '.join(_GENERATOR_OPTIONS)}")
    if engine == "ctranslate2" and is_given(context, "top_k"):
        raise ConfigError(
            "--top-k: CTranslate2 cannot key its draws by record, so --engine ctranslate2 only "
            "searches; take --engine seq2seq to sample"
        )
    every = {option for options in _GENERATOR_OPTIONS.values() for option in options}
    refuse(context, every.difference(_GENERATOR_OPTIONS[engine]), f"--engine {engine}")


def candidates(
    context: typer.Context,
    mono: Annotated[str, typer.Argument(help="folder of a mono dataset, or a task file (TSV)")],
    model: Model,
    languages: Annotated[str, typer.Option(help="of the candidates: de,fr,...")],
    out: Out,
    vocabulary_data: Annotated[
        list[str] | None, typer.Option(help="mono or pairs, to tell words' languages by; repeat")
    ] = None,
    top_k: Annotated[int, typer.Option(help="candidates of a word, at most")] = 10,
    min_probability: Annotated[float, typer.Option(help="least p of a candidate, 0 to 1")] = 0.01,
    min_cosine: Annotated[float, typer.Option(help="least, of the two embeddings, -1 to 1")] = 0.0,
    min_count: Annotated[int, typer.Option(help="of a candidate in text of its language")] = 2,
    task_language: Annotated[
        str | None, typer.Option(help="of a task file: premise TAB hypothesis TAB label")
    ] = None,
    split: Split = "train",
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Writes words of other languages that a model would put in each word's place (SALT)."""
    from bitextile.pipelines import candidates as verb
    from bitextile.schema.ids import language_tag

    config = verb.CandidatesConfig(
        languages=tuple(language_tag(tag.strip()) for tag in languages.split(",")),
        top_k=top_k,
        min_probability=min_probability,
        min_cosine=min_cosine,
        min_count=min_count,
    )
    given: dict[str, Any] = {
        "model": model,
        "vocabulary_data": tuple(vocabulary_data or ()),
        "config": config,
    }
    given["options"] = run_options(overwrite, reuse, workers)
    if task_language is None:
        say(verb.candidates(mono, out, split=split, **given))
        return
    if is_given(context, "split"):
        raise ConfigError("--split: a task file has none; leave it out")
    say(verb.task_candidates(mono, out, language=language_tag(task_language), **given))
