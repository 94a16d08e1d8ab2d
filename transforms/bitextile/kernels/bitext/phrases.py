"""Phrases: what the links of a sentence pair tie together, as spans that can change places.

The links of a pair fall into connected groups. A group whose words are contiguous on both sides
is a phrase: one word for one, one for several, or several for several.

    A1 - B1,  A2 - B2,  A2 - B3     ->   phrases  A1 = B1,  A2 = B2 B3
    A1 - B1,  A1 - B3 (B2 free)     ->   no phrase: B1 and B3 do not stand together
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F32, I64, U32, Bool, list_offsets, rows_of
from bitextile.kernels.text.codepoints import any_between, cut, is_word_char
from bitextile.kernels.text.fixed import replaceable
from bitextile.kernels.text.replace_spans import Edits, ReplacedTexts, replace_spans
from bitextile.kernels.text.words import SegmentedTexts, segmented_side


class Phrases(NamedTuple):
    """Phrases of a batch, sorted by row, then by their first source word.

    Attributes:
        row: [p].
        src: [p, 2] first word and end (exclusive), absolute in the source side's words.
        tgt: [p, 2] the same on the target side.
        score: [p] the lowest score of its links.
        n_links: [p].
        of_link: [links of the batch] index of the phrase a link belongs to, -1 for none.
    """

    row: I64
    src: I64
    tgt: I64
    score: F32
    n_links: I64
    of_link: I64


class AlignedBitext(NamedTuple):
    """A batch of aligned pairs as arrays of code points and words, with what may change places."""

    src: SegmentedTexts
    tgt: SegmentedTexts
    phrases: Phrases

    def flip(self) -> "AlignedBitext":
        """Returns the same pairs with source and target in each other's role."""
        flipped = self.phrases._replace(src=self.phrases.tgt, tgt=self.phrases.src)
        return AlignedBitext(self.tgt, self.src, flipped)


def bitext_of(batch: pa.RecordBatch) -> AlignedBitext:
    """Returns a batch of kind aligned, whose rows have been checked, with its phrases."""
    src, tgt = segmented_side(batch, "src"), segmented_side(batch, "tgt")
    return AlignedBitext(src, tgt, _phrases(batch.column("links"), src, tgt))


def exchangeable(bitext: AlignedBitext) -> Bool:
    """Returns which phrases may change places, [p].

    Both sides hold a letter or a digit, they differ, and neither tears a character at its edge
    or holds a part of an address, a placeholder or markup.
    """
    # Punctuation or symbols alone carry no word, and equal sides would change nothing.
    src, tgt, phrases = bitext
    a, b = word_spans(src, phrases.src), word_spans(tgt, phrases.tgt)
    fine = np.ones(len(phrases.row), bool)
    for side, (starts, ends) in ((src, a), (tgt, b)):
        letters = is_word_char()[side.texts.points]
        fine &= any_between(letters, starts, ends) & replaceable(side.texts, starts, ends)
    same = pc.equal(cut(src.texts, *a), cut(tgt.texts, *b))
    return fine & ~same.to_numpy(zero_copy_only=False)


def translate(
    bitext: AlignedBitext, chosen: I64, *, replacements: U32 | None = None
) -> tuple[I64, ReplacedTexts]:
    """Replaces phrases in the source sentences by what they are linked to in the targets.

    Args:
        bitext: of n pairs.
        chosen: [k] numbers of phrases, in any order.
        replacements: the targets' code points with other casing; None for the targets' own.

    Returns:
        The same numbers by row and place in the source, and the [n] new sources.
    """
    src, tgt, phrases = bitext
    order = chosen[np.lexsort((phrases.src[chosen, 0], phrases.row[chosen]))]
    base = src.texts.offsets[phrases.row[order]]
    starts, ends = word_spans(src, phrases.src[order])
    edits = Edits(
        phrases.row[order], starts - base, ends - base, *word_spans(tgt, phrases.tgt[order])
    )
    new = tgt.texts.points if replacements is None else replacements
    return order, replace_spans(src.texts, edits, new)


def word_spans(side: SegmentedTexts, words: I64) -> tuple[I64, I64]:
    """Returns start and end of runs of words, absolute in the side's code points.

    Args:
        side: of the batch.
        words: [p, 2] first word and end (exclusive).
    """
    return side.starts[words[:, 0]], side.ends[words[:, 1] - 1]


def _phrases(links: pa.ListArray, src: SegmentedTexts, tgt: SegmentedTexts) -> Phrases:
    rows, flat = rows_of(list_offsets(links)), links.flatten()
    a = src.words[rows] + flat.field("src").to_numpy()
    b = tgt.words[rows] + flat.field("tgt").to_numpy()
    # The lowest source word of a group names it, so groups come out sorted by row and source.
    names, group, counts = np.unique(
        _components(a, b, len(src.starts), len(tgt.starts)), return_inverse=True, return_counts=True
    )
    # The lowest: a phrase is no surer than its weakest link, and a threshold must hold for each.
    score = np.full(len(names), np.inf, np.float32)
    np.minimum.at(score, group, flat.field("score").to_numpy())
    # All links of a group are of one row, so that the last write wins does not matter.
    row = np.zeros(len(names), np.int64)
    row[group] = rows
    words_a, dense_a = _extent(a, group, len(names))
    words_b, dense_b = _extent(b, group, len(names))
    dense = dense_a & dense_b
    number = np.where(dense, np.cumsum(dense) - 1, -1)
    return Phrases(
        row[dense], words_a[dense], words_b[dense], score[dense], counts[dense], number[group]
    )


def _components(a: I64, b: I64, n_a: int, n_b: int) -> I64:
    """Returns for each link the lowest source word its group reaches.

    Labels run back and forth over the links until none changes: as many rounds as the longest
    chain of links, one for one-to-one links.
    """
    # links 0-0, 1-0, 1-1 (one group)     at_a  0 1   at_b  0 1   ->   at_a  0 0   at_b  0 0
    # Source word 1 learns of 0 through target word 0, then target word 1 through source word 1.
    at_a = np.arange(n_a)
    while True:
        at_b = np.full(n_b, n_a)
        np.minimum.at(at_b, b, at_a[a])
        lower = at_a.copy()
        np.minimum.at(lower, a, at_b[b])
        if np.array_equal(lower, at_a):
            return at_a[a]
        at_a = lower


def _extent(words: I64, group: I64, n_groups: int) -> tuple[I64, Bool]:
    """Returns first word and end of each group, [n_groups, 2], and which have no gap."""
    # group with words 3 5 6:   first 3, last 6, so 4 places for 3 words: a gap, no phrase
    first, last = np.full(n_groups, np.iinfo(np.int64).max), np.full(n_groups, -1)
    np.minimum.at(first, group, words)
    np.maximum.at(last, group, words)
    # A word with several links is counted once: all of them are in its group.
    group_of = np.full(int(words.max(initial=-1)) + 1, -1)
    group_of[words] = group
    dense = np.bincount(group_of[group_of >= 0], minlength=n_groups) == last + 1 - first
    return np.stack([first, last + 1], axis=1), dense
