"""The vectors of an encoder as an Aligner: sentences of about the same length are matched at once.

The encoder itself is given: kernels know no torch (see `kernels.align.engine.Runtime`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.alignment import Alignment, WordLinks, to_alignment
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.encoder.matching import match_words
from bitextile.kernels.align.encoder.tokens import TokenVectors
from bitextile.kernels.align.engine import Runtime, WordEncoder
from bitextile.kernels.arrays import I64
from bitextile.schema.errors import ConfigError

PAIRS_PER_SORT = 4_096
"""Pairs sorted by length together, so that a batch has hardly any padding."""
SUBWORDS_PER_CHUNK = 1 << 16
"""Subwords whose vectors are held at once: 200 MB at width 768."""


@dataclass(frozen=True)
class EncoderAligner:
    """Links of words whose vectors are alike; nothing is fitted.

    Attributes:
        encoder: loaded.
        config: how vectors are matched.
    """

    pairs_per_call: ClassVar[int | None] = 20_000

    encoder: WordEncoder
    config: SimalignConfig

    @classmethod
    def fit(
        cls,
        src: pa.ListArray,
        tgt: pa.ListArray,
        *,
        config: SimalignConfig,
        runtime: Runtime,
        lexicon: pa.Table | None = None,
    ) -> "EncoderAligner":
        """Loads the encoder; the sentence pairs are not used."""
        encoder = runtime.load_encoder(config.encoder, layer=config.layer, prefix=config.prefix)
        return cls(encoder, config)

    @classmethod
    def load(cls, folder: str, *, config: SimalignConfig, runtime: Runtime) -> NoReturn:
        """Raises ConfigError: there is no model."""
        raise ConfigError(f"aligner {config.aligner} fits no model; {folder} cannot be loaded")

    def save(self, folder: str) -> NoReturn:
        """Raises ConfigError: there is no model."""
        raise ConfigError(f"aligner {self.config.aligner} fits no model to save to {folder}")

    @property
    def digest(self) -> str:
        """Of the encoder's files."""
        return self.encoder.digest

    def training_alignment(self) -> None:
        """None: nothing was aligned yet."""
        return None

    def align(self, src: pa.ListArray, tgt: pa.ListArray) -> Alignment:
        """Returns the word alignment of sentence pairs."""
        links = [
            WordLinks(rows[chunk.pair], *chunk[1:])
            for start in range(0, len(src), PAIRS_PER_SORT)
            for rows, chunk in self._align_sorted(
                src.slice(start, PAIRS_PER_SORT).to_pylist(),
                tgt.slice(start, PAIRS_PER_SORT).to_pylist(),
                start,
            )
        ]
        if not links:
            none = np.zeros(0, np.int64)
            return to_alignment(WordLinks(none, none, none, np.zeros(0)), len(src))
        columns = [np.concatenate(column) for column in zip(*links)]
        # The links of a pair come from one chunk, sorted: a stable sort by pair keeps them so.
        order = np.argsort(columns[0], kind="stable")
        return to_alignment(WordLinks(*(column[order] for column in columns)), len(src))

    def _align_sorted(
        self, src: list[list[str]], tgt: list[list[str]], start: int
    ) -> Iterator[tuple[I64, WordLinks]]:
        """Yields row numbers and, as indices into these, the links of pairs of similar length."""
        src_subwords, tgt_subwords = self.encoder.tokenize(src), self.encoder.tokenize(tgt)
        lengths = np.diff(src_subwords.at) + np.diff(tgt_subwords.at)
        order = np.argsort(lengths, kind="stable")
        # lengths, sorted   20k 30k 40k 50k     running sum 20k 50k 90k 140k
        # over 64k           0   0   1   2      ->   three chunks: two pairs, one, one
        chunk = np.cumsum(lengths[order]) // SUBWORDS_PER_CHUNK
        for rows in np.split(order, np.flatnonzero(np.diff(chunk)) + 1):
            # Both sides in one call, so that their windows share batches.
            both = src_subwords.take(rows).append(tgt_subwords.take(rows))
            vectors = self.encoder.encode(both)
            n, middle = len(rows), both.at[len(rows)]
            links = match_words(
                TokenVectors(vectors[:middle], both.at[: n + 1], both.word[:middle]),
                TokenVectors(vectors[middle:], both.at[n:] - middle, both.word[middle:]),
                matcher=self.config.matcher,
            )
            yield rows + start, links
