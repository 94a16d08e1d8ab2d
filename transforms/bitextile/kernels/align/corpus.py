"""Words as integers: vocabularies, token arrays, and windows over sentences that are too long."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.schema.errors import InputError


@dataclass(frozen=True)
class Side:
    """One side of a corpus: all its words in a row, and where each sentence starts.

    Attributes:
        tokens: int32 [words], vocabulary ids.
        offsets: int64 [sentences + 1]; sentence s is tokens[offsets[s]:offsets[s + 1]].
    """

    tokens: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Words per sentence, int64."""
        return np.diff(self.offsets)


def folded_words(sentences: pa.ListArray) -> tuple[pa.StringArray, np.ndarray]:
    """Returns all words in lower case, in order, and the offsets of the sentences in them.

    Args:
        sentences: list<string> [sentences]; a null sentence counts as empty, a null word as "".

    Raises:
        InputError: the array is not a list of strings.
    """
    if isinstance(sentences, pa.ChunkedArray):
        sentences = sentences.combine_chunks()
    kind = sentences.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    ):
        raise InputError(
            f"the aligner got {kind}, expected list<string>, one list of words per sentence"
        )
    lengths = pc.fill_null(pc.list_value_length(sentences), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(sentences) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    words = pc.utf8_lower(pc.fill_null(sentences.flatten(), ""))
    return words.cast(pa.string()), offsets


def vocabulary_of(words: pa.StringArray) -> tuple[pa.StringArray, np.ndarray]:
    """Returns the distinct words, most frequent first, and the int32 id of each given word.

    Ties are broken by the word itself, so that ids depend on counts and not on the order of rows.
    """
    encoded = words.dictionary_encode()
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(indices, minlength=len(encoded.dictionary))
    table = pa.table({"count": counts, "word": encoded.dictionary})
    order = pc.sort_indices(
        table, sort_keys=[("count", "descending"), ("word", "ascending")]
    ).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return encoded.dictionary.take(pa.array(order)), rank[indices]
