"""Scripts: which a language is written in, which a text has, and which run from right to left.

Two families of names: Unicode's for characters (`Han`; `CJK` where a character's own name says so),
ISO 15924's for language tags (`Hant`).
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from bitextile.schema.languages import canonical_tag, language_of

_LANGUAGES_OF_SCRIPT = {
    "Han": "zh ja yue",
    "Hiragana": "ja",
    "Katakana": "ja",
    "Hangul": "ko",
    "Cyrillic": "ru uk bg be mk sr kk",
    "Arabic": "ar fa ur ps",
    "Hebrew": "he heb yi",
    "Greek": "el",
    "Thai": "th",
    "Devanagari": "hi mr ne",
    "Bengali": "bn",
    "Tamil": "ta",
    "Telugu": "te",
    "Georgian": "ka",
    "Armenian": "hy",
}
_SUBTAGS = {
    "Latn": ("Latin",),
    "Cyrl": ("Cyrillic",),
    "Arab": ("Arabic",),
    "Hans": ("Han",),
    "Hant": ("Han",),
    "Deva": ("Devanagari",),
    "Beng": ("Bengali",),
    "Grek": ("Greek",),
    "Hebr": ("Hebrew",),
}
"""Unicode's names of scripts that tags of languages written in several name."""
_MIN_SHARE = 0.05
"""A script with a larger share of a language's letters is one of its own."""
RTL_SCRIPTS = frozenset(
    ("Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi")
)
"""ISO 15924 codes of scripts that run from right to left."""
RTL_LANGUAGES = frozenset(
    (
        *("acm", "aeb", "apc", "ar", "arc", "ary", "arz", "azb", "bal", "bqi", "ckb"),
        *("dv", "fa", "glk", "haz", "he", "khw", "ks", "lah", "lrc", "mzn", "nqo"),
        *("pnb", "ps", "sd", "skr", "syr", "ug", "ur", "yi"),
    )
)
"""Languages usually written in one of these."""


def scripts_of_language(lang: str) -> frozenset[str]:
    """Returns the Unicode scripts a language is usually written in; Latin for any not listed.

    Args:
        lang: BCP-47 tag; its script decides if it names one, else its language.

    >>> sorted(scripts_of_language("ja-JP")), sorted(scripts_of_language("sw"))
    (['Han', 'Hiragana', 'Katakana'], ['Latin'])
    """
    named = next((part for part in canonical_tag(lang).split("-")[1:] if part in _SUBTAGS), None)
    if named is not None:
        return frozenset(_SUBTAGS[named])
    base = language_of(lang)
    return frozenset(
        s for s, langs in _LANGUAGES_OF_SCRIPT.items() if base in langs.split()
    ) or frozenset({"Latin"})


def usual_scripts(texts: Iterable[str]) -> tuple[str, ...]:
    """Returns the scripts that make up more than 5 % of the letters of texts, by name.

    >>> usual_scripts(["Ein Widerstand von rund", "220 Ω"]), usual_scripts(["私は John です"])
    (('LATIN',), ('CJK', 'HIRAGANA', 'LATIN'))
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(scripts_of_letters(text))
    rare = _MIN_SHARE * counts.total()
    return tuple(sorted(name for name, n in counts.items() if n > rare))


def scripts_of_letters(text: str) -> list[str]:
    """Returns the script of each letter of a text, by the first word of its Unicode name.

    >>> scripts_of_letters("3 Ωм犬")
    ['GREEK', 'CYRILLIC', 'CJK']
    """
    return [name for name in map(_script, text) if name]


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    """Returns the script of a letter, as the Unicode name of it begins; "" for anything else."""
    # Not Lm: such letters are named MODIFIER, KATAKANA-HIRAGANA (ー) or IDEOGRAPHIC (々), which is
    # the script of no language.
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo"):
        return ""
    # unicodedata has no script property, but a letter's name begins with its script.
    return unicodedata.name(character, "").partition(" ")[0]
