"""Transliteration: words into the private script and back, their spans moved along."""

from bitextile.kernels.arrays import I64, U32
from bitextile.kernels.text.codepoints import Texts
from bitextile.kernels.text.private_script import transliterate, transliterate_back
from bitextile.kernels.text.words import SegmentedTexts


def transliterate_words(words: SegmentedTexts) -> SegmentedTexts:
    """Returns texts in the private script, with their words."""
    return _moved(words, *transliterate(words.texts.points))


def transliterate_words_back(words: SegmentedTexts) -> SegmentedTexts:
    """Undoes `transliterate_words`."""
    return _moved(words, *transliterate_back(words.texts.points))


def _moved(words: SegmentedTexts, points: U32, places: I64) -> SegmentedTexts:
    """Returns texts of other code points; `places` says where each old one, and the end, went."""
    # `places` has an entry for the end too, so the last offset and the last word's end are found.
    texts = Texts(points, places[words.texts.offsets])
    return SegmentedTexts(texts, words.words, places[words.starts], places[words.ends])
