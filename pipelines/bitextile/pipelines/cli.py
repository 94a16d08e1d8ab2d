"""The command line: `bitextile VERB ... [-- BEAM OPTIONS]`.

Exit codes: 0 done, 1 the run failed, 2 the call or a configuration is wrong. Every error is one
sentence on stderr; `--debug` shows the traceback. Pipelines and trainer are imported by the verb
that needs them, so that one works without the libraries of the other.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from rich.console import Console

from bitextile.pipelines.running import Finished, RunOptions
from bitextile.schema.errors import BitextileError, ConfigError

if TYPE_CHECKING:
    from bitextile.kernels.dictionary import DictionarySource
    from bitextile.kernels.segment import Choice
    from bitextile.kernels.wordlinks import AlignConfig
    from bitextile.pipelines.run import Summary

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Word-aligned parallel shards from Apache Beam, and a trainer for encoders on them.",
    epilog="What follows -- goes to Beam: bitextile align ... -- --runner=FlinkRunner",
)
console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
_beam_arguments: list[str] = []


def _named(path: str) -> str:
    # An unset variable in a script: "" would be the root of the file system, or this folder.
    if not path.strip():
        raise typer.BadParameter("it is empty, expected the path of a folder")
    return path


Out = Annotated[
    str, typer.Option(callback=_named, help="folder (or gs://, s3:// URI) for the result")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an output that exists")]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="keep an output made from the same inputs and options")
]
Workers = Annotated[
    int, typer.Option(min=0, help="local processes; 0: one for small inputs, else all cores")
]
Seed = Annotated[int, typer.Option(help="of every draw")]
Variants = Annotated[int, typer.Option(help="draws of each row")]
MinScore = Annotated[float, typer.Option(help="least posterior of a link, 0 to 1")]
Share = Annotated[float, typer.Option(help="0 to 1")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    # Loading libraries makes objects, hardly any garbage: looking for it takes a tenth of a second,
    # and a third when the interpreter does so once more on its way out.
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    given, _beam_arguments[:] = given[:cut], given[cut + 1 :]
    debug = "--debug" in given
    if debug:
        given.remove("--debug")
        logging.basicConfig()
        logging.getLogger("bitextile").setLevel(logging.DEBUG)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Threads that spin for each other starve on a machine that others use: trainer/README.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(given, prog_name="bitextile", standalone_mode=False) or 0
    except _UsageError as error:
        code = _refuse_call(error, help_only=not given)
    except BitextileError as error:
        if debug:
            raise
        code = _complain(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if debug or (error.name or "").startswith("bitextile"):
            raise
        code = _complain(_missing(error.name or ""), ConfigError.exit_code)
    except OSError as error:
        if debug:
            raise
        code = _complain(f"{error}; check the path, its permissions and the space left", 1)
    except Exception as error:
        if debug:
            raise
        what = f"{type(error).__name__}: {error}"
        code = _complain(f"{what}; a defect of bitextile: --debug shows where", 1)
    if code == _INTERRUPTED:
        _complain("interrupted; what was finished stays, nothing is half-written", code)
    sys.exit(code)


# Typer carries its own copy of click, so the class is taken from what it publishes.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 130
_ALLOCATIONS_BETWEEN_COLLECTIONS = 100_000


def _complain(sentence: str, code: int) -> int:
    line = " ".join(sentence.splitlines())
    console.print(f"bitextile: {line}", style="red", markup=False)
    return code


def _refuse_call(error: Any, *, help_only: bool) -> int:
    if help_only:
        error.show()
        return ConfigError.exit_code
    verb = error.ctx.command_path if error.ctx else "bitextile"
    message = error.format_message().rstrip(".")
    return _complain(f"{message}; see {verb} --help", ConfigError.exit_code)


_EXTRAS = {
    "apache_beam": "beam",
    "defusedxml": "beam",
    "sentencepiece": "beam",
    "torch": "train",
    "transformers": "train",
    "jinja2": "report",
    "scipy": "align-neural",
}


def _missing(module: str) -> str:
    extra = _EXTRAS.get(module.split(".")[0], "all")
    return f"{module} is not installed; this verb needs it: pip install 'bitextile[{extra}]'"


def _options(overwrite: bool, reuse: bool, workers: int) -> RunOptions:
    return RunOptions(
        overwrite=overwrite, reuse=reuse, workers=workers, beam=tuple(_beam_arguments)
    )


def say(*done: Finished) -> None:
    """Tells on stderr what was written: rows, rejects by rule, seconds."""
    for finished in done:
        manifest = finished.dataset.manifest
        dropped = ", ".join(f"{n:,} {rule}" for rule, n in manifest.counts.rejected.items())
        time = "reused" if finished.reused else f"{finished.seconds:.1f} s"
        rows = f"{manifest.rows:,} rows of {manifest.counts.read:,}"
        line = f"{finished.dataset.path}: {manifest.kind}, {rows}, {time}"
        console.print(line + (f"; rejected {dropped}" if dropped else ""), markup=False)


@app.command()
def ingest(
    recipe: Annotated[str, typer.Argument(help="YAML file that names the corpora")],
    out: Out,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Corpora -> OUT/pairs and OUT/mono: read, normalise, filter, de-duplicate, split."""
    from bitextile.pipelines.ingest import ingest as run

    say(*run(recipe, out, options=_options(overwrite, reuse, workers)))


Aligner = Annotated[str, typer.Option(help="hmm (ours, fitted), eflomal or simalign")]
Symmetrize = Annotated[
    str | None,
    typer.Option(
        help="intersect, union, grow-diag, grow-diag-final, grow-diag-final-and; hmm: posterior, "
        "its default; eflomal: grow-diag is"
    ),
]
Threshold = Annotated[
    float | None, typer.Option(help="hmm: least score of a link; simalign: softmax's, 0.001")
]
Encoder = Annotated[str | None, typer.Option(help="simalign: folder of an encoder")]
Matching = Annotated[str, typer.Option(help="simalign: inter, itermax, mwmf or softmax")]
Layer = Annotated[int, typer.Option(help="simalign: whose vectors")]
TokenType = Annotated[str, typer.Option(help="simalign: bpe or word")]
Distortion = Annotated[float, typer.Option(help="simalign: how much places count, 0 to 1")]
Eflomal = Annotated[
    str | None, typer.Option(help="eflomal: folder of its programs; else they are on PATH")
]


@app.command()
def align(
    context: typer.Context,
    pairs: Annotated[str, typer.Argument(help="folder of a pairs dataset")],
    out: Out,
    aligner: Aligner = "hmm",
    symmetrize: Symmetrize = None,
    threshold: Threshold = None,
    sample: Annotated[
        int, typer.Option(help="hmm, eflomal: pairs per language pair to fit on, at most")
    ] = 2_000_000,
    encoder: Encoder = None,
    matching: Matching = "inter",
    layer: Layer = 8,
    token_type: TokenType = "bpe",
    distortion: Distortion = 0.0,
    eflomal: Eflomal = None,
    lexicon: Annotated[
        list[str] | None, typer.Option(help="hmm: known translations, SRC,TGT=FILE; repeatable")
    ] = None,
    segmenter: Annotated[
        str, typer.Option(help="auto, dictionary or characters, for unspaced scripts")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="hmm, eflomal: of the sample")] = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Links the words of every pair: fit an aligner once per language pair, or use an encoder."""
    from bitextile.pipelines.align import align as run

    config = _engine(context, segmenter=_choice(segmenter))
    say(run(pairs, out, config=config, options=_options(overwrite, reuse, workers)))


_ALIGNER_OPTIONS = {
    "hmm": ("symmetrize", "threshold", "sample", "lexicon", "seed"),
    "eflomal": ("symmetrize", "eflomal", "sample", "seed"),
    "simalign": ("encoder", "matching", "layer", "token_type", "distortion", "threshold"),
}
_FIELDS = {"sample": "sample_pairs", "eflomal": "programs", "lexicon": "lexicons"}


def _engine(context: typer.Context, **fields: Any) -> "AlignConfig":
    """Returns the configuration of the engine asked for, from the options that were given."""
    from bitextile.kernels.wordlinks import EflomalConfig, HmmConfig, SimalignConfig

    aligner = context.params["aligner"]
    if aligner not in _ALIGNER_OPTIONS:
        raise ConfigError(f"--aligner {aligner}: expected hmm, eflomal or simalign")
    for name in sorted({name for names in _ALIGNER_OPTIONS.values() for name in names}):
        source = context.get_parameter_source(name) if name in context.params else None
        if source is None or source.name == "DEFAULT":
            continue
        if name not in _ALIGNER_OPTIONS[aligner]:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} is no option of --aligner {aligner}; leave it out")
        value = context.params[name]
        fields[_FIELDS.get(name, name)] = tuple(value) if isinstance(value, list) else value
    if aligner == "simalign" and "encoder" not in fields:
        raise ConfigError("--aligner simalign needs --encoder, the folder of an encoder")
    engines: dict[str, Any] = {
        "hmm": HmmConfig,
        "eflomal": EflomalConfig,
        "simalign": SimalignConfig,
    }
    return cast("AlignConfig", engines[aligner](**fields))


def _choice(segmenter: str) -> "Choice":
    from bitextile.kernels.segment import Choice

    if segmenter not in get_args(Choice):
        raise ConfigError(f"--segmenter {segmenter}: expected {', '.join(get_args(Choice))}")
    return cast("Choice", segmenter)


@app.command("align-text")
def align_text(
    context: typer.Context,
    input: Annotated[
        str, typer.Option("--input", "-i", help="lines `source words ||| target words`; - is stdin")
    ] = "-",
    output: Annotated[
        str, typer.Option("--output", "-o", help="Pharaoh lines, one per input line; - is stdout")
    ] = "-",
    aligner: Aligner = "hmm",
    symmetrize: Symmetrize = None,
    threshold: Threshold = None,
    model: Annotated[str | None, typer.Option(help="apply this saved model; fit nothing")] = None,
    save_model: Annotated[str | None, typer.Option(help="folder for the fitted model")] = None,
    scores: Annotated[
        str | None, typer.Option(help="file for each line's mean log score of a link")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="0 takes every core")] = 0,
    encoder: Encoder = None,
    matching: Matching = "inter",
    layer: Layer = 8,
    token_type: TokenType = "bpe",
    distortion: Distortion = 0.0,
    eflomal: Eflomal = None,
    known: Annotated[
        str | None,
        typer.Option("--lexicon", help="hmm: file of known translations, source word first"),
    ] = None,
) -> None:
    """The aligner alone, on text lines: a drop-in for fast_align and eflomal."""
    from bitextile.pipelines.align_text import align_files

    summary = align_files(
        input,
        output,
        config=_engine(context),
        model=model,
        save_model=save_model,
        scores=scores,
        lexicon=known,
        threads=threads,
        progress=lambda line: console.print(line, markup=False),
    )
    skipped = {
        "no_separator": "without `|||`",
        "empty_side": "with an empty side",
        "too_long": "too long",
        "no_links": "without a likely link",
    }
    told = [f"{n:,} {text}" for name, text in skipped.items() if (n := getattr(summary, name))]
    line = f"{summary.lines:,} lines, {summary.aligned:,} aligned, {summary.links:,} links"
    console.print(", ".join([line, *told]), markup=False)


@app.command()
def lexicon(
    aligned: Annotated[str, typer.Argument(help="folder of an aligned dataset")],
    out: Out,
    min_count: Annotated[int, typer.Option(help="fewest links of an entry")] = 2,
    min_probability: Annotated[float, typer.Option(help="lowest p(tgt given src)")] = 0.0,
    mutual_best: Annotated[
        bool, typer.Option("--mutual-best", help="one-to-one entries only")
    ] = False,
    top_k: Annotated[int | None, typer.Option(help="most translations of a word")] = None,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Makes a bilingual dictionary from the links."""
    from bitextile.kernels.lexicon import LexiconConfig
    from bitextile.pipelines.lexicon import lexicon as run

    config = LexiconConfig(
        min_count=min_count, min_probability=min_probability, mutual_best=mutual_best, top_k=top_k
    )
    say(run(aligned, out, config=config, options=_options(overwrite, reuse, workers)))


@app.command()
def exchange(
    aligned: Annotated[str, typer.Argument(help="folder of an aligned dataset")],
    out: Out,
    rate: Share = 0.5,
    groups: Annotated[bool, typer.Option("--groups", help="also groups of links, m to n")] = False,
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
        one_to_one=not groups,
        min_score=min_score,
        recase=recase,
        variants=variants,
        seed=seed,
    )
    say(run(aligned, out, config=config, options=_options(overwrite, reuse, workers)))


@app.command()
def codeswitch(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="folder of a dataset; or (sentence) a task file")],
    method: Annotated[str, typer.Option(help="alignment, dictionary, model or sentence")],
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
    task: Annotated[str, typer.Option(help="sentence: nli or qa")] = "nli",
    language: Annotated[str, typer.Option(help="sentence: of the task file")] = "en",
    translation: Annotated[list[str] | None, typer.Option(help="LANG=FILE; repeatable")] = None,
    variants: Variants = 1,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Replaces words, or whole fields of task data, by their translations."""
    _check_method(context, method, multiway=pivot is not None)
    say(_switched(context.params, options=_options(overwrite, reuse, workers)))


def _switched(given: dict[str, Any], *, options: RunOptions) -> Finished:
    """Runs `codeswitch` by the method that was given."""
    from bitextile.pipelines import codeswitch as verbs

    dataset, out, method = given["dataset"], given["out"], given["method"]
    rates = {name: given[name] for name in ("sentence_rate", "variants", "seed")}
    if given["token_rate"] is not None:
        rates["token_rate"] = given["token_rate"]
    weights = {lang: _number(n) for lang, n in _by_name(given["weight"], "--weight").items()}
    if method == "alignment" and given["pivot"] is not None:
        mixed = verbs.MultiwayConfig(
            pivot=given["pivot"], min_score=given["min_score"], weights=weights, **rates
        )
        return verbs.codeswitch_multiway(dataset, out, config=mixed, options=options)
    if method == "alignment":
        config = verbs.CodeswitchConfig(sides=given["sides"], min_score=given["min_score"], **rates)
        return verbs.codeswitch(dataset, out, config=config, options=options)
    if method == "dictionary":
        by_word = verbs.DictionarySwitchConfig(sides=given["sides"], **rates)
        sources = _dictionaries(given, weights)
        return verbs.codeswitch_by_dictionary(
            dataset, out, dictionaries=sources, config=by_word, options=options
        )
    if method == "model":
        plain = verbs.SwitchConfig(**rates)
        return verbs.codeswitch_by_candidates(dataset, out, config=plain, options=options)
    translations = _by_name(given["translation"], "--translation")
    files = verbs.TaskFiles(
        task=given["task"], lang=given["language"], file=dataset, translations=translations
    )
    by_field = verbs.FieldSwitchConfig(weights=weights, **rates)
    return verbs.codeswitch_fields(files, out, config=by_field, options=options)


_METHOD_OPTIONS = {
    "alignment": ("sides", "min_score", "pivot"),
    "alignment --pivot": ("min_score", "pivot", "weight"),
    "dictionary": (
        *("sides", "weight", "dictionary", "columns", "format"),
        *("min_count", "min_probability", "pos"),
    ),
    "model": (),
    "sentence": ("weight", "task", "language", "translation"),
}


def _check_method(context: typer.Context, method: str, *, multiway: bool) -> None:
    """Raises ConfigError for an unknown method or an option that it would not read."""
    if method not in ("alignment", "dictionary", "model", "sentence"):
        raise ConfigError(f"--method {method}: expected alignment, dictionary, model or sentence")
    name = "alignment --pivot" if method == "alignment" and multiway else method
    for option in {o for options in _METHOD_OPTIONS.values() for o in options}:
        source = context.get_parameter_source(option)
        given = source is not None and source.name != "DEFAULT"
        if given and option not in _METHOD_OPTIONS[name]:
            flag = f"--{option.replace('_', '-')}"
            raise ConfigError(f"{flag} is no option of --method {name}; leave it out")


def _by_name(values: list[str] | None, option: str) -> dict[str, str]:
    """Returns repeated NAME=VALUE options; a name may stand once."""
    found: dict[str, str] = {}
    for value in values or []:
        name, equals, rest = value.partition("=")
        if not equals or not name or not rest:
            raise ConfigError(f"{option} {value}: expected NAME=VALUE, see --help")
        if name in found:
            raise ConfigError(f"{option}: {name} is given twice, {found[name]} and {rest}")
        found[name] = rest
    return found


def _number(value: str, option: str = "--weight") -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(f"{option}: {value!r} is no number") from error


def _dictionaries(given: dict[str, Any], weights: dict[str, float]) -> "list[DictionarySource]":
    """Returns the dictionaries named, with the limits given for all of them."""
    from bitextile.kernels.dictionary import DictionarySource
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


Split = Annotated[str, typer.Option(help="whose sentences: train, valid, test or all")]
Model = Annotated[str, typer.Option(help="folder of a checkpoint; local, safetensors")]


@app.command()
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
    refine: Annotated[int, typer.Option(help="camlm: mask-predict passes after the first")] = 0,
    beams: Annotated[int, typer.Option(help="seq2seq, ctranslate2: of the search")] = 4,
    language_code: Annotated[
        list[str] | None, typer.Option(help="the same: LANG=CODE of the tokenizer; repeatable")
    ] = None,
    max_repeated: Annotated[float, typer.Option(help="gate: share of repeated bigrams")] = 0.5,
    split: Split = "train",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Writes pseudo translations of sentences by a model: kind pseudo."""
    from bitextile.kernels.gate import GateConfig
    from bitextile.kernels.generation import parse_weights
    from bitextile.pipelines import backtranslate as verb
    from bitextile.schema.ids import language_tag

    _check_generator(context, engine)
    codes = _by_name(language_code, "--language-code")
    named = tuple((language_tag(tag), code) for tag, code in sorted(codes.items()))
    chosen: verb.CamlmConfig | verb.Seq2seqConfig | verb.Ctranslate2Config
    if engine == "camlm":
        chosen = verb.CamlmConfig(top_k=top_k, refine=refine, seed=seed)
    elif engine == "ctranslate2":
        chosen = verb.Ctranslate2Config(beams=beams, codes=named, seed=seed)
    else:
        chosen = verb.Seq2seqConfig(beams=beams, top_k=top_k, codes=named, seed=seed)
    ratios = {}
    for name, ratio in _by_name(length_ratio, "--length-ratio").items():
        tags = [language_tag(tag) for tag in name.split(",")]
        if len(tags) != 2:
            raise ConfigError(f"--length-ratio {name}: expected SRC,TGT=RATIO, as de,en=1.1")
        ratios[tags[0], tags[1]] = _number(ratio, "--length-ratio")
    config = verb.BacktranslateConfig(
        model=model,
        weights=parse_weights(to),
        engine=chosen,
        pairs=tuple(pairs or ()),
        length_ratios=ratios,
        split=split,
        gate=GateConfig(max_repeated=max_repeated),
    )
    say(verb.backtranslate(mono, out, config=config, options=_options(overwrite, reuse, workers)))


_GENERATOR_OPTIONS = {
    "camlm": ("length_ratio", "refine", "top_k"),
    "seq2seq": ("beams", "language_code", "top_k"),
    "ctranslate2": ("beams", "language_code"),
}


def _check_generator(context: typer.Context, engine: str) -> None:
    """Raises ConfigError for an unknown engine or an option that it would not read."""
    if engine not in _GENERATOR_OPTIONS:
        raise ConfigError(f"--engine {engine}: expected {', '.join(_GENERATOR_OPTIONS)}")
    every = sorted({option for options in _GENERATOR_OPTIONS.values() for option in options})
    for option in (o for o in every if o not in _GENERATOR_OPTIONS[engine]):
        source = context.get_parameter_source(option)
        if source is not None and source.name != "DEFAULT":
            flag = f"--{option.replace('_', '-')}"
            if (engine, option) == ("ctranslate2", "top_k"):
                raise ConfigError(
                    "--top-k: CTranslate2 cannot key its draws by record, so --engine ctranslate2 "
                    "only searches; take --engine seq2seq to sample"
                )
            raise ConfigError(f"{flag} is no option of --engine {engine}; leave it out")


@app.command()
def candidates(
    context: typer.Context,
    mono: Annotated[str, typer.Argument(help="folder of a mono dataset, or a task file (TSV)")],
    model: Model,
    languages: Annotated[str, typer.Option(help="of the candidates: de,fr,...")],
    out: Out,
    shards: Annotated[
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
    given: dict[str, Any] = {"model": model, "shards": tuple(shards or ()), "config": config}
    given["options"] = _options(overwrite, reuse, workers)
    if task_language is None:
        say(verb.candidates(mono, out, split=split, **given))
        return
    source = context.get_parameter_source("split")
    if source is not None and source.name != "DEFAULT":
        raise ConfigError("--split: a task file has none; leave it out")
    say(verb.task_candidates(mono, out, language=language_tag(task_language), **given))


@app.command()
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
    from bitextile.kernels.derive import DeriveConfig
    from bitextile.pipelines import derive as verbs

    wanted: Any = sides
    config = DeriveConfig(transforms=tuple(transform.split(",")), sides=wanted, seed=seed)
    options = _options(overwrite, reuse, workers)
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


@app.command()
def verify(dataset: Annotated[str, typer.Argument(help="folder of a dataset")]) -> None:
    """Reads every byte of a dataset and checks all that the contract promises."""
    from bitextile.pipelines.verify import verify as run

    summary = run(dataset)
    keys = ", ".join(f"{key} {counts.rows:,}" for key, counts in summary.keys.items())
    typer.echo(f"{summary.dataset}: {summary.kind}, {summary.digest}, {keys}: all is well")


@app.command()
def export(
    aligned: Annotated[str, typer.Argument(help="folder of aligned or pairs; muse: of a lexicon")],
    format: Annotated[str, typer.Option(help="pharaoh, moses, tsv, jsonl or muse")],
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """Writes a dataset as files that other tools read."""
    from bitextile.pipelines.export import export_dataset

    if format not in ("pharaoh", "moses", "tsv", "jsonl", "muse"):
        raise ConfigError(f"--format {format}: expected pharaoh, moses, tsv, jsonl or muse")
    wanted: Any = format
    export_dataset(aligned, out, format=wanted, overwrite=overwrite)
    console.print(f"{out}: written as {format}", markup=False)


@app.command()
def tokenizer(
    datasets: Annotated[
        list[str], typer.Argument(help="folders of pairs, mono or aligned datasets")
    ],
    out: Out,
    vocab_size: Annotated[int, typer.Option(help="ids, specials included")] = 32_000,
    alpha: Annotated[float, typer.Option(help="languages weigh by share ** alpha")] = 0.3,
    max_sentences: Annotated[int, typer.Option(help="sentences learned from")] = 1_000_000,
    overwrite: Overwrite = False,
) -> None:
    """Trains a SentencePiece tokenizer that transformers loads."""
    from bitextile.pipelines.tokenizer import TokenizerConfig, train_tokenizer

    config = TokenizerConfig(vocab_size=vocab_size, alpha=alpha, max_sentences=max_sentences)
    made = train_tokenizer(datasets, out, config=config, overwrite=overwrite)
    sampled = ", ".join(f"{lang} {n:,}" for lang, n in made.sampled.items())
    console.print(f"{out}: {made.vocab_size:,} ids from sentences in {sampled}", markup=False)


@app.command()
def report(
    datasets: Annotated[list[str], typer.Argument(help="folders of datasets of any kind")],
    out: Annotated[str, typer.Option(help="the HTML file")],
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    examples: Annotated[int, typer.Option(help="rows shown per dataset")] = 8,
    overwrite: Overwrite = False,
) -> None:
    """Writes one page that shows counts, rejects, links, exchanged and switched words."""
    from bitextile.pipelines.report import write_report

    write_report(datasets, out, title=title, examples=examples, overwrite=overwrite)
    typer.echo(out)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="YAML file; see README, «The recipe»")],
    out: Out,
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Runs the whole chain: corpora to datasets, a trained and evaluated model, a page."""
    from bitextile.pipelines.recipe import load_recipe
    from bitextile.pipelines.run import run as run_chain

    options = _options(overwrite, reuse, workers)
    folder = Path(recipe).absolute().parent
    _conclude(run_chain(load_recipe(recipe), folder, out, options=options, tell=_tell))


@app.command()
def demo(
    out: Out = "demo-out",
    overwrite: Overwrite = False,
    reuse: Reuse = False,
    workers: Workers = 0,
) -> None:
    """Runs the whole chain on the embedded sample: six languages, 400 sentences each."""
    from bitextile.pipelines.demo import demo as run_demo

    _conclude(run_demo(out, options=_options(overwrite, reuse, workers), tell=_tell))


def _tell(news: str | Finished) -> None:
    if isinstance(news, Finished):
        say(news)
    else:
        console.print(f"[{news}]", style="bold", markup=False)


def _conclude(summary: "Summary") -> None:
    for figure in summary.evaluations:
        values = [figure["before"], *figure.get("between", ()), figure["after"]]
        told = " -> ".join(f"{value:.3f}" for value in values if value is not None)
        console.print(f"{figure['name']:<44} {told}", markup=False)
    typer.echo(summary.report)


Run = Annotated[str, typer.Option(help="local folder for the run, a model folder at the end")]
Resume = Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")]


@app.command()
def pretrain(
    config: Annotated[str, typer.Argument(help="YAML file; see trainer/README.md")],
    out: Run,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Pre-trains an encoder on datasets, on several devices or machines if started by torchrun."""
    from bitextile.trainer.config import load_config
    from bitextile.trainer.loop import pretrain as train

    _train(load_config, train, config, out, overwrite=overwrite, resume=resume)


@app.command()
def finetune(
    config: Annotated[str, typer.Argument(help="YAML file; see trainer/README.md")],
    out: Run,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Makes a classifier of sentence pairs of an encoder; plain, with SALT, on switched data."""
    from bitextile.trainer.finetune.config import load_config
    from bitextile.trainer.finetune.loop import finetune as train

    _train(load_config, train, config, out, overwrite=overwrite, resume=resume)


def _train(
    load: Callable[[str], Any], train: Callable[..., Any], config: str, out: str, **flags: bool
) -> None:
    from bitextile.trainer.ranks import StoppedError, joined

    try:
        with joined() as ranks:
            settings = ranks.together(lambda: load(config))
            made = train(settings, out, ranks=ranks, **flags)
    except StoppedError as error:  # the rank it began on says why
        raise typer.Exit(error.exit_code) from error
    if ranks.leads:
        state = "interrupted; --resume goes on" if made.interrupted else "done"
        line = f"{out}: {made.steps:,} steps, {made.tokens:,} tokens, {made.seconds:.0f} s, {state}"
        console.print(line, markup=False)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="model folder; for alignment also a dataset")],
    task: Annotated[
        str, typer.Option(help="retrieval, alignment, mlm, tlm, embedding or classification")
    ],
    data: Annotated[list[str], typer.Option(help="datasets, gold files or text files; repeatable")],
    out: Annotated[str | None, typer.Option(help="JSON file for the figures")] = None,
    layer: Annotated[int | None, typer.Option(help="whose vectors; default two thirds up")] = None,
    split: Annotated[str, typer.Option(help="of datasets: train, valid, test or all")] = "test",
    key: Annotated[str | None, typer.Option(help="of a dataset, such as de-en")] = None,
    limit: Annotated[int, typer.Option(help="rows per key, at most")] = 10_000,
    overwrite: Overwrite = False,
) -> None:
    """Measures a model, or the links of a dataset, and prints the figures as JSON."""
    import json

    from bitextile.trainer.evaluate.run import evaluate as measure

    found = measure(
        model,
        task=task,
        data=data,
        out=out,
        layer=layer,
        split=split,
        key=key,
        limit=limit,
        overwrite=overwrite,
    )
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
