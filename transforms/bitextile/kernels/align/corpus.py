"""Words as integers: vocabularies, token arrays, and windows over sentences that are too long."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.alignment import WordLinks
from bitextile.kernels.arrays import F32, I32, I64, Bool, list_offsets, offsets_of
from bitextile.kernels.text.folding import fold_for_counts
from bitextile.schema.errors import InputError

SENTENCES_PER_BATCH = 1 << 12
"""Sentences whose words are lower-cased and looked up at a time: about 1 MB of strings."""
TOKENS_PER_BATCH = 1 << 16
"""Tokens counted at a time: numpy makes int64 of them first, half a megabyte."""


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


def lower_words(sentences: pa.ListArray) -> tuple[pa.StringArray, I64]:
    """Returns all words folded for counting, in order, and the offsets of the sentences among them.

    Args:
        sentences: list<string> [sentences]; a null sentence counts as empty, a null word as "".

    Raises:
        InputError: the array is not a list of strings.

    >>> words, offsets = lower_words(pa.array([["Ein", "Haus"], [], ["МИР"]]))
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
    words = fold_for_counts(pc.fill_null(sentences.flatten(), ""))
    return words.cast(pa.string()), list_offsets(sentences)


def encode_words(sentences: pa.ListArray | pa.ChunkedArray) -> tuple[pa.StringArray, I32, I64]:
    """Returns the distinct words, most frequent first, each word's id in it, and the offsets.

    Ties are broken by the word itself, so that ids depend on counts and not on the order of rows.
    The sentences are read a few at a time: there is never a second copy of all words in memory.

    Args:
        sentences: list<string> [sentences], as for `lower_words`.

    >>> words, ids, offsets = encode_words(pa.array([["b", "水"], ["a", "水"]]))
    >>> words.to_pylist(), ids.tolist(), offsets.tolist()
    (['水', 'a', 'b'], [2, 0, 1, 0], [0, 2, 4])
    """
    # batch 1 [b 水]  dictionary [b 水]   ids 0 1
    # batch 2 [a 水]  dictionary [a 水]   ids 0 1     merged [b 水 a]   merged_id [0 1 | 2 1]
    # by frequency [水 a b]: rank of b 2, of 水 0, of a 1     ->   ids 2 0, 1 0
    ids: list[I32] = []
    dictionaries: list[pa.StringArray] = []
    offsets = np.zeros(len(sentences) + 1, np.int64)
    row = 0
    for batch in _batches(sentences):
        words, at = lower_words(batch)
        encoded = words.dictionary_encode()
        ids.append(np.array(encoded.indices, np.int32))
        dictionaries.append(encoded.dictionary)
        offsets[row + 1 : row + len(at)] = offsets[row] + at[1:]
        row += len(at) - 1
    # Each batch has a dictionary of its own; ids go from the batch's to the merged one's, and from
    # there to ranks by frequency.
    merged = pa.chunked_array(dictionaries, pa.string()).combine_chunks().dictionary_encode()
    edges = np.cumsum([0, *map(len, dictionaries)])
    merged_id = merged.indices.to_numpy(zero_copy_only=False)
    counts = np.zeros(len(merged.dictionary), np.int64)
    for batch_ids, a, b in zip(ids, edges, edges[1:]):
        counts[merged_id[a:b]] += np.bincount(batch_ids, minlength=b - a)
    order = _by_frequency(counts, merged.dictionary)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    for batch_ids, a, b in zip(ids, edges, edges[1:]):
        batch_ids[:] = rank[merged_id[a:b]][batch_ids]
    return merged.dictionary.take(pa.array(order)), _concatenate(ids), offsets


def _batches(sentences: pa.ListArray | pa.ChunkedArray) -> Iterator[pa.ListArray]:
    chunks = sentences.chunks if isinstance(sentences, pa.ChunkedArray) else [sentences]
    for chunk in chunks or [pa.array([], sentences.type)]:
        for first in range(0, max(len(chunk), 1), SENTENCES_PER_BATCH):
            yield chunk.slice(first, SENTENCES_PER_BATCH)


def _by_frequency(counts: I64, words: pa.StringArray) -> I64:
    table = pa.table({"count": counts, "word": words})
    order = pc.sort_indices(table, sort_keys=[("count", "descending"), ("word", "ascending")])
    return order.to_numpy().astype(np.int64)


def _concatenate(arrays: list[I32]) -> I32:
    """Returns the arrays in one; each is freed once it is copied, so the list ends empty."""
    out = np.empty(sum(map(len, arrays)), np.int32)
    end = len(out)
    while arrays:
        array = arrays.pop()
        out[end - len(array) : end] = array
        end -= len(array)
    return out


def count_words(tokens: I32, n_words: int) -> I64:
    """Returns how often each of `n_words` words occurs, int64 [words]."""
    counts = np.zeros(n_words, np.int64)
    for first in range(0, len(tokens), TOKENS_PER_BATCH):
        counts += np.bincount(tokens[first : first + TOKENS_PER_BATCH], minlength=n_words)
    return counts


@dataclass(frozen=True)
class Windows:
    """A corpus cut so that no sentence is longer than a limit, and where each window came from.

    Attributes:
        corpus: the windows; the corpus itself where nothing was too long.
        row: int64 [windows], the pair a window belongs to.
        src_from, tgt_from: int32 [windows], index of the window's first word in its sentence.
        own_from, own_to: int32 [windows], the source words (in the sentence) whose links are taken
            from this window; the rest of the window is overlap.
        n_long: pairs that were cut.
    """

    corpus: Corpus
    row: I64
    src_from: I32
    tgt_from: I32
    own_from: I32
    own_to: I32
    n_long: int

    def to_pairs(self, links: WordLinks) -> WordLinks:
        """Returns links of windows as links of the sentence pairs these were cut from.

        Args:
            links: `pair` numbers windows, words count from their window's first.

        Returns:
            The links, sorted by (pair, src, tgt) if the given ones are; each source word's are
            taken from the window that owns it, so none comes twice.
        """
        window, score = links.pair, links.score
        i, j = links.src + self.src_from[window], links.tgt + self.tgt_from[window]
        # By the source word alone. Windows of a pair are in order and so are the words they own,
        # which is why the order of the links survives.
        own = (i >= self.own_from[window]) & (i < self.own_to[window])
        return WordLinks(self.row[window][own], i[own], j[own], score[own])


def cut_windows(corpus: Corpus, max_words: int) -> Windows:
    """Returns the corpus with every sentence pair that is too long cut into overlapping windows.

    Both sides are cut into the same number of equal sections, so that section k of one side is
    aligned to section k of the other; each window is its section and an eighth of `max_words` on
    either side.

    Args:
        corpus: of any sentence lengths.
        max_words: longest side a window may have.
    """
    n_src, n_tgt = np.diff(corpus.src_at), np.diff(corpus.tgt_at)
    longest = np.maximum(n_src, n_tgt)
    overlap = max_words // 8
    # max_words 16, a pair of 30 and 20 words, margin 2:
    #   src   |0 . . . . . . . . 10|12 .          windows 0-12, 8-22, 18-30, of which the words
    #          . . . 8 .|10 . . . . . . . . 20|22    0-10, 10-20 and 20-30 are their own
    # The target side is cut at the same shares of its length.
    n_windows = np.where(longest > max_words, -(-longest // (max_words - 2 * overlap)), 1)
    row = np.repeat(np.arange(len(n_windows)), n_windows)
    k = np.arange(len(row)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    n = n_windows[row]
    own_from, own_to = n_src[row] * k // n, n_src[row] * (k + 1) // n
    if len(row) == len(n_windows):
        zero = np.zeros(len(row), np.int32)
        return Windows(corpus, row, zero, zero, zero, own_to.astype(np.int32), 0)
    margin = np.where(n > 1, overlap, 0)
    src = _widen(n_src[row], own_from, own_to, margin)
    tgt = _widen(n_tgt[row], n_tgt[row] * k // n, n_tgt[row] * (k + 1) // n, margin)
    windows = Corpus(
        *_gather(corpus.src, corpus.src_at[row], *src, n > 1),
        *_gather(corpus.tgt, corpus.tgt_at[row], *tgt, n > 1),
    )
    n_long = int((n_windows > 1).sum())
    start, stop, s, t = (x.astype(np.int32) for x in (own_from, own_to, src[0], tgt[0]))
    return Windows(windows, row, s, t, start, stop, n_long)


def _widen(length: I64, start: I64, stop: I64, margin: I64) -> tuple[I64, I64]:
    return np.maximum(start - margin, 0), np.minimum(stop + margin, length)


def _gather(tokens: I32, base: I64, start: I64, stop: I64, overlaps: Bool) -> tuple[I32, I64]:
    """Returns the windows' tokens and offsets; neighbours that do not overlap are copied as one."""
    first = np.ones(len(base), bool)
    first[1:] = overlaps[1:] | overlaps[:-1]
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(base)) - 1
    # A corpus with one long pair in a million is then a few copies, not a million.
    runs = zip((base + start)[starts].tolist(), (base + stop)[ends].tolist())
    return np.concatenate([tokens[a:b] for a, b in runs]), offsets_of(stop - start)


def gather_by_word(values: F32, tokens: I32, out: F32) -> None:
    """Sets `out` of each token to the value of its word."""
    for first in range(0, len(tokens), TOKENS_PER_BATCH):
        # In batches, as the index of a gather would else be a second array as large as the corpus.
        batch = slice(first, first + TOKENS_PER_BATCH)
        out[batch] = values[tokens[batch]]


def split_words(lines: list[str] | pa.StringArray) -> pa.ListArray:
    r"""Returns the words of each line, split at spaces and tabs alone, as list<string>.

    Any other white space (no-break, ideographic, a line separator) stays inside its word, so that
    the numbers of the words are those of the caller, and of fast_align and eflomal.

    >>> split_words(["das  Haus\t", "", "10\u00a0000 我\u3000来\r\n"]).to_pylist()
    [['das', 'Haus'], [], ['10\xa0000', '我\u3000来']]
    """
    texts = pa.array(lines, pa.string()) if isinstance(lines, list) else lines
    trimmed = pc.utf8_trim(texts, " \t\r\n")
    words = pc.split_pattern_regex(trimmed, "[ \t]+")
    empty = pc.equal(trimmed, "")
    return pc.if_else(empty, pa.scalar([], words.type), words) if empty.true_count else words
