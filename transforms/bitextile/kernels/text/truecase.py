"""Casing that follows the position: what a word looks like where an exchange has put it.

    en  The dog runs.          Der dog runs.         (der, raised)
    de  Läuft der Hund?   ->   Läuft the Hund?       (The, lowered)

A word is raised if it takes the first place of a sentence whose first word had a capital. A word
that stood first and now stands inside a sentence (or begins one that begins small) is lowered if
its language writes it small: if `Casing`, counted over a corpus, has seen it small more often than
capital inside sentences. So the German noun, "Monday" and "I" keep their capitals without a list of
them, and so does any word nobody has seen: undecided means as it was. Words with a further capital
(NATO, iPhone, McDonald) are left alone, and so is the first place of a sentence that begins with a
script without case.

Only the first letter changes, one code point for one, and only by mappings that go both ways: that
of the language for the Turkic dotted and dotless i, that of Unicode else, whatever the locale. ß,
Georgian letters and the Dutch ij have none. So places in the text stay, and `undo_exchange` works.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, U32, Bool, offsets_of, rows_of
from bitextile.kernels.bitext.phrases import Bitext, Side, side_of
from bitextile.kernels.derive.rows import sentence_ends
from bitextile.kernels.text.codepoints import Texts, any_between, gather, is_word_char, to_strings
from bitextile.schema.checks import check_rows
from bitextile.schema.kinds import ALIGNED

_TURKIC = ("az", "crh", "gag", "kk", "tr", "tt")
"""Languages that tell i and dotless i apart where they are written in Latin letters."""
_COUNTS = pa.schema([("word", pa.string()), ("small", pa.int64()), ("capital", pa.int64())])
_CASED_END = 0x20000  # planes 0 and 1 hold all letters with case


class Casing(NamedTuple):
    """What a corpus writes small.

    Attributes:
        small: language, U+001F, word: words more often small than capital inside sentences.
    """

    small: pa.StringArray


EMPTY_CASING = Casing(pa.array([], pa.string()))


class _Faces(NamedTuple):
    """Words by their first letter; all [k].

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
        side, lang = side_of(batch, name), batch.column(f"{name}_lang")
        inside = np.flatnonzero(~initial(side))
        row = rows_of(side.words)[inside]
        faces = _faces(side, inside, lang.take(pa.array(row)))
        cased = np.flatnonzero((faces.raised | faces.lowered) > 0)
        capital = faces.capital[cased]
        first = np.where(
            capital, faces.lowered[cased], side.texts.points[side.starts[inside[cased]]]
        )
        words = _keys(side, inside[cased], first, lang.take(pa.array(row[cased])))
        columns = [words, pa.array((~capital).astype(np.int64)), pa.array(capital.astype(np.int64))]
        parts.append(pa.Table.from_arrays(columns, schema=_COUNTS))
    return _added(pa.concat_tables(parts))


def casing_of(batches: Iterable[pa.RecordBatch]) -> Casing:
    """Returns what a corpus writes small; the order of the batches does not matter.

    Args:
        batches: rows of kind aligned.
    """
    counts = _added(pa.concat_tables([_COUNTS.empty_table(), *map(count_casing, batches)]))
    small = counts.filter(pc.greater(counts["small"], counts["capital"]))["word"]
    return Casing(pc.take(small, pc.sort_indices(small)).combine_chunks())


def recased(
    bitext: Bitext, chosen: I64, *, langs: tuple[pa.Array, pa.Array], casing: Casing
) -> U32:
    """Returns the code points of the targets, phrases that go into the sources cased for there.

    Args:
        bitext: of n pairs.
        chosen: [k] phrases that change places.
        langs: [n] languages of the sources and of the targets.
        casing: what the languages write small.
    """
    phrases = bitext.phrases
    here, there = phrases.src[chosen, 0], phrases.tgt[chosen, 0]
    row = pa.array(phrases.row[chosen])
    old = _faces(bitext.src, here, langs[0].take(row))
    new = _faces(bitext.tgt, there, langs[1].take(row))
    first_here, first_there = initial(bitext.src)[here], initial(bitext.tgt)[there]
    raises = first_here & old.capital & (new.raised > 0)
    lowers = (~first_here | old.low) & first_there & (new.lowered > 0)
    asked = np.flatnonzero(lowers)
    keys = _keys(
        bitext.tgt, there[asked], new.lowered[asked], langs[1].take(row.take(pa.array(asked)))
    )
    lowers[asked] = pc.is_in(keys, value_set=casing.small).to_numpy(zero_copy_only=False)
    pool, places = bitext.tgt.texts.points.copy(), bitext.tgt.starts[there]
    pool[places[raises]] = new.raised[raises]
    pool[places[lowers]] = new.lowered[lowers]
    return pool


def match_case(bitext: Bitext, order: I64, found: U32, *, lang: pa.Array) -> U32:
    """Returns the code points of the targets, phrases cased as they were found in new sources.

    Args:
        bitext: of n pairs.
        order: [k] phrases.
        found: [k] the first code point found of each; taken where it differs by case alone.
        lang: [n] of the targets.
    """
    places = bitext.tgt.starts[bitext.phrases.tgt[order, 0]]
    faces = _faces(
        bitext.tgt, bitext.phrases.tgt[order, 0], lang.take(pa.array(bitext.phrases.row[order]))
    )
    pool = bitext.tgt.texts.points.copy()
    fits = (found > 0) & ((found == faces.raised) | (found == faces.lowered))
    pool[places[fits]] = found[fits]
    return pool


def initial(side: Side) -> Bool:
    """Returns which words stand first in their sentences, marks before them aside; [all words]."""
    _, sentence = sentence_ends(side)
    words = np.flatnonzero(any_between(is_word_char()[side.texts.points], side.starts, side.ends))
    first = np.zeros(len(side.starts), bool)
    first[words[np.unique(sentence[words], return_index=True)[1]]] = True
    return first


def _faces(side: Side, words: I64, lang: pa.StringArray) -> _Faces:
    """Returns words, [k] numbers of a side's, by their first letter; `lang` is [k]."""
    starts, ends = side.starts[words], side.ends[words]
    first = side.texts.points[starts]
    low, high = _pairs()
    inside = np.minimum(first, _CASED_END - 1)
    raised, lowered = high[inside], low[inside]
    base = lang.dictionary_encode()
    names = [tag.split("-")[0] for tag in base.dictionary.to_pylist()]
    codes = base.indices.to_numpy(zero_copy_only=False)
    turkic, dutch = (
        np.array([name in wanted for name in names], bool)[codes] for wanted in (_TURKIC, ("nl",))
    )
    for small, large in ((0x69, 0x130), (0x131, 0x49)):
        raised = np.where(turkic & (first == small), np.uint32(large), raised)
        lowered = np.where(turkic & (first == large), np.uint32(small), lowered)
    second = np.append(side.texts.points, np.uint32(0))[starts + 1]
    digraph = dutch & np.isin(first, (0x49, 0x69)) & np.isin(second, (0x4A, 0x6A))
    mixed = any_between(_capitals(side.texts.points), np.minimum(starts + 1, ends), ends) | digraph
    capital = (lowered > 0) | _capitals(first)
    none = np.uint32(0)
    return _Faces(
        capital,
        (raised > 0) & ~capital,
        np.where(mixed, none, raised),
        np.where(mixed, none, lowered),
    )


def _keys(side: Side, words: I64, first: U32, lang: pa.StringArray) -> pa.StringArray:
    """Returns language, U+001F and word, its first letter being `first`; all [k]."""
    starts, lengths = side.starts[words], side.ends[words] - side.starts[words]
    points, offsets = gather(side.texts.points, starts, lengths), offsets_of(lengths)
    points[offsets[:-1]] = first
    return pc.binary_join_element_wise(lang, to_strings(Texts(points, offsets)), "\x1f")


def _added(counts: pa.Table) -> pa.Table:
    sums = counts.group_by("word").aggregate([("small", "sum"), ("capital", "sum")])
    return sums.rename_columns(["word", "small", "capital"]).select(_COUNTS.names)


def _capitals(points: U32) -> Bool:
    return _upper()[np.minimum(points, _CASED_END - 1)]


@cache
def _upper() -> Bool:
    return np.array([chr(p).isupper() or chr(p).istitle() for p in range(_CASED_END)], bool)


@cache
def _pairs() -> tuple[U32, U32]:
    """Returns for each code point its small and its capital form, 0 where it has none both ways."""
    low, high = np.zeros((2, _CASED_END), np.uint32)
    for point in range(_CASED_END):
        capital = chr(point).title()
        if len(capital) == 1 and capital != chr(point) and capital.lower() == chr(point):
            high[point], low[ord(capital)] = ord(capital), point
    return low, high
