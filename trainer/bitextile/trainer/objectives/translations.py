"""Which sentences of a dataset are translations of each other, over all its language pairs.

In multi-parallel data a sentence stands in many pairs. The German of one pair is then a translation
of the English of another, and of its French:

    pairs    Hi. - Hallo.   Hi. - Salut.   Hallo. - Hoi.   Bye. - Hoi!
    of (Hi., Hallo.)        Hi. Hallo. Salut. Hoi.         the two, and the translations of both
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from bitextile.kernels.arrays import I64
from bitextile.schema.dataset import Dataset


def sentence_ids(texts: Iterable[str]) -> I64:
    """Returns 64 bits of each text; equal texts have equal ones, whatever language they are tagged.

    Not `text_id`, which differs by language: a name or a number that was left as it is would be
    told from itself.

    >>> bool(np.equal(*sentence_ids(["Hi.", "Hi."]))), bool(np.equal(*sentence_ids(["Hi.", "hi."])))
    (True, False)
    """
    # Of 100 million sentences, two share 64 bits with a probability of 0.03 %.
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, "<i8").astype(np.int64)


# No comparison: of arrays it would be none, and two that were read alike need not be told equal.
@dataclass(frozen=True, eq=False)
class Translations:
    """The translations of each sentence that has several; of another its pair says which one.

    Attributes:
        sentences: [m] ids, ascending.
        starts: [m + 1] where the translations of each begin and end.
        partners: ids of the translations.
    """

    sentences: I64
    starts: I64
    partners: I64

    def around(self, pair: I64) -> I64:
        """Returns the ids of both sentences of a pair, then those of the translations of either.

        Args:
            pair: [2] ids.
        """
        found = [pair]
        for sentence in pair:
            place = int(np.searchsorted(self.sentences, sentence))
            if place < len(self.sentences) and self.sentences[place] == sentence:
                found.append(self.partners[self.starts[place] : self.starts[place + 1]])
        return np.concatenate(found)


NO_TRANSLATIONS = Translations(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int64))
"""Where nothing is known beyond the pairs themselves."""


def read_translations(dataset: Dataset) -> Translations:
    """Reads which sentences of a dataset of pairs have several translations.

    All splits count: a test pair is no less a translation.

    Args:
        dataset: with `src` and `tgt`.
    """
    batches = list(_ids_of(dataset))
    if not batches:
        return NO_TRANSLATIONS
    src, tgt = (np.concatenate(sides) for sides in zip(*batches))
    return translations_of(src, tgt)


def _ids_of(dataset: Dataset) -> Iterator[tuple[I64, I64]]:
    for batch in dataset.batches(columns=["src", "tgt"]):
        src, tgt = (sentence_ids(batch.column(side).to_pylist()) for side in ("src", "tgt"))
        yield src, tgt


def translations_of(src: I64, tgt: I64) -> Translations:
    """Returns the translations of sentences with several.

    Args:
        src: [n] ids of one side of each pair.
        tgt: [n] of the other.

    >>> found = translations_of(np.array([1, 1, 2]), np.array([8, 9, 7]))
    >>> found.around(np.array([1, 8])).tolist(), found.around(np.array([2, 7])).tolist()
    ([1, 8, 8, 9], [2, 7])
    """
    one, other = np.concatenate([src, tgt]), np.concatenate([tgt, src])
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    # A pair may stand in several corpora; as a translation it counts once.
    new = np.ones(len(one), bool)
    new[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    one, other = one[new], other[new]
    sentences, counts = np.unique(one, return_counts=True)
    several = counts > 1
    kept = np.repeat(several, counts)
    starts = np.concatenate([[0], np.cumsum(counts[several])]).astype(np.int64)
    return Translations(sentences[several], starts, other[kept])
