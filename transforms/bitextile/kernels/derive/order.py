"""Word order: which word comes next, texts put in that order, and the way back.

    en  The dog, it runs.   -- invert -->   runs it, dog The.

A text of several sentences is reordered sentence by sentence; what ends one, a final . ! ?, stays
last. Spaces keep their places, except that one, U+2005, is set where two words would join; it is
white space as any other, and tells the way back that nothing stood there.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from bitextile.kernels.arrays import I64, U64, Bool, offsets_of, rows_of
from bitextile.kernels.randomness import bits, mix64, uniform
from bitextile.kernels.text.codepoints import (
    DIGIT,
    SPACED,
    Texts,
    char_classes,
    gather,
    is_grapheme_extend,
)
from bitextile.kernels.text.sentences import sentence_ends
from bitextile.kernels.text.words import SegmentedTexts
from bitextile.schema.errors import ConfigError

SEPARATOR = 0x2005
"""FOUR-PER-EM SPACE: white space to every tokenizer, U+0020 after NFKC, and rare in corpora."""


def word_order(words: SegmentedTexts, transforms: Iterable[str], *, seed: int) -> I64:
    """Returns which word comes next, [all words]; the same for words that are in that order.

    That it is the same lets the way back draw it again: it follows from what no order changes, the
    words of each text as a multiset and where its sentences end.

    Args:
        words: of texts.
        transforms: of TRANSFORMS; those that leave the order alone are passed over.
        seed: of the permutation.

    Raises:
        ConfigError: `syntax` is among the transforms.
    """
    order = np.arange(len(words.starts))
    for name in transforms:
        if name == "syntax":
            raise ConfigError(
                "transform syntax: needs a dependency parse; give CoNLL-U files, "
                "or leave it out for plain text"
            )
        if name != "transliterate":
            order = order[_reorder_sentences(words, order, name=name, seed=seed)]
    return order


def _reorder_sentences(words: SegmentedTexts, order: I64, *, name: str, seed: int) -> I64:
    """Returns places of `order` in a new order, the ends of sentences staying last."""
    ends, sentence = sentence_ends(words)
    # Sentences keep their places, and so does what ends them, so `sentence` holds for any order.
    place = np.arange(len(order))
    if name == "invert":
        rank = -place.astype(np.float64)
    else:
        keys, row = order_free_hash(words), rows_of(words.words)
        position = place - words.words[row]
        rank = uniform(keys[row], seed=seed, operation="derive/permute", position=position)
    # The last key is the first: within a sentence its words by rank, then what ends it.
    return np.lexsort((rank, ends[order], sentence[order]))


def order_free_hash(words: SegmentedTexts) -> U64:
    """Returns 64 bits for each text, [n], the same for its words in any order.

    So the draw that shuffled a sentence can be drawn again from the shuffled one.
    """
    # Sums modulo 2^64 do not depend on the order of their terms. Letters are hashed with their
    # place in the word, so that "on" is not "no"; each word's sum is mixed before words are added,
    # or letters could change words ("ab cd" and "ad cb") without a trace.
    lengths = words.ends - words.starts
    offsets = offsets_of(lengths)
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    letters = bits(
        gather(words.texts.points, words.starts, lengths).astype(np.uint64),
        seed=0,
        operation="derive/letter",
        position=place,
    )
    return _sums(mix64(_sums(letters, offsets)), words.words)


def _sums(values: U64, offsets: I64) -> U64:
    # Wraps around, and so does the difference: modulo 2^64 it is right.
    reached = np.append(np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64))
    return reached[offsets[1:]] - reached[offsets[:-1]]


def inverse_order(order: I64) -> I64:
    """Returns the order that undoes another, [n].

    >>> inverse_order(np.array([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.arange(len(order))
    return inverse


def head_swap(heads: Sequence[int]) -> list[int]:
    """Returns the words of a sentence with every dependent on the other side of its head.

    Args:
        heads: [n] of each word, counted from 1; 0 for the root.

    Raises:
        ValueError: a head is out of range or the heads form a cycle.

    >>> words, heads = "the dog chased a cat".split(), [2, 3, 0, 5, 3]
    >>> " ".join(words[k] for k in head_swap(heads))
    'cat a chased dog the'
    """
    below: list[list[int]] = [[] for _ in range(len(heads) + 1)]
    for word, head in enumerate(heads, 1):
        if not 0 <= head <= len(heads):
            raise ValueError(f"word {word} has the head {head} of {len(heads)} words")
        below[head].append(word)
    order: list[int] = []
    # A stack instead of recursion: a sentence may be a chain of a thousand words.
    stack = [(word, False) for word in reversed(below[0])]
    while stack:
        word, expanded = stack.pop()
        if expanded:
            order.append(word - 1)
            continue
        # What is pushed last comes off first: the dependents behind the head, then the head, then
        # those that stood before it; each side in its old order.
        stack += [(w, False) for w in reversed(below[word]) if w < word]
        stack.append((word, True))
        stack += [(w, False) for w in reversed(below[word]) if w > word]
    # The root reaches every word but those on a cycle and below one.
    if len(order) < len(heads):
        raise ValueError("dependency cycle")
    return order


def reorder(words: SegmentedTexts, order: I64, *, keep_separate: bool = True) -> SegmentedTexts:
    """Puts words of texts in another order, spaces staying where they are.

    Args:
        words: [n] texts and their words.
        order: [all words] which word comes next; only words of one text change places.
        keep_separate: whether U+2005 keeps words apart that would join.
    """
    row = rows_of(words.words)
    starts, lengths = words.starts[order], (words.ends - words.starts)[order]
    gap_start, gap_length = gaps(words)
    padded = np.append(words.texts.points, np.uint32(SEPARATOR))
    joins = keep_separate & _would_join(words, order, gap_length[: len(row)] == 0)
    # Pieces of a row: gap, separator if words would join, word, gap, ...; then the last gap.
    place = 3 * np.arange(len(row)) + row
    tail = 3 * words.words[1:] + np.arange(len(words.texts.offsets) - 1)
    piece_start = np.full(3 * len(row) + len(tail), len(padded) - 1, np.int64)
    piece_length = np.zeros_like(piece_start)
    piece_start[place], piece_length[place] = gap_start[: len(row)], gap_length[: len(row)]
    piece_length[place + 1] = joins
    piece_start[place + 2], piece_length[place + 2] = starts, lengths
    piece_start[tail], piece_length[tail] = gap_start[len(row) :], gap_length[len(row) :]
    reached = offsets_of(piece_length)
    texts = Texts(gather(padded, piece_start, piece_length), np.append(0, reached[tail + 1]))
    return SegmentedTexts(texts, words.words, reached[place + 2], reached[place + 3])


def fill_gaps(host: SegmentedTexts, words: SegmentedTexts, order: I64) -> Texts:
    """Returns the texts of `host` with each word replaced by another, gaps as they are.

    Args:
        host: [n] texts, whose gaps are taken.
        words: [n] texts with as many words.
        order: [all words] which of `words` stands in the place of each word of `host`.
    """
    n, n_texts = len(host.starts), len(host.texts.offsets) - 1
    gap_start, gap_length = gaps(host)
    # Pieces of a row: gap, word, gap, word, ..., gap.
    place = 2 * np.arange(n) + rows_of(host.words)
    tail = 2 * host.words[1:] + np.arange(n_texts)
    starts = np.zeros(2 * n + n_texts, np.int64)
    lengths = np.zeros_like(starts)
    starts[place], lengths[place] = gap_start[:n], gap_length[:n]
    starts[place + 1] = len(host.texts.points) + words.starts[order]
    lengths[place + 1] = (words.ends - words.starts)[order]
    starts[tail], lengths[tail] = gap_start[n:], gap_length[n:]
    points = gather(np.concatenate([host.texts.points, words.texts.points]), starts, lengths)
    return Texts(points, np.append(0, offsets_of(lengths)[tail + 1]))


def gaps(words: SegmentedTexts) -> tuple[I64, I64]:
    """Returns start and length of what stands before each word, then after each text's last."""
    base, row = words.texts.offsets, rows_of(words.words)
    before = np.append(0, words.ends)[:-1] if len(row) else words.ends
    first = np.append(True, row[1:] != row[:-1])[: len(row)]
    start = np.where(first, base[row], before)
    last = np.maximum(words.words[1:] - 1, 0)
    # A text without words is one gap.
    filled = np.diff(words.words) > 0
    ends = words.ends[last] if len(row) else base[:-1]
    tail = np.where(filled, ends, base[:-1])
    return np.append(start, tail), np.append(words.starts - start, base[1:] - tail)


def _would_join(words: SegmentedTexts, order: I64, touches: Bool) -> Bool:
    """Returns which words of a new order would run into the one before them.

    Args:
        words: of texts.
        order: which word comes next.
        touches: whether nothing stands before a place. Two words that touched and still do, side
            by side as they were, stay as they were.
    """
    points, code, row = words.texts.points, char_classes(), rows_of(words.words)
    if not len(order):
        return np.zeros(0, bool)
    left = np.append(order[0], order[:-1])
    a, b = points[words.ends[left] - 1], points[words.starts[order]]
    # Scripts written without spaces join as they always do.
    letters = np.isin(code[a], (SPACED, DIGIT)) & np.isin(code[b], (SPACED, DIGIT))
    as_they_were = (order == left + 1) & touches[order]
    joins = (letters | is_grapheme_extend()[b]) & touches & ~as_they_were
    return joins & np.append(False, row[1:] == row[:-1])
