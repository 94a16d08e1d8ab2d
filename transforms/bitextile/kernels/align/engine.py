"""Pairs to aligned pairs: words cut, a sample drawn to fit an aligner on, links put in place.

There are several engines, each with its configuration; AlignConfig is any of these.

Whatever is fitted per language key takes the sides in the key's order (sorted tags), while a row
keeps the order of its input; so a reversed row is turned round for the model and its links back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.eflomal import (
    EflomalModel,
    Sampling,
    alignment_of_sampled,
    heuristic_named,
    model_of_sampled,
    sample_links,
)
from bitextile.kernels.align.encoder import Matcher, Matching, TokenType
from bitextile.kernels.align.hmm.apply import Alignment, apply
from bitextile.kernels.align.hmm.config import AlignerConfig
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.align.hmm.model import AlignerModel
from bitextile.kernels.align.symmetrize import method_named
from bitextile.kernels.arrays import offsets_of
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.text.segment import Choice, segment, words_of
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_key, language_tag
from bitextile.schema.kinds import ALIGNED, LINK, PAIRS, SPANS, list_of

if TYPE_CHECKING:
    from bitextile.kernels.bitext.dictionary.source import Dictionary, DictionarySource

SOFTMAX_THRESHOLD = 0.001
WORDS = list_of(pa.string())
SEGMENTED = pa.schema([*PAIRS.schema, pa.field("src_spans", SPANS), pa.field("tgt_spans", SPANS)])
SAMPLE = pa.schema([("pair_id", pa.string()), ("first", WORDS), ("second", WORDS)])


Align = Callable[[pa.ListArray, pa.ListArray], Alignment]


@dataclass(frozen=True, kw_only=True)
class HmmConfig:
    """Links by the statistical aligner, fitted once per language key.

    Attributes:
        aligner: says which engine this is.
        model: how the aligner is fitted.
        symmetrize: how the two directions become one set of links; see `kernels.align.hmm.apply`.
        threshold: least joint posterior of a link; None lets the model's own choice stand.
        sample_pairs: at most so many pairs of a language key are fitted on. 2 M pairs of 24
            words a side took 2.3 GB in all (tests/benchmarks/align_memory.py).
        lexicons: known translations, each SRC,TGT=PATH, of any format that
            `kernels.bitext.dictionary` reads; an entry counts as one link seen before.
        segmenter: how unspaced scripts are cut; see `kernels.text.segment.segmenter_for`.
        seed: of the sample.
    """

    aligner: Literal["hmm"] = "hmm"
    model: AlignerConfig = field(default_factory=AlignerConfig)
    symmetrize: str = "posterior"
    threshold: float | None = None
    sample_pairs: int = 2_000_000
    lexicons: tuple[str, ...] = ()
    segmenter: Choice = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _check(
            self,
            threshold=self.threshold is None or 0 <= self.threshold < 1,
            sample_pairs=self.sample_pairs >= 1,
        )
        _check_method(method_named, self.symmetrize)
        lexicon_sources(self)


@dataclass(frozen=True, kw_only=True)
class SimalignConfig:
    """Links by the vectors of an encoder; nothing is fitted.

    Attributes:
        aligner: says which engine this is.
        encoder: folder of a transformers encoder, on every worker.
        matching: how similar words become links; see `kernels.align.encoder`. `inter` is the
            most precise of simalign's, and what is made of links here wants that.
        layer: whose vectors. The 8th of 12, as in simalign and awesome-align: there words of two
            languages are closest, while the last layers turn back to the vocabulary they predict.
        token_type: `bpe` matches subwords, `word` the mean vectors of words; `bpe` as in simalign.
        distortion: how much less similar words at different places are, 0 to 1; 0 as in simalign.
        threshold: of `softmax`, least probability in both directions; 0.001 as in awesome-align.
        segmenter: how unspaced scripts are cut; see `kernels.text.segment.segmenter_for`.
    """

    aligner: Literal["simalign"] = "simalign"
    encoder: str
    matching: Matching = "inter"
    layer: int = 8
    token_type: TokenType = "bpe"
    distortion: float = 0.0
    threshold: float = SOFTMAX_THRESHOLD
    segmenter: Choice = "auto"

    def __post_init__(self) -> None:
        _check(
            self,
            matching=self.matching in get_args(Matching),
            layer=self.layer >= 0,
            token_type=self.token_type in get_args(TokenType),
            distortion=0 <= self.distortion <= 1,
            threshold=0 < self.threshold < 1,
        )
        if self.matching != "softmax" and self.threshold != SOFTMAX_THRESHOLD:
            raise ConfigError("align: threshold is for softmax; with another matching leave it out")
        if self.matching == "softmax" and self.distortion:
            raise ConfigError(
                "align: distortion is for similarities; softmax has none, set it to 0"
            )

    @property
    def matcher(self) -> Matcher:
        """What the kernel needs of it."""
        return Matcher(
            matching=self.matching,
            token_type=self.token_type,
            distortion=self.distortion,
            threshold=self.threshold,
        )


@dataclass(frozen=True, kw_only=True)
class EflomalConfig:
    """Links by eflomal, a process of its own, if it is installed; see `kernels.align.eflomal`.

    Its priors are made once per language key; it seeds itself from the system, so the same rows
    get other links in another run.

    Attributes:
        aligner: says which engine this is.
        programs: folder with eflomal-align and eflomal-makepriors, on every worker; empty looks on
            PATH.
        model: 1 is IBM-1, 2 adds an HMM, 3 fertilities; 3 as in eflomal.
        length: how many rounds it samples, relative to its own choice.
        null_prior: probability that a word has no link; 0.2 as in eflomal.
        symmetrize: how the two directions become one; it gives no posteriors, so all but
            `posterior`. tests/benchmarks/align_text.py tells which is best on its sets.
        sample_pairs: at most so many pairs of a language key make the priors.
        segmenter: how unspaced scripts are cut; see `kernels.text.segment.segmenter_for`.
        seed: of the sample, not of eflomal.
    """

    aligner: Literal["eflomal"] = "eflomal"
    programs: str = ""
    model: int = 3
    length: float = 1.0
    null_prior: float = 0.2
    symmetrize: str = "grow-diag"
    sample_pairs: int = 2_000_000
    segmenter: Choice = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _check(
            self,
            model=self.model in (1, 2, 3),
            length=self.length > 0,
            null_prior=0 < self.null_prior < 1,
            sample_pairs=self.sample_pairs >= 1,
        )
        _check_method(heuristic_named, self.symmetrize)

    @property
    def sampling(self) -> Sampling:
        """What the kernel needs of it."""
        return Sampling(
            programs=self.programs,
            model=self.model,
            length=self.length,
            null_prior=self.null_prior,
        )


FittedConfig = HmmConfig | EflomalConfig
"""Engines that learn from a sample of each language key."""
AlignConfig = FittedConfig | SimalignConfig
Model = AlignerModel | EflomalModel


def _check(config: AlignConfig, **rules: bool) -> None:
    for name, holds in rules.items():
        if not holds:
            got = getattr(config, name)
            raise ConfigError(
                f"align: {name} is {got!r}, out of its range; see {type(config).__name__}"
            )


def _check_method(named: Callable[[str], object], symmetrize: str) -> None:
    try:
        named(symmetrize)
    except ConfigError as error:
        raise ConfigError(f"align: {error}") from error


def lexicon_sources(config: HmmConfig) -> "dict[str, DictionarySource]":
    """Returns the known translations of each language key.

    Args:
        config: names them.

    Raises:
        ConfigError: an entry is not SRC,TGT=PATH, or a key has two.

    >>> lexicon_sources(HmmConfig(lexicons=("en,de=en-de.txt",)))["de-en"].src_lang
    'en'
    """
    from bitextile.kernels.bitext.dictionary.source import (
        DictionarySource,  # its imports take 50 ms
    )

    sources: dict[str, DictionarySource] = {}
    for entry in config.lexicons:
        tags, _, path = entry.partition("=")
        if tags.count(",") != 1 or not path:
            raise ConfigError(
                f"align: lexicon {entry!r}: expected SRC,TGT=PATH, as en,de=en-de.txt"
            )
        src, tgt = (language_tag(tag) for tag in tags.split(","))
        key = language_key([src, tgt])
        if key in sources:
            raise ConfigError(f"align: two lexicons of {key}; join {entry!r} and the one before it")
        sources[key] = DictionarySource(path=path, src_lang=src, tgt_lang=tgt)
    return sources


def lexicon_of(dictionary: "Dictionary") -> pa.Table:
    """Returns a dictionary as the aligner takes it: words alone, sides in the key's order.

    Args:
        dictionary: of a language pair; translations of several words are of no use and left out.
    """
    words = dictionary.entries.select(["src", "tgt"])
    if dictionary.source.src_lang > dictionary.source.tgt_lang:
        words = words.select(["tgt", "src"]).rename_columns(["src", "tgt"])
    several = pc.or_(*(pc.match_substring(words[side], " ") for side in ("src", "tgt")))
    return words.filter(pc.invert(several))


def segment_pairs(batch: pa.RecordBatch, *, config: AlignConfig) -> pa.RecordBatch:
    """Returns a PAIRS batch of one language pair with the word spans of both sides appended.

    Args:
        batch: [n] rows, all with the same `src_lang` and `tgt_lang`.
        config: names the segmenter.
    """
    src_lang, tgt_lang = (batch.column(c)[0].as_py() for c in ("src_lang", "tgt_lang"))
    spans = [
        segment(batch.column(side), lang, segmenter=config.segmenter)
        for side, lang in (("src", src_lang), ("tgt", tgt_lang))
    ]
    columns = [batch.column(name) for name in PAIRS.schema.names]
    return pa.RecordBatch.from_arrays([*columns, *spans], schema=SEGMENTED)


def draw_sample(batch: pa.RecordBatch, *, rows: int, config: FittedConfig) -> pa.RecordBatch:
    """Returns the words of the rows to fit on, sides in the key's order.

    A row is in the sample by a draw keyed by its id, at a rate that yields about
    `config.sample_pairs` of the key's rows; so the sample is the same on any runner.

    Args:
        batch: [n] rows of `segment_pairs`, of one language pair.
        rows: how many the whole key has.
        config: size and seed of the sample.

    Returns:
        [at most n] rows (pair_id, first, second), the last two list<string>.
    """
    rate = min(1.0, config.sample_pairs / max(rows, 1))
    draw = uniform(hash64(batch.column("pair_id")), seed=config.seed, operation="align/sample")
    drawn = batch if rate == 1.0 else batch.filter(pa.array(draw < rate))
    words = _words(drawn)
    return pa.RecordBatch.from_arrays([drawn.column("pair_id"), *words], schema=SAMPLE)


def fit_sample(
    samples: Iterable[pa.RecordBatch], *, config: FittedConfig, lexicon: pa.Table | None = None
) -> Model:
    """Returns the aligner fitted on a key's sample, whatever the order it arrives in.

    Args:
        samples: batches of `draw_sample`.
        config: of the aligner.
        lexicon: of `lexicon_of`, for the statistical aligner.
    """
    table = pa.Table.from_batches(samples, SAMPLE).sort_by("pair_id").combine_chunks()
    first, second = (table.column(side).combine_chunks() for side in ("first", "second"))
    if isinstance(config, EflomalConfig):
        sampled = sample_links(first, second, sampling=config.sampling)
        return model_of_sampled(sampled, sampling=config.sampling)
    return fit(first, second, config=config.model, lexicon=lexicon)


def link_words(batch: pa.RecordBatch, align: Align) -> pa.RecordBatch:
    """Returns the batch as kind ALIGNED.

    Args:
        batch: [n] rows of `segment_pairs`, of one language pair.
        align: from the words of both sides, in the key's order, to links.
    """
    alignment = align(*_words(batch))
    links = flip_links(alignment.links) if _reversed(batch) else alignment.links
    columns = [batch.column(name) for name in SEGMENTED.names]
    return pa.RecordBatch.from_arrays([*columns, links, alignment.score], schema=ALIGNED.schema)


def fitted(model: Model, config: FittedConfig) -> Align:
    """Returns the aligner that a fitted model is.

    Args:
        model: fitted on a language key, by the engine of `config`.
        config: the symmetrisation.
    """
    if isinstance(model, EflomalModel):
        assert isinstance(config, EflomalConfig)
        return partial(_resampled, model=model, config=config)
    assert isinstance(config, HmmConfig)
    return partial(apply, model, symmetrize=config.symmetrize, threshold=config.threshold)


def _resampled(
    first: pa.ListArray, second: pa.ListArray, *, model: EflomalModel, config: EflomalConfig
) -> Alignment:
    sampled = sample_links(first, second, sampling=config.sampling, model=model)
    return alignment_of_sampled(sampled, symmetrize=config.symmetrize)


def load_model(folder: str, config: FittedConfig) -> Model:
    """Reads a saved model of the engine that `config` is of.

    Args:
        folder: local.
        config: of the engine.

    Raises:
        DatasetError: it is no whole model of that engine.
    """
    kind = EflomalModel if isinstance(config, EflomalConfig) else AlignerModel
    return kind.load(folder)


def _reversed(batch: pa.RecordBatch) -> bool:
    return bool(batch.num_rows and batch["src_lang"][0].as_py() > batch["tgt_lang"][0].as_py())


def _words(batch: pa.RecordBatch) -> tuple[pa.ListArray, pa.ListArray]:
    src = words_of(batch.column("src"), batch.column("src_spans"))
    tgt = words_of(batch.column("tgt"), batch.column("tgt_spans"))
    return (tgt, src) if _reversed(batch) else (src, tgt)


def flip_links(links: pa.ListArray) -> pa.ListArray:
    """Returns the links with their sides exchanged, sorted again by (src, tgt) in each row.

    Args:
        links: [n] list<struct<src, tgt, score>>.
    """
    flat = links.flatten()
    row = pc.list_parent_indices(links).to_numpy()
    src, tgt = (flat.field(side).to_numpy() for side in ("tgt", "src"))
    order = pa.array(np.lexsort((tgt, src, row)))
    score = flat.field("score").take(order)
    columns = [pa.array(src).take(order), pa.array(tgt).take(order), score]
    lengths = pc.list_value_length(links).to_numpy(zero_copy_only=False)
    offsets = offsets_of(lengths).astype(np.int32)
    values = pa.StructArray.from_arrays(columns, fields=list(LINK))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=list_of(LINK))
