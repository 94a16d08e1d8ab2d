"""Casing counted over a corpus, and the first letters of words with their other case.

A word is written small if a corpus has it small more often than capital inside sentences; so the
German noun, "Monday" and "I" keep their capitals without a list of them.

Only the first letter changes, one code point for one, and only by mappings that go both ways: that
of the language for the Turkic dotted and dotless i, that of Unicode else, whatever the locale. ß,
Georgian letters and the Dutch ij have none. So places in the text stay.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, U32, Bool, offsets_of, rows_of
from bitextile.kernels.text.codepoints import Texts, any_between, gather, is_word_char, to_strings
from bitextile.kernels.text.folding import TURKIC
from bitextile.kernels.text.sentences import sentence_ends
from bitextile.kernels.text.words import SegmentedTexts, segmented_side
from bitextile.schema.checks import check_rows
from bitextile.schema.kinds import ALIGNED
from bitextile.schema.languages import language_of

_COUNTS = pa.schema([("word", pa.string()), ("small", pa.int64()), ("capital", pa.int64())])
_CASED_END = 0x20000  # planes 0 and 1 hold all letters with case


class Casing(NamedTuple):
    """What a corpus writes small.

    Attributes:
        small: language, U+001F, word: words more often small than capital inside sentences.
    """

    small: pa.StringArray


EMPTY_CASING = Casing(pa.nulls(0, pa.string()))  # pa.array would import pandas


class FirstLetters(NamedTuple):
    """The first letters of words; all [k].

    Attributes:
        capital: begins with a capital.
        low: begins with a small letter.
        raised: its first code point as a capital; 0 where it has none, or the word is mixed.
        lowered: the same as a small letter.
    """

    capital: Bool
    low: Bool
    raised: U32
    lowered: U32


def count_casing(batch: pa.RecordBatch) -> pa.Table:
    """Counts how often each word inside a sentence begins small and how often with a capital.

    Args:
        batch: [n] rows of kind aligned.

    Returns:
        One row for each language and word (`word`, language U+001F small word), `small`, `capital`.

    Raises:
        RowError: a span lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "exchange")
    parts = []
    for name in ("src", "tgt"):
        side, lang = segmented_side(batch, name), batch.column(f"{name}_lang")
        # Inside sentences only: at the first place every word has a capital, whatever its own case.
        inside = np.flatnonzero(~sentence_initial(side))
        row = rows_of(side.words)[inside]
        letters = first_letters(side, inside, lang.take(pa.array(row)))
        cased = np.flatnonzero((letters.raised | letters.lowered) > 0)
        capital = letters.capital[cased]
        # "Haus" (capital) and "haus" are counted under one key, the small form
        first = np.where(
            capital, letters.lowered[cased], side.texts.points[side.starts[inside[cased]]]
        )
        words = casing_keys(side, inside[cased], first, lang.take(pa.array(row[cased])))
        columns = [words, pa.array((~capital).astype(np.int64)), pa.array(capital.astype(np.int64))]
        parts.append(pa.Table.from_arrays(columns, schema=_COUNTS))
    return _summed(pa.concat_tables(parts))


def casing_of(batches: Iterable[pa.RecordBatch]) -> Casing:
    """Returns what a corpus writes small; the order of the batches does not matter.

    Args:
        batches: rows of kind aligned.
    """
    counts = _summed(pa.concat_tables([_COUNTS.empty_table(), *map(count_casing, batches)]))
    # In a tie a word is not listed, and stays as it was.
    small = counts.filter(pc.greater(counts["small"], counts["capital"]))["word"]
    return Casing(pc.take(small, pc.sort_indices(small)).combine_chunks())


def sentence_initial(side: SegmentedTexts) -> Bool:
    """Returns which words stand first in their sentences, marks before them aside; [all words]."""
    _, sentence = sentence_ends(side)
    words = np.flatnonzero(any_between(is_word_char()[side.texts.points], side.starts, side.ends))
    first = np.zeros(len(side.starts), bool)
    first[words[np.unique(sentence[words], return_index=True)[1]]] = True
    return first


def first_letters(side: SegmentedTexts, words: I64, lang: pa.StringArray) -> FirstLetters:
    """Returns words, [k] numbers of a side's, by their first letter; `lang` is [k]."""
    starts, ends = side.starts[words], side.ends[words]
    first = side.texts.points[starts]
    low, high = _case_pairs()
    inside = np.minimum(first, _CASED_END - 1)
    raised, lowered = high[inside], low[inside]
    base = lang.dictionary_encode()
    names = [language_of(tag) for tag in base.dictionary.to_pylist()]
    codes = base.indices.to_numpy(zero_copy_only=False)
    turkic, dutch = (
        np.array([name in wanted for name in names], bool)[codes] for wanted in (TURKIC, ("nl",))
    )
    # i and İ, ı and I: Unicode's SpecialCasing.txt has these pairs for tr and az; the other
    # languages of the list write the same letters.
    for small, large in ((0x69, 0x130), (0x131, 0x49)):
        raised = np.where(turkic & (first == small), np.uint32(large), raised)
        lowered = np.where(turkic & (first == large), np.uint32(small), lowered)
    # One zero behind the last word, whose first letter may be the last code point of all.
    second = np.append(side.texts.points, np.uint32(0))[starts + 1]
    # "IJsland": both letters would have to change, and one code point for one is the promise here.
    digraph = dutch & np.isin(first, (0x49, 0x69)) & np.isin(second, (0x4A, 0x6A))
    # NATO or iPhone: a further capital says that the case of the first letter is the word's own.
    mixed = any_between(is_capital(side.texts.points), np.minimum(starts + 1, ends), ends) | digraph
    capital = (lowered > 0) | is_capital(first)
    none = np.uint32(0)
    return FirstLetters(
        capital,
        (raised > 0) & ~capital,
        np.where(mixed, none, raised),
        np.where(mixed, none, lowered),
    )


def casing_keys(
    side: SegmentedTexts, words: I64, first: U32, lang: pa.StringArray
) -> pa.StringArray:
    """Returns language, U+001F and word, its first letter being `first`; all [k]."""
    starts, lengths = side.starts[words], side.ends[words] - side.starts[words]
    points, offsets = gather(side.texts.points, starts, lengths), offsets_of(lengths)
    points[offsets[:-1]] = first
    return pc.binary_join_element_wise(lang, to_strings(Texts(points, offsets)), "\x1f")


def _summed(counts: pa.Table) -> pa.Table:
    sums = counts.group_by("word").aggregate([("small", "sum"), ("capital", "sum")])
    return sums.rename_columns(["word", "small", "capital"]).select(_COUNTS.names)


def is_capital(points: U32) -> Bool:
    """Returns which code points are capital or title-case letters."""
    return _upper()[np.minimum(points, _CASED_END - 1)]


@cache
def _upper() -> Bool:
    return np.array([chr(p).isupper() or chr(p).istitle() for p in range(_CASED_END)], bool)


@cache
def _case_pairs() -> tuple[U32, U32]:
    """Returns for each code point its small and its capital form, 0 where it has none both ways."""
    low, high = np.zeros((2, _CASED_END), np.uint32)
    for point in range(_CASED_END):
        # title() and not upper(): a word that begins with the digraph ǆ is capitalised as ǅ.
        capital = chr(point).title()
        # Both ways, or an exchange could not be undone: ſ becomes S, but S becomes s.
        if len(capital) == 1 and capital != chr(point) and capital.lower() == chr(point):
            high[point], low[ord(capital)] = ord(capital), point
    return low, high
