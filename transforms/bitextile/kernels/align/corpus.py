"""Words as integers: vocabularies, token arrays, and windows over sentences that are too long."""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.schema.errors import InputError

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Real: TypeAlias = float | np.floating[Any]


class Corpus(NamedTuple):
    """Sentence pairs as two runs of word ids; sentence s is src[src_at[s]:src_at[s + 1]].

    Attributes:
        src: int32 [source words].
        src_at: int64 [pairs + 1].
        tgt: int32 [target words].
        tgt_at: int64 [pairs + 1].
    """

    src: I32
    src_at: I64
    tgt: I32
    tgt_at: I64


def folded_words(sentences: pa.ListArray) -> tuple[pa.StringArray, I64]:
    """Returns all words in lower case, in order, and the offsets of the sentences in them.

    Args:
        sentences: list<string> [sentences]; a null sentence counts as empty, a null word as "".

    Raises:
        InputError: the array is not a list of strings.

    >>> words, offsets = folded_words(pa.array([["Ein", "Haus"], [], ["МИР"]]))
    >>> words.to_pylist(), offsets.tolist()
    (['ein', 'haus', 'мир'], [0, 2, 2, 3])
    """
    if isinstance(sentences, pa.ChunkedArray):
        sentences = sentences.combine_chunks()
    kind = sentences.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    ):
        raise InputError(
            f"the aligner got {kind}, expected list<string>: one list of words per sentence"
        )
    lengths = pc.fill_null(pc.list_value_length(sentences), 0)
    offsets = np.zeros(len(sentences) + 1, np.int64)
    np.cumsum(lengths.to_numpy(zero_copy_only=False), out=offsets[1:])
    words = pc.utf8_lower(pc.fill_null(sentences.flatten(), ""))
    return words.cast(pa.string()), offsets


def vocabulary_of(words: pa.StringArray) -> tuple[pa.StringArray, I32]:
    """Returns the distinct words, most frequent first, and the id of each given word.

    Ties are broken by the word itself, so that ids depend on counts and not on the order of rows.

    >>> vocabulary, ids = vocabulary_of(pa.array(["b", "水", "a", "水"]))
    >>> vocabulary.to_pylist(), ids.tolist()
    (['水', 'a', 'b'], [2, 0, 1, 0])
    """
    encoded = words.dictionary_encode()
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(indices, minlength=len(encoded.dictionary))
    table = pa.table({"count": counts, "word": encoded.dictionary})
    order = pc.sort_indices(table, sort_keys=[("count", "descending"), ("word", "ascending")])
    rank = np.empty(len(order), np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    return encoded.dictionary.take(order), rank[indices]


@dataclass(frozen=True)
class Windows:
    """A corpus cut so that no sentence is longer than a limit, and where each piece came from.

    Attributes:
        corpus: the pieces; the corpus itself where nothing was too long.
        row: int64 [pieces], the pair a piece belongs to.
        src_from, tgt_from: int32 [pieces], index of the piece's first word in its sentence.
        own_from, own_to: int32 [pieces], the source words (in the sentence) whose links are taken
            from this piece; the rest of the piece is overlap.
        n_long: pairs that were cut.
    """

    corpus: Corpus
    row: I64
    src_from: I32
    tgt_from: I32
    own_from: I32
    own_to: I32
    n_long: int


def windowed(corpus: Corpus, max_words: int) -> Windows:
    """Returns the corpus with every sentence pair that is too long cut into overlapping windows.

    Both sides are cut into the same number of equal parts, so that part k of one side faces part k
    of the other; each window is its part and an eighth of `max_words` on either side.

    Args:
        corpus: of any sentence lengths.
        max_words: longest side a piece may have.
    """
    n_src, n_tgt = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    longest = np.maximum(n_src, n_tgt)
    overlap = max_words // 8
    parts = np.where(longest > max_words, -(-longest // (max_words - 2 * overlap)), 1)
    row = np.repeat(np.arange(len(parts)), parts)
    part = np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    own_from = n_src[row] * part // parts[row]
    own_to = n_src[row] * (part + 1) // parts[row]
    if len(row) == len(parts):
        zero = np.zeros(len(row), np.int32)
        return Windows(corpus, row, zero, zero, zero, own_to.astype(np.int32), 0)
    margin = np.where(parts[row] > 1, overlap, 0)
    src = _pieces(n_src[row], own_from, own_to, margin)
    tgt_from, tgt_to = n_tgt[row] * part // parts[row], n_tgt[row] * (part + 1) // parts[row]
    tgt = _pieces(n_tgt[row], tgt_from, tgt_to, margin)
    pieces = Corpus(
        *_cut(corpus.src, corpus.src_at[row], *src), *_cut(corpus.tgt, corpus.tgt_at[row], *tgt)
    )
    s, t, a, b = (x.astype(np.int32) for x in (src[0], tgt[0], own_from, own_to))
    return Windows(pieces, row, s, t, a, b, int((parts > 1).sum()))


def _pieces(length: I64, start: I64, stop: I64, margin: I64) -> tuple[I64, I64]:
    return np.maximum(start - margin, 0), np.minimum(stop + margin, length)


def _cut(tokens: I32, base: I64, start: I64, stop: I64) -> tuple[I32, I64]:
    offsets = np.zeros(len(base) + 1, np.int64)
    np.cumsum(stop - start, out=offsets[1:])
    shift = np.repeat(base + start - offsets[:-1], stop - start)
    return tokens[np.arange(offsets[-1]) + shift], offsets


def list_of_words(lines: list[str]) -> pa.ListArray:
    """Returns the words of each line, cut at white space, as `fit` and `apply` take them.

    >>> list_of_words(["das  Haus ", "", "我 来"]).to_pylist()
    [['das', 'Haus'], [], ['我', '来']]
    """
    trimmed = pc.utf8_trim_whitespace(pa.array(lines, pa.string()))
    words = pc.utf8_split_whitespace(trimmed)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar([], words.type), words)
