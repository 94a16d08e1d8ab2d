"""Bitext retrieval: does a sentence find its translation among all? Cosine, accuracy at 1."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from bitextile.kernels.arrays import F64
from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.readers.whole import most_bytes, too_large
from bitextile.kernels.text.normalise import normalise_text
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.fromtext import Language
from bitextile.schema.ids import language_tag
from bitextile.schema.kinds import ALIGNED, PAIRS
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.evaluate.cosine import nearest
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.task import LayerOptions, SplitOptions
from bitextile.trainer.objectives.config import Pooling

if TYPE_CHECKING:
    from bitextile.trainer.evaluate.vectors import Embedder

PAIR = ("pair_id", "src_lang", "tgt_lang", "src", "tgt")
UNKNOWN = ("und", "und")
_GROUPS = 10
"""Groups of equal inputs that a report names."""


@dataclass(frozen=True)
class Bitext:
    """Sentences and their translations, row by row.

    Attributes:
        src: sentences.
        tgt: their translations.
        rows: what a report calls them: ids of a dataset, lines of files.
        languages: of both sides, as far as they are known.
        blank: rows left out because a side is empty.
    """

    src: list[str]
    tgt: list[str]
    rows: list[Any]
    languages: tuple[str, str] = UNKNOWN
    blank: int = 0


@dataclass(frozen=True, kw_only=True)
class RetrievalOptions(LayerOptions, SplitOptions):
    """Whose vectors are compared, and which rows."""

    pooling: Pooling | None = None
    """Vector of a sentence: `mean` of its subwords, `cls` (the first token's) or `projection` (of
    that one, as moco compares it). By default what the run's objectives trained, else mean."""
    key: str | None = None
    """The one language pair of the dataset to measure, such as de-en, in any order and form of the
    tags. By default each."""
    languages: tuple[Language, ...] = ()
    """Languages of two text files, for the embeddings of languages that a run may have."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in (None, *get_args(Pooling)):
            raise ConfigError(
                f"pooling is {self.pooling!r}, expected one of {', '.join(get_args(Pooling))}"
            )
        if len(self.languages) not in (0, 2):
            raise ConfigError(f"languages are {', '.join(self.languages)}; expected two, as de,en")


class RetrievalTask:
    """Bitext retrieval by the cosine of the vectors of sentences."""

    name = "retrieval"
    data = "one pairs or aligned dataset, or two text files, line by line"
    options = RetrievalOptions

    def read(self, paths: Sequence[str], options: RetrievalOptions) -> dict[str, Bitext]:
        """Returns the bitext of each language pair, or that of two files as `files`."""
        if len(paths) == 2 and not any(exists(f"{path}/{FILE_NAME}") for path in paths):
            return {"files": _read_lines(paths, options)}
        if len(paths) != 1:
            raise ConfigError(
                f"retrieval takes one dataset or two text files, got {len(paths)} paths"
            )
        if options.languages:
            raise ConfigError("languages are for text files; a dataset says its own: leave it out")
        return _read_dataset(paths[0], options)

    def prepare(self, model: str, options: RetrievalOptions) -> "Embedder":
        """Returns the encoder."""
        from bitextile.trainer.evaluate.vectors import load_embedder

        return load_embedder(
            model, layer=options.layer, pooling=options.pooling, prefix=options.prefix
        )

    def metrics(self, prepared: "Embedder", data: Bitext, options: RetrievalOptions) -> Any:
        """Returns accuracies in both directions; see `with_and_without_languages`."""
        from bitextile.trainer.evaluate.vectors import with_and_without_languages

        return with_and_without_languages(prepared, partial(_score, data=data))

    def settings(self, prepared: "Embedder", options: RetrievalOptions) -> dict[str, Any]:
        """Returns how vectors were made, and the split."""
        return {"pooling": prepared.pooling} | prepared.settings() | {"split": options.split}


def _score(embedder: "Embedder", *, data: Bitext) -> "RetrievalResult | None":
    from bitextile.trainer.evaluate.vectors import embed_sentences

    if not embedder.knows(data.languages):
        return None
    texts = (data.src, data.tgt)
    src, tgt = (
        embed_sentences(embedder, side, language=language)
        for side, language in zip(texts, data.languages)
    )
    result = retrieval(src.vectors, tgt.vectors, src_texts=data.src, tgt_texts=data.tgt)
    groups = [
        group
        for side, found in zip(texts, (src, tgt))
        for group in equal_inputs(side, found.inputs, data.rows)
    ]
    return replace(
        result,
        blank=data.blank,
        truncated=int(src.truncated.sum() + tgt.truncated.sum()),
        equal_inputs=sum(map(len, groups)),
        equal_input_rows=groups[:_GROUPS],
    )


def equal_inputs(
    texts: Sequence[str], inputs: Sequence[bytes], rows: Sequence[Any]
) -> list[list[Any]]:
    """Returns groups of rows whose texts differ and are one to the model.

    Args:
        texts: [n] of one side.
        inputs: [n] what the model is given of each.
        rows: [n] names of the rows.

    >>> equal_inputs(["a b", "a c", "d", "a b"], [b"a", b"a", b"d", b"a"], [1, 2, 3, 4])
    [[1, 2, 4]]
    """
    groups: dict[bytes, list[int]] = {}
    for i, given in enumerate(inputs):
        groups.setdefault(given, []).append(i)
    return [
        [rows[i] for i in group] for group in groups.values() if len({texts[i] for i in group}) > 1
    ]


@dataclass(frozen=True)
class RetrievalResult:
    """Accuracy at 1 in both directions.

    Attributes:
        src_to_tgt: share of sources whose nearest target is their translation; of a dataset, the
            source is the first language of the language pair.
        tgt_to_src: the other way.
        mean: of both.
        pairs: compared.
        blank: pairs left out because a side is empty.
        truncated: sentences, of both sides, that were too long for the model.
        equal_inputs: sentences that the model cannot tell from another one of their side, mostly
            because they differ behind the cut alone.
        equal_input_rows: rows of the first groups of such, by line or id.
    """

    src_to_tgt: Estimate
    tgt_to_src: Estimate
    mean: Estimate
    pairs: int
    blank: int = 0
    truncated: int = 0
    equal_inputs: int = 0
    equal_input_rows: list[list[Any]] = field(default_factory=list)


def retrieval(
    src: F64, tgt: F64, *, src_texts: Sequence[str], tgt_texts: Sequence[str]
) -> RetrievalResult:
    """Scores retrieval by cosine.

    Args:
        src: [n, H] sentence vectors.
        tgt: [n, H] those of the translations, row by row.
        src_texts: [n]; what a sentence finds is right if any row has both.
        tgt_texts: [n] likewise.

    Raises:
        InputError: fewer than two pairs, which is no task.
    """
    if len(src) < 2:
        raise InputError(f"retrieval needs at least 2 pairs, got {len(src)}; give more data")
    forward = _hits(src, tgt, src_texts, tgt_texts)
    back = _hits(tgt, src, tgt_texts, src_texts)
    terms = np.stack([forward, back, np.ones(len(forward))], axis=1)
    return RetrievalResult(
        src_to_tgt=bootstrap(terms, lambda s: s[0] / s[2], operation="retrieval"),
        tgt_to_src=bootstrap(terms, lambda s: s[1] / s[2], operation="retrieval"),
        mean=bootstrap(terms, lambda s: (s[0] + s[1]) / 2 / s[2], operation="retrieval"),
        pairs=len(src),
    )


def _hits(
    queries: F64, candidates: F64, query_texts: Sequence[str], candidate_texts: Sequence[str]
) -> F64:
    # By text, not by row: of a caption that stands twice, with one translation or two, neither
    # place is wrong.
    right = set(zip(query_texts, candidate_texts))
    found = nearest(queries, candidates).tolist()
    hits = [(query_texts[i], candidate_texts[f]) in right for i, f in enumerate(found)]
    return np.asarray(hits, np.float64)


def _read_dataset(path: str, options: RetrievalOptions) -> dict[str, Bitext]:
    dataset = open_dataset(path, (PAIRS, ALIGNED))
    named = None if options.key is None else dataset.named_key(options.key)
    if options.key is not None and named is None:
        raise ConfigError(
            f"{path} has no language pair {options.key}; it has {', '.join(dataset.keys)}"
        )
    bitexts = {}
    for name in dataset.keys if named is None else [named]:
        rows = split_rows(dataset, name, PAIR, split=options.only_split, limit=options.max_rows)
        if rows is not None and rows.num_rows > 1:  # one pair alone is no task
            found = rows.to_pylist()
            first = sorted((found[0]["src_lang"], found[0]["tgt_lang"]))
            ids = [row["pair_id"] for row in found]
            bitexts[name] = _without_blanks(*_in_key_order(found), ids, (first[0], first[1]))
    if not bitexts:
        raise InputError(f"{path}: no two rows of split {options.split!r}; give --split, or all")
    return bitexts


def _in_key_order(rows: list[dict[str, str]]) -> tuple[list[str], list[str]]:
    """Returns both sides, the language that comes first in the language pair first."""
    ordered = [
        (row["src"], row["tgt"])[:: 1 if row["src_lang"] <= row["tgt_lang"] else -1] for row in rows
    ]
    return [a for a, _ in ordered], [b for _, b in ordered]


def _without_blanks(
    src: list[str], tgt: list[str], rows: list[Any], languages: tuple[str, str]
) -> Bitext:
    """Returns the pairs of which neither side is empty; the others are counted."""
    n = len(src)
    kept = [i for i, pair in enumerate(zip(src, tgt)) if all(text.strip() for text in pair)]
    src, tgt, rows = ([column[i] for i in kept] for column in (src, tgt, rows))
    return Bitext(src, tgt, rows, languages, n - len(kept))


def _read_lines(paths: Sequence[str], options: RetrievalOptions) -> Bitext:
    """Reads two text files, plain or compressed, line n of one translating line n of the other."""
    source = CorpusSource(
        corpus="evaluation",
        languages=("src", "tgt"),
        files=tuple(paths),
        names=tuple(paths),
        format="lines",
    )
    src: list[str] = []
    tgt: list[str] = []
    held, limit = 0, sum(map(most_bytes, paths))
    for kept, rejects in read_corpus(source):
        if rejects.num_rows:
            bad = rejects.slice(0, 1).to_pylist()[0]
            raise InputError(f"{paths[0]} or {paths[1]}, line {bad['line']}: {bad['detail']}")
        held += kept.nbytes
        if held > limit:
            raise too_large(" or ".join(paths), limit)
        src += normalise_text(kept.column("src")).to_pylist()
        tgt += normalise_text(kept.column("tgt")).to_pylist()
    languages = tuple(map(language_tag, options.languages)) or UNKNOWN
    whole = _without_blanks(src, tgt, list(range(1, len(src) + 1)), (languages[0], languages[1]))
    rows = slice(options.max_rows)
    return replace(whole, src=whole.src[rows], tgt=whole.tgt[rows], rows=whole.rows[rows])
