"""Where sentences end in a text of several, by punctuation alone."""

import numpy as np

from bitextile.kernels.arrays import I64, Bool, rows_of
from bitextile.kernels.text.codepoints import SPACE, any_between, char_classes
from bitextile.kernels.text.words import SegmentedTexts

_FINAL = np.array([ord(c) for c in ".!?。！？؟।։።"], np.uint32)
"""Ends of sentences; the full stops of Latin, Han, Arabic, Devanagari, Armenian and Ethiopic."""


def sentence_ends(words: SegmentedTexts) -> tuple[Bool, I64]:
    """Returns which words end a sentence, and the number of each word's sentence; [all words].

    A word of full stops, question or exclamation marks ends a sentence if white space or the end
    of the text follows, or if it is an ideographic one; no sentence goes beyond its text.
    """
    points = words.texts.points
    final = np.isin(points, _FINAL)
    # The segmenter makes a run of one mark a word, so "..." is one word.
    stops = ~any_between(~final, words.starts, words.ends)
    padded = np.append(points, np.uint32(0x20))
    follows = char_classes()[padded[words.ends]] == SPACE
    last = np.isin(words.ends, words.texts.offsets)
    # Ideographic and full-width stops (past U+3000) need no space after them.
    wide = padded[words.starts] > 0x3000
    ends = stops & (follows | last | wide)
    row = rows_of(words.words)
    # words   Ja  .  |  Der  Hund  .     ends 0 1 0 0 1   begins 1 0 1 0 0   sentence 0 0 1 1 1
    begins = np.append(True, ends[:-1] | (row[1:] != row[:-1]))[: len(row)]
    return ends, np.cumsum(begins) - 1
