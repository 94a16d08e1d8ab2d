"""Sentences to learn a vocabulary from: unique, in the order of hashes, languages balanced."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import U64
from bitextile.kernels.randomness import bits, hash64
from bitextile.schema.ids import text_ids


def sample_sizes(sentences: dict[str, int], *, alpha: float, budget: int) -> dict[str, int]:
    """Returns how many sentences of each language to train on.

    Args:
        sentences: language to how many there are.
        alpha: temperature, as in `TokenizerConfig`.
        budget: sentences in all at most; fewer are taken if there are fewer.

    >>> sample_sizes({"de": 900, "th": 100}, alpha=1.0, budget=100)
    {'de': 90, 'th': 10}
    >>> sample_sizes({"de": 900, "th": 100}, alpha=0.3, budget=100)
    {'de': 66, 'th': 34}
    """
    total = sum(sentences.values())
    weight = {lang: (n / total) ** alpha for lang, n in sentences.items()}
    scale = min(budget, total) / sum(weight.values())
    return {lang: max(1, round(scale * w)) for lang, w in weight.items()}


class SentenceSample:
    """The unique sentences of one language: how many, and those that come first by hash.

    Args:
        lang: BCP-47 tag of the sentences.
        cap: sentences held at most.
    """

    def __init__(self, lang: str, cap: int) -> None:
        self.lang = lang
        self.cap = cap
        self.seen: list[U64] = []
        self.pending: list[tuple[U64, pa.StringArray]] = []

    def add(self, texts: pa.StringArray) -> None:
        """Adds sentences, in any order and any number of times."""
        # Drawn anew from the id, whose own bits decide on splits and shards.
        places = bits(hash64(text_ids(self.lang, texts)), seed=0, operation="tokenizer")
        self.seen.append(places)
        self.pending.append((places, texts))
        # At twice the cap, so that a sentence is sorted a bounded number of times on average;
        # memory stays within 2 caps and one batch.
        if sum(len(kept) for kept, _ in self.pending) > 2 * self.cap:
            self._trim()

    @property
    def n_unique(self) -> int:
        """Unique sentences, those beyond the cap included."""
        self.seen = [np.unique(np.concatenate(self.seen))]
        return len(self.seen[0])

    def first(self, n: int) -> Iterator[str]:
        """Yields n sentences in the order of hashes, beginning again where there are fewer."""
        self._trim()
        texts = self.pending[0][1].to_pylist()
        for i in range(n):
            yield texts[i % len(texts)]

    def _trim(self) -> None:
        places = np.concatenate([places for places, _ in self.pending])
        texts = pa.concat_arrays([texts for _, texts in self.pending])
        # Equal places are equal sentences, as both follow from language and text. The smallest
        # hashes are kept: a sample that does not depend on the order in which shards are read.
        places, rows = np.unique(places, return_index=True)
        self.pending = [(places[: self.cap], texts.take(pa.array(rows[: self.cap])))]
