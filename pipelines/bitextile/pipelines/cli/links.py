"""`align`, `align-text`, `lexicon`: words that translate each other."""

from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from bitextile.pipelines.cli.shared import (
    Out,
    Overwrite,
    Reuse,
    Workers,
    console,
    is_given,
    refuse,
    run_options,
    say,
)
from bitextile.schema.errors import ConfigError

if TYPE_CHECKING:
    from bitextile.kernels.align.engine import AlignConfig
    from bitextile.kernels.text.segment import Choice


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
    say(run(pairs, out, config=config, options=run_options(overwrite, reuse, workers)))


_ALIGNER_OPTIONS = {
    "hmm": ("symmetrize", "threshold", "sample", "lexicon", "seed"),
    "eflomal": ("symmetrize", "eflomal", "sample", "seed"),
    "simalign": ("encoder", "matching", "layer", "token_type", "distortion", "threshold"),
}
_FIELDS = {"sample": "sample_pairs", "eflomal": "bin_dir", "lexicon": "lexicons"}


def _engine(context: typer.Context, **fields: Any) -> "AlignConfig":
    """Returns the configuration of the engine asked for, from the options that were given."""
    from bitextile.kernels.align.engine import ENGINES

    aligner = context.params["aligner"]
    if aligner not in _ALIGNER_OPTIONS:
        raise ConfigError(f"--aligner {aligner}: expected hmm, eflomal or simalign")
    every = {name for names in _ALIGNER_OPTIONS.values() for name in names} & set(context.params)
    read = every.intersection(_ALIGNER_OPTIONS[aligner])
    refuse(context, every - read, f"--aligner {aligner}")
    for name in (name for name in read if is_given(context, name)):
        value = context.params[name]
        fields[_FIELDS.get(name, name)] = tuple(value) if isinstance(value, list) else value
    if aligner == "simalign" and "encoder" not in fields:
        raise ConfigError("--aligner simalign needs --encoder, the folder of an encoder")
    return cast("AlignConfig", ENGINES[aligner](**fields))


def _choice(segmenter: str) -> "Choice":
    from bitextile.kernels.text.segment import Choice

    if segmenter not in get_args(Choice):
        raise ConfigError(f"--segmenter {segmenter}: expected {', '.join(get_args(Choice))}")
    return cast("Choice", segmenter)


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
    from bitextile.kernels.bitext.lexicon import LexiconConfig
    from bitextile.pipelines.lexicon import lexicon as run

    config = LexiconConfig(
        min_count=min_count, min_probability=min_probability, mutual_best=mutual_best, top_k=top_k
    )
    say(run(aligned, out, config=config, options=run_options(overwrite, reuse, workers)))
