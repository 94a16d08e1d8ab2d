"""Words as they are compared: without case, vowel signs and lengthening, by the rules of languages.

What is compared is never written: texts, lexicons and translations keep their own spelling.

    İnsan, İNSAN (tr)     insan        Turkic i and ı are two letters: IŞIK is ışık
    Straße, ΣΟΦΟΣ         straße, σοφος
    الكِتَابُ، الكتـــاب      الكتاب       Arabic vowel signs and tatweel; Hebrew points
"""

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import regex

from bitextile.schema.languages import language_of

TURKIC = ("az", "crh", "gag", "kk", "tr", "tt")
"""Languages that tell i and dotless i apart where they are written in Latin letters."""

# Vowel signs and lengthening, which a text may have or not: tatweel; harakat, superscript alef and
# Koranic signs; Hebrew points and accents, Syriac vowels. Not hamza and madda, which make letters.
_OPTIONAL = (
    r"[\x{640}\x{64B}-\x{652}\x{656}-\x{65F}\x{670}\x{6D6}-\x{6DC}\x{6DF}-\x{6E4}\x{6E7}\x{6E8}"
    r"\x{6EA}-\x{6ED}\x{591}-\x{5BD}\x{5BF}\x{5C1}\x{5C2}\x{5C4}\x{5C5}\x{5C7}\x{730}-\x{74A}]"
)
_OPTIONAL_IN_WORD = regex.compile(regex.sub(r"\\x\{([0-9A-F]+)\}", r"\\u0\1", _OPTIONAL))
_TURKIC_CAPITALS = str.maketrans({"I": "ı", "İ": "i"})
_DOT_ABOVE = "i\u0307"  # what str.lower makes of a dotted capital


def fold_word(word: str, lang: str | None = None) -> str:
    """Returns a word as it is compared: lower-cased, NFC, without signs that may be left out.

    Lower-cased rather than `str.casefold`, which respells: "straße" would become "strasse" and a
    final sigma a medial one.

    Args:
        word: of a text or a dictionary.
        lang: BCP-47 tag; None where it is not known.

    >>> fold_word("IŞIK", "tr"), fold_word("İnsan", "tr"), fold_word("INN", "en")
    ('ışık', 'insan', 'inn')
    >>> fold_word("الكِتَابُ", "ar") == fold_word("الكتـــاب", "ar") == "الكتاب"
    True
    """
    if lang is not None and language_of(lang) in TURKIC:
        word = unicodedata.normalize("NFC", word).translate(_TURKIC_CAPITALS)
    folded = unicodedata.normalize("NFC", word.lower().replace(_DOT_ABOVE, "i"))
    if folded.isascii():
        return folded
    return _OPTIONAL_IN_WORD.sub("", folded) or folded


def fold_for_counts(words: pa.StringArray) -> pa.StringArray:
    """Returns words as aligners count them: lower case, i for ı, no signs that may be left out.

    No language is known there, and few Turkish words differ by ı alone, while Işık and ışık are one
    word.

    Args:
        words: [n] strings, no nulls.

    >>> fold_for_counts(pa.array(["Işık", "ışık", "İnsan", "Haus"])).to_pylist()
    ['işik', 'işik', 'insan', 'haus']
    """
    # Simple lower-casing, character by character: no locale, so the same on every machine.
    lowered = pc.utf8_lower(words)
    if pc.any(pc.match_substring_regex(lowered, f"{_OPTIONAL}|ı|{_DOT_ABOVE}")).as_py():
        plain = pc.replace_substring_regex(lowered, f"ı|{_DOT_ABOVE}", "i")
        bare = pc.replace_substring_regex(plain, _OPTIONAL, "")
        lowered = pc.if_else(pc.equal(bare, ""), plain, bare)
    return lowered
