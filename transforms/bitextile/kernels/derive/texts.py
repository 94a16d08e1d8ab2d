"""Texts of a derived language: words reordered, then transliterated; and the texts they were."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, rows_of
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.order import SEPARATOR, inverse_order, reorder, word_order
from bitextile.kernels.derive.script import transliterate_words, transliterate_words_back
from bitextile.kernels.text.codepoints import to_strings
from bitextile.kernels.text.words import SegmentedTexts
from bitextile.schema.kinds import SPAN, SPANS


class Derived(NamedTuple):
    """Texts of a derived language.

    Attributes:
        texts: [n].
        spans: [n] their words, SPANS.
        order: [all words] for each word of the derived texts, in order, the number of the word it
            was made from, absolute in all words of the batch.
    """

    texts: pa.StringArray
    spans: pa.ListArray
    order: I64


def derive_texts(words: SegmentedTexts, *, config: DeriveConfig) -> Derived:
    """Derives texts from texts with known words.

    Args:
        words: [n] texts and their words.
        config: the transforms.

    Raises:
        ConfigError: `syntax` is among the transforms.
    """
    order = word_order(words, config.transforms, seed=config.seed)
    return derive_in_order(words, order, config=config)


def derive_in_order(words: SegmentedTexts, order: I64, *, config: DeriveConfig) -> Derived:
    """Derives texts whose order is known: puts the words in it and transliterates if asked to."""
    # In this order: what ends a sentence, which words would join and, for `permute`, the hash of
    # the words are told by letters of the first script.
    made = reorder(words, order)
    if "transliterate" in config.transforms:
        made = transliterate_words(made)
    return Derived(to_strings(made.texts), spans_of(made), order)


def undo_derive_texts(words: SegmentedTexts, *, config: DeriveConfig) -> pa.StringArray:
    """Returns the texts that `derive_texts` was given: first script, first order, no separators.

    Args:
        words: [n] derived texts and their words.
        config: what they were derived with.
    """
    if "transliterate" in config.transforms:
        words = transliterate_words_back(words)
    # Drawn again from the derived words themselves; see `word_order`.
    back = inverse_order(word_order(words, config.transforms, seed=config.seed))
    texts = to_strings(reorder(words, back, keep_separate=False).texts)
    # A U+2005 of the first text goes too: `derive_aligned` rejects such pairs as not reversible.
    return pc.replace_substring(texts, chr(SEPARATOR), "")


def spans_of(words: SegmentedTexts) -> pa.ListArray:
    """Returns the words of texts as SPANS, relative to their text, [n]."""
    base = words.texts.offsets[rows_of(words.words)]
    places = [pa.array(side - base, pa.int32()) for side in (words.starts, words.ends)]
    flat = pa.StructArray.from_arrays(places, fields=list(SPAN))
    return pa.ListArray.from_arrays(pa.array(words.words, pa.int32()), flat, type=SPANS)
