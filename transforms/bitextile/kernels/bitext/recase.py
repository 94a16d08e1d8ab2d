"""Truecasing of exchanged words: what a word looks like in the place an exchange has given it.

    en  The dog runs.          Der dog runs.         (der, raised)
    de  Läuft der Hund?   ->   Läuft the Hund?       (The, lowered)

A word is raised if it takes the first place of a sentence whose first word had a capital. A word
that stood first and now stands inside a sentence (or begins one that begins small) is lowered if
its language writes it small, as `truecase.Casing` counts it over a corpus; a word that the corpus
does not have stays as it was. Words with a further capital (NATO, iPhone, McDonald) are left alone,
and so is the first place of a sentence that begins with a script without case.

Only the first letter changes, and only by mappings that go both ways, so `undo_exchange` works.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, U32
from bitextile.kernels.bitext.phrases import AlignedBitext
from bitextile.kernels.text.truecase import Casing, casing_keys, first_letters, sentence_initial


def recase_phrases(
    bitext: AlignedBitext, chosen: I64, *, langs: tuple[pa.Array, pa.Array], casing: Casing
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
    old = first_letters(bitext.src, here, langs[0].take(row))
    new = first_letters(bitext.tgt, there, langs[1].take(row))
    first_here, first_there = (
        sentence_initial(bitext.src)[here],
        sentence_initial(bitext.tgt)[there],
    )
    raises = first_here & old.capital & (new.raised > 0)
    # word comes from      goes to                      becomes
    # first place          first place, capital         as it was
    # first place          inside, or a small beginning small, if the corpus writes it small
    # inside               first place, capital         capital
    lowers = (~first_here | old.low) & first_there & (new.lowered > 0)
    # Only these are looked up: making the keys is the expensive part.
    asked = np.flatnonzero(lowers)
    keys = casing_keys(
        bitext.tgt, there[asked], new.lowered[asked], langs[1].take(row.take(pa.array(asked)))
    )
    lowers[asked] = pc.is_in(keys, value_set=casing.small).to_numpy(zero_copy_only=False)
    cased, places = bitext.tgt.texts.points.copy(), bitext.tgt.starts[there]
    cased[places[raises]] = new.raised[raises]
    cased[places[lowers]] = new.lowered[lowers]
    return cased


def match_case(bitext: AlignedBitext, order: I64, found: U32, *, lang: pa.Array) -> U32:
    """Returns the code points of the targets, phrases cased as they were found in new sources.

    Args:
        bitext: of n pairs.
        order: [k] phrases.
        found: [k] the first code point found of each; taken where it differs by case alone.
        lang: [n] of the targets.
    """
    places = bitext.tgt.starts[bitext.phrases.tgt[order, 0]]
    letters = first_letters(
        bitext.tgt, bitext.phrases.tgt[order, 0], lang.take(pa.array(bitext.phrases.row[order]))
    )
    cased = bitext.tgt.texts.points.copy()
    # Anything else found there was not put there by a change of case, so the target's own letter
    # stays.
    fits = (found > 0) & ((found == letters.raised) | (found == letters.lowered))
    cased[places[fits]] = found[fits]
    return cased
