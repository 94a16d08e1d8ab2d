"""An encoder without torch: a word's vector is made of its characters."""

import numpy as np
import pytest

from bitextile.kernels.align.encoder.tokens import Subwords
from bitextile.kernels.arrays import offsets_of


class CharacterEncoder:
    """Each pair of characters of a word is a subword, its vector a function of them alone."""

    digest = "sha256:characters"

    def tokenize(self, sentences):
        """Two characters a subword; their code points are the id."""
        ids, word, lengths = [], [], []
        for sentence in sentences:
            pieces = [
                (w, s[k : k + 2]) for w, s in enumerate(sentence) for k in range(0, len(s), 2)
            ]
            ids += [sum(map(ord, piece)) for _, piece in pieces]
            word += [w for w, _ in pieces]
            lengths.append(len(pieces))
        at = offsets_of(np.array(lengths, np.int64))
        return Subwords(np.array(ids, np.int64), at, np.array(word, np.int64))

    def encode(self, subwords):
        """Cosines of multiples of the id: alike for equal ids only."""
        return np.cos(subwords.ids[:, None] * np.arange(1, 33) * 0.7).astype(np.float32)


@pytest.fixture(scope="session")
def encoder():
    """The encoder."""
    return CharacterEncoder()
