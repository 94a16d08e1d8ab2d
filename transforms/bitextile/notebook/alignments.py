"""`align`: word alignment of two lists of sentences, without files and without Beam."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bitextile.kernels.align.alignment import MAX_WORDS
from bitextile.kernels.align.batches import (
    align_batch,
    draw_sample,
    join_samples,
    reject_uncountable,
    segment_pairs,
)
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.engine import Aligner, Runtime, ready
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.drawing.examples import shown_row
from bitextile.kernels.drawing.geometry import Sentence, ladder, wide_drawing
from bitextile.kernels.drawing.svg import svg
from bitextile.kernels.drawing.typeset import sanitized
from bitextile.notebook.html import rows_html
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.ids import language_tag, pair_ids
from bitextile.schema.kinds import ALIGNED, PAIRS

if TYPE_CHECKING:
    import pandas

SHOWN = 5
"""Pairs that a notebook shows of the result."""


@dataclass(frozen=True, repr=False)
class AlignedPair:
    """One sentence pair with its word alignment.

    Attributes:
        src: the first sentence, as given.
        tgt: the second.
        src_words: its words.
        tgt_words: likewise.
        links: (word of `src`, word of `tgt`), from 0, sorted.
        scores: of each link, 0 to 1.
        score: mean natural logarithm of the scores.
        src_lang: language of `src`.
        tgt_lang: of `tgt`.
    """

    src: str
    tgt: str
    src_words: list[str]
    tgt_words: list[str]
    links: list[tuple[int, int]]
    scores: list[float]
    score: float
    src_lang: str
    tgt_lang: str

    def __repr__(self) -> str:
        shown = " ".join(f"{a}–{b}" for a, b in self.linked_words[:12])
        return f"AlignedPair({shown}{' …' if len(self.links) > 12 else ''})"

    def _repr_html_(self) -> str:
        src = Sentence(lang=self.src_lang, words=[sanitized(word) for word in self.src_words])
        tgt = Sentence(lang=self.tgt_lang, words=[sanitized(word) for word in self.tgt_words])
        links = [(*link, score) for link, score in zip(self.links, self.scores, strict=True)]
        drawn = wide_drawing(src, tgt, links) or ladder(src, tgt, links)
        return svg(drawn, src_lang=self.src_lang, tgt_lang=self.tgt_lang)

    @property
    def linked_words(self) -> list[tuple[str, str]]:
        """The words of each link."""
        return [(self.src_words[i], self.tgt_words[j]) for i, j in self.links]


@dataclass(frozen=True, repr=False)
class Alignments(Sequence[AlignedPair]):
    """The word alignment of sentence pairs, in the order they were given.

    Attributes:
        batch: the pairs as rows of kind `aligned`, which kernels take.
    """

    batch: pa.RecordBatch

    def __len__(self) -> int:
        return self.batch.num_rows

    def __getitem__(self, index: Any) -> Any:
        """Returns one pair, or the pairs of a slice."""
        if isinstance(index, slice):
            numbers = pa.array(range(*index.indices(len(self))), pa.int64())
            return Alignments(self.batch.take(numbers))
        if not -len(self) <= index < len(self):
            raise IndexError(f"pair {index}, but there are {len(self)}")
        return _pair(self.batch.slice(index % len(self), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[AlignedPair]:
        return map(_pair, self.batch.to_pylist())

    def __repr__(self) -> str:
        key = f", {self._languages}" if len(self) else ""
        return f"Alignments({len(self):,} pairs{key}, {sum(map(len, self.links)):,} links)"

    def _repr_html_(self) -> str:
        rows = self.batch.slice(0, SHOWN).to_pylist()
        more = f" (the first {SHOWN})" if len(self) > SHOWN else ""
        return rows_html([shown_row(ALIGNED, "", row) for row in rows], heading=f"{self!r}{more}")

    @property
    def _languages(self) -> str:
        return f"{self.batch['src_lang'][0]}-{self.batch['tgt_lang'][0]}"

    @cached_property
    def links(self) -> list[list[tuple[int, int]]]:
        """Of each pair (word of the source, word of the target), from 0, sorted."""
        return [
            [(link["src"], link["tgt"]) for link in row] for row in self.batch["links"].to_pylist()
        ]

    @property
    def words(self) -> list[tuple[list[str], list[str]]]:
        """Of each pair the words of both sides."""
        return [(pair.src_words, pair.tgt_words) for pair in self]

    def pharaoh(self) -> list[str]:
        """Returns the links of each pair as fast_align writes them: `0-0 1-2`."""
        return [" ".join(f"{i}-{j}" for i, j in row) for row in self.links]

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns the rows as a DataFrame, which kernels take too; pandas must be installed."""
        return self.batch.to_pandas()


def align(
    src: Sequence[str],
    tgt: Sequence[str],
    *,
    src_lang: str = "und",
    tgt_lang: str = "und",
    config: AlignerConfig | None = None,
) -> Alignments:
    """Returns the word alignment of sentence pairs; the aligner learns from these pairs alone.

    The more pairs it is given, the better: some hundred are enough to see it work, 10,000 to use
    it. Chinese, Japanese and Thai are cut into words where their language is named.

    Args:
        src: sentences.
        tgt: their translations, as many.
        src_lang: language of `src`, a BCP-47 tag; decides how words are cut and text is drawn.
        tgt_lang: of `tgt`.
        config: which aligner with which options; HmmConfig() if not given.

    Raises:
        InputError: the lists differ in length, hold something else than strings, or a sentence
            has more than 32,767 words.
        ConfigError: an aligner that needs an encoder, for which the command `align` is.

    >>> src = ["the house", "the book", "a book"]
    >>> pairs = align(src, ["das Haus", "das Buch", "ein Buch"], src_lang="en", tgt_lang="de")
    >>> len(pairs), pairs[1].linked_words
    (3, [('the', 'das'), ('book', 'Buch')])
    """
    config = HmmConfig() if config is None else config
    if config.encoders:
        raise ConfigError(
            f"aligner {config.aligner} needs an encoder, which `align` on lists does not load; "
            "use the command `bitextile align`"
        )
    pairs = _pairs(_texts("src", src), _texts("tgt", tgt), src_lang, tgt_lang)
    if not pairs.num_rows:
        return Alignments(pa.RecordBatch.from_pylist([], ALIGNED.schema))
    segmented = segment_pairs(pairs, segmenter=config.segmenter)
    if (too_long := reject_uncountable(segmented).rejects).num_rows:
        line = too_long["line"][0].as_py()
        raise InputError(f"pair {line} has more than {MAX_WORDS:,} words on a side; split it")
    return Alignments(align_batch(segmented, _fitted(segmented, config)))


def _fitted(segmented: pa.RecordBatch, config: AlignerConfig) -> Aligner:
    runtime, sample = Runtime(), config.fit_sample
    config.check_installed()
    if sample is None:
        return ready(config, runtime=runtime)
    first, second = join_samples([draw_sample(segmented, rows=segmented.num_rows, sample=sample)])
    return config.aligner_class().fit(first, second, config=config, runtime=runtime)


def _texts(name: str, texts: Sequence[str]) -> pa.StringArray:
    if isinstance(texts, str):
        raise InputError(f"{name} is one string, expected a list of sentences")
    found: list[Any] = list(texts)
    for number, text in enumerate(found):
        if not isinstance(text, str):
            got = type(text).__name__
            raise InputError(f"{name}[{number}] is {got}, expected a sentence as a string")
    return pa.array(found, pa.string())


def _pairs(
    src: pa.StringArray, tgt: pa.StringArray, src_lang: str, tgt_lang: str
) -> pa.RecordBatch:
    if len(src) != len(tgt):
        raise InputError(
            f"src has {len(src):,} sentences and tgt {len(tgt):,}; give two lists in which "
            "sentence n of one is the translation of sentence n of the other"
        )
    langs, n = (language_tag(src_lang), language_tag(tgt_lang)), len(src)
    columns = [
        pair_ids(langs[0], src, langs[1], tgt),
        *(pa.repeat(lang, n) for lang in langs),
        src,
        tgt,
        *(pa.repeat(place, n) for place in ("notebook", "sentences")),
        pa.array(range(1, n + 1), pa.int64()),
        pa.repeat("train", n),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=PAIRS.schema)


def _pair(row: dict[str, Any]) -> AlignedPair:
    return AlignedPair(
        src=row["src"],
        tgt=row["tgt"],
        src_words=_words(row, "src"),
        tgt_words=_words(row, "tgt"),
        links=[(link["src"], link["tgt"]) for link in row["links"]],
        scores=[link["score"] for link in row["links"]],
        score=row["align_score"],
        src_lang=row["src_lang"],
        tgt_lang=row["tgt_lang"],
    )


def _words(row: dict[str, Any], side: str) -> list[str]:
    return [row[side][span["start"] : span["end"]] for span in row[f"{side}_spans"]]
