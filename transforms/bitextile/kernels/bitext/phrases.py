"""Phrases: what the links of a sentence pair tie together, as stretches that can change places.

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
from bitextile.kernels.text.codepoints import Texts, any_between, cut, is_word_char, to_texts
from bitextile.kernels.text.replace_spans import Edits, ReplacedTexts, grapheme_safe, replace_spans


class Side(NamedTuple):
    """One side of n sentence pairs, its words as stretches of `texts.points`.

    Attributes:
        texts: [n] sentences.
        words: [n + 1] offsets of the words of each sentence into `starts` and `ends`.
        starts: [all words] absolute.
        ends: [all words] exclusive.
    """

    texts: Texts
    words: I64
    starts: I64
    ends: I64


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


class Bitext(NamedTuple):
    """A batch of aligned pairs as stretches of code points, with what may change places."""

    src: Side
    tgt: Side
    phrases: Phrases

    def turned(self) -> "Bitext":
        """Returns the same pairs with source and target in each other's role."""
        turned = self.phrases._replace(src=self.phrases.tgt, tgt=self.phrases.src)
        return Bitext(self.tgt, self.src, turned)


def bitext_of(batch: pa.RecordBatch) -> Bitext:
    """Returns a batch of kind aligned, whose rows have been checked, with its phrases."""
    src, tgt = side_of(batch, "src"), side_of(batch, "tgt")
    return Bitext(src, tgt, _phrases(batch.column("links"), src, tgt))


def side_of(batch: pa.RecordBatch, name: str) -> Side:
    """Returns side `name` ("src" or "tgt") of a batch of kind aligned."""
    return words_in(batch.column(name), batch.column(f"{name}_spans"))


def words_in(text: pa.StringArray, spans: pa.ListArray) -> Side:
    """Returns sentences with their words.

    Args:
        text: [n].
        spans: [n] words of each, in code points.
    """
    texts = to_texts(text)
    words, flat = list_offsets(spans), spans.flatten()
    base = texts.offsets[rows_of(words)]
    starts = base + flat.field("start").to_numpy().astype(np.int64)
    return Side(texts, words, starts, base + flat.field("end").to_numpy().astype(np.int64))


def exchangeable(bitext: Bitext) -> Bool:
    """Returns which phrases may change places, [p].

    Both sides hold a letter or a digit, they differ, and neither tears a character at its edge.
    """
    src, tgt, phrases = bitext
    a, b = stretches(src, phrases.src), stretches(tgt, phrases.tgt)
    fine = np.ones(len(phrases.row), bool)
    for side, (starts, ends) in ((src, a), (tgt, b)):
        letters = is_word_char()[side.texts.points]
        fine &= any_between(letters, starts, ends) & grapheme_safe(side.texts, starts, ends)
    same = pc.equal(cut(src.texts, *a), cut(tgt.texts, *b))
    return fine & ~same.to_numpy(zero_copy_only=False)


def translate(bitext: Bitext, chosen: I64, *, pool: U32 | None = None) -> tuple[I64, ReplacedTexts]:
    """Replaces phrases in the source sentences by what they are linked to in the targets.

    Args:
        bitext: of n pairs.
        chosen: [k] numbers of phrases, in any order.
        pool: the targets' code points, where they are to be cased otherwise; the targets' own.

    Returns:
        The same numbers by row and place in the source, and the [n] new sources.
    """
    src, tgt, phrases = bitext
    order = chosen[np.lexsort((phrases.src[chosen, 0], phrases.row[chosen]))]
    base = src.texts.offsets[phrases.row[order]]
    starts, ends = stretches(src, phrases.src[order])
    edits = Edits(
        phrases.row[order], starts - base, ends - base, *stretches(tgt, phrases.tgt[order])
    )
    return order, replace_spans(src.texts, edits, tgt.texts.points if pool is None else pool)


def stretches(side: Side, words: I64) -> tuple[I64, I64]:
    """Returns start and end of runs of words, absolute in the side's code points.

    Args:
        side: of the batch.
        words: [p, 2] first word and end (exclusive).
    """
    return side.starts[words[:, 0]], side.ends[words[:, 1] - 1]


def _phrases(links: pa.ListArray, src: Side, tgt: Side) -> Phrases:
    rows, flat = rows_of(list_offsets(links)), links.flatten()
    a = src.words[rows] + flat.field("src").to_numpy()
    b = tgt.words[rows] + flat.field("tgt").to_numpy()
    # The lowest source word of a group names it, so groups come out sorted by row and source.
    names, group, counts = np.unique(
        _components(a, b, len(src.starts), len(tgt.starts)), return_inverse=True, return_counts=True
    )
    score = np.full(len(names), np.inf, np.float32)
    np.minimum.at(score, group, flat.field("score").to_numpy())
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
    """Returns first word and end of each group, [n_groups, 2], and whether none between lacks."""
    first, last = np.full(n_groups, np.iinfo(np.int64).max), np.full(n_groups, -1)
    np.minimum.at(first, group, words)
    np.maximum.at(last, group, words)
    # A word with several links is counted once: all of them are in its group.
    group_of = np.full(int(words.max(initial=-1)) + 1, -1)
    group_of[words] = group
    dense = np.bincount(group_of[group_of >= 0], minlength=n_groups) == last + 1 - first
    return np.stack([first, last + 1], axis=1), dense
