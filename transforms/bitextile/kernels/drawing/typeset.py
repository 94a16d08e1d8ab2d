"""Text on the page: its direction, how wide a word is, what to show of untrusted text.

The page carries no script, so no word can be measured when it is looked at; widths are estimated
here, once, from what Unicode says of each character.
"""

import unicodedata
from itertools import groupby
from typing import Literal

from bitextile.kernels.text.private_script import PRIVATE_SCRIPT, without_private_planes
from bitextile.kernels.text.scripts import RTL_LANGUAGES, RTL_SCRIPTS
from bitextile.schema.languages import canonical_tag

Direction = Literal["ltr", "rtl"]


_EM_HUNDREDTHS = {
    22: "ijl'|",
    28: " !,./:;I[]\\ft·’‘‚",
    33: "()-`r{}°„“”",
    39: '*"^ªº',
    50: "cksvxyzJ",
    56: "abdeghnopqu0123456789?$#_L€–«»",
    61: "FTZ+<=>~",
    67: "ABEKPSVXY&",
    72: "CDHNRUw",
    80: "GOQmM",
    95: "W%",
    100: "@—…",
}
"""Advance widths of a Helvetica-metric face (Arial and Liberation Sans share them), rounded up to
1/100 em; the drawings ask for such a face first."""

_WIDTHS = {char: width / 100 for width, chars in _EM_HUNDREDTHS.items() for char in chars}

_SCRIPT_WIDTHS = (
    (0x0590, 0x05FF, 0.60),
    (0x0600, 0x08FF, 0.56),
    (0x0900, 0x0B7F, 0.72),
    (0x0B80, 0x0BFF, 0.98),
    (0x0C00, 0x0DFF, 0.9),
    (0x0E00, 0x0EFF, 0.62),
    (0x1000, 0x109F, 0.85),
    (0x1780, 0x17FF, 0.75),
    (0xFB50, 0xFEFC, 0.56),
)
"""First and last code point of a block and the mean advance of its letters in em, as measured in
Chromium with the Noto faces; slots have slack, so a mean will do."""


def direction(lang: str) -> Direction:
    """Returns the way a language is written: by its script subtag, or its usual script.

    Args:
        lang: BCP-47 tag.

    A derived script runs as the one it was made from, by whose letters it is shown.

    >>> direction("ar"), direction("az-Arab"), direction("ur-Latn"), direction("th")
    ('rtl', 'rtl', 'ltr', 'ltr')
    >>> direction("ar-Qaaa-inverted")
    'rtl'
    """
    first, *rest = canonical_tag(lang).split("-")
    scripts = [part.title() for part in rest if len(part) == 4 and part.isalpha()]
    # A script subtag has four letters (RFC 5646, section 2.2.3); extended language subtags have
    # three, variants five or more or a digit first.
    if scripts and scripts[0] != PRIVATE_SCRIPT:
        return "rtl" if scripts[0] in RTL_SCRIPTS else "ltr"
    return "rtl" if first in RTL_LANGUAGES else "ltr"


def text_width(text: str) -> float:
    """Returns about how wide `text` is drawn, in em.

    >>> round(text_width("Maße"), 2), text_width("猫が"), text_width("e\u0301") == text_width("e")
    (2.54, 2.0, True)
    """
    return sum(_char_width(char) for char in unicodedata.normalize("NFC", text))


def _char_width(char: str) -> float:
    if char in _WIDTHS:
        return _WIDTHS[char]
    category = unicodedata.category(char)
    # Marks stand on the letter before them, and format characters show nothing.
    if category in ("Mn", "Me", "Cf", "Cc"):
        return 0.0
    # UAX #11: wide and fullwidth characters take an em.
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    # An accented letter is as wide as its base.
    base = unicodedata.normalize("NFD", char)[0]
    if base != char:
        return _char_width(base)
    for first, last, width in _SCRIPT_WIDTHS:
        if first <= ord(char) <= last:
            return width
    return 0.76 if category == "Lu" else 0.62


def visual_order(words: list[str], base: Direction) -> list[int]:
    """Returns the words' indices in the order they stand on the line, first from its start.

    The start is the left of a left-to-right line, the right of a right-to-left one. Words of the
    other direction that stand together keep their own order among themselves, as in running text:
    UAX #9 rules N1, N2 and L2, with words for characters; a number goes with the strong word
    before it (W7).

    Args:
        words: in logical order.
        base: direction of the sentence.

    >>> visual_order(["زرت", "New", "York", "أمس"], "rtl")
    [0, 2, 1, 3]
    >>> visual_order(["a", "b"], "rtl")
    [1, 0]
    """
    against = _runs_against(words, base)
    order: list[int] = []
    for other, group in groupby(range(len(words)), key=lambda i: against[i]):
        run = list(group)
        order += run[::-1] if other else run
    return order


def _runs_against(words: list[str], base: Direction) -> list[bool]:
    """Returns for each word whether it belongs to a run against the base direction."""
    last: Direction = base
    strong: list[Direction | None] = []
    for word in words:
        own = word_direction(word)
        last = own or last
        strong.append(own or (last if any(map(str.isdigit, word)) else None))
    against = [way is not None and way != base for way in strong]
    for i, way in enumerate(strong):
        if way is None:
            before = next((w for w in strong[i::-1] if w), base)
            after = next((w for w in strong[i:] if w), base)
            against[i] = before == after != base
    return against


def word_direction(word: str) -> Direction | None:
    """Returns the direction of the first strong character of `word`; None without one."""
    for char in word:
        kind = unicodedata.bidirectional(char)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return None


def sanitized(text: object, max_chars: int = 400) -> str:
    r"""Returns untrusted text as it may be shown: cut to length, nothing invisible left to act.

    Control characters, line breaks and directional controls become `<U+....>`, so that no text
    can turn or hide what stands beside it. Joiners stay: words need them. Code points of the
    private planes, which no face draws, are shown as those that `derive` made them from.

    Args:
        text: anything; taken as a string.
        max_chars: code points shown at most, an ellipsis for the rest.

    >>> sanitized("a\u202eb\n"), sanitized("علی\u200cرضا") == "علی\u200cرضا", sanitized("abcdef", 3)
    ('a<U+202E>b<U+000A>', True, 'abc…')
    >>> sanitized("\U000f0061\U000f202e")
    'a<U+202E>'
    """
    string = without_private_planes(str(text))
    if len(string) > max_chars:
        cut = max_chars
        # Not between a letter and its marks or joiners.
        while cut and unicodedata.category(string[cut]) in ("Mn", "Me", "Cf"):
            cut -= 1
        string = string[:cut] + "…"
    return "".join(f"<U+{ord(c):04X}>" if _acts(c) else c for c in string)


def _acts(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or (
        unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF")
        or unicodedata.bidirectional(char) in ("LRI", "RLI", "FSI", "PDI")
    )
