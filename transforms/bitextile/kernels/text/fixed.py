r"""Stretches of a text that are not words of its language: addresses, placeholders, markup.

A URL, an e-mail address or a placeholder stays as it is in a translation, so it is one word and is
never replaced: `https://www.Heimat.example.org` leads nowhere, and `{Haus}` is filled by nobody.

    URLs            https://example.org/a?b=c   www.example.org   example.com/a
    addresses       a.b@example.org   @name   #topic   /usr/share/dict   C:\data\a.txt
    placeholders    %s   %(name)s   %1$d   {0}   {name}   {{x}}   ${HOME}   %{x}   %PATH%
    markup          <b>   </b>   <x/>   <a href="...">   &nbsp;   &#39;
"""

import numpy as np
import pyarrow.compute as pc
import regex

from bitextile.kernels.arrays import I64, Bool
from bitextile.kernels.text.codepoints import Texts, any_between, to_strings
from bitextile.kernels.text.replace_spans import grapheme_safe

# Text of unspaced scripts goes on right behind an address, and their punctuation is no part of one.
_FOREIGN = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\u3000-\u303F\uFF00-\uFFEF\u200B"
)
_NAME = rf"[[\p{{L}}\p{{M}}\p{{N}}_-]--[{_FOREIGN}]]"
_PLAIN = rf"[^\s<>\"“”„«»‹›‘’|\\^`{{}}()\[\]{_FOREIGN}]"
# Brackets belong to a URL in pairs; punctuation at its end is that of the sentence.
_REST = rf"(?:{_PLAIN}|\({_PLAIN}*\)|\[{_PLAIN}*\]|\{{{_PLAIN}*\}})"
_NO_STOP = r"(?<![.,;:!?'…*])"
_BEGINS = rf"(?<![[\p{{L}}\p{{N}}_]--[{_FOREIGN}]])"
_ENDS = r"(?![\p{L}\p{N}_])"
_URL = (
    rf"{_BEGINS}(?:[A-Za-z][A-Za-z0-9+.-]{{1,15}}://|mailto:){_REST}+{_NO_STOP}"
    rf"|{_BEGINS}www[0-9]?\.{_NAME}+(?:\.{_NAME}+)+(?:[/?#]{_REST}*{_NO_STOP})?"
    rf"|{_BEGINS}(?<![.@-])(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|info){_ENDS}(?![.@]{_NAME})"
    rf"(?:[/?#]{_REST}*{_NO_STOP})?"
)
_ADDRESS = (
    rf"{_BEGINS}[{_NAME}.+%]+@{_NAME}+(?:\.{_NAME}+)+"
    rf"|(?<![\p{{L}}\p{{N}}_&/@#])[@#](?!\p{{N}}+{_ENDS}){_NAME}+(?<!-)"
    r"|(?<!\S)(?:~|\.{1,2})?(?:/[\p{L}\p{N}._~+-]+){2,}/?(?<![.])"
    r"|(?<!\S)[A-Za-z]:(?:\\[^\s\\/:*?\"<>|]+)+(?<![.,;])"
)
_PLACEHOLDER = (
    r"\{\{\{?[^{}\n]{1,64}\}\}\}?"
    r"|[$#%]?\{[\p{L}\p{N}_.:$!@\[\]-]{0,64}\}"
    r"|%\([\p{L}\p{N}_. -]+\)[-+#0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]"
    r"|(?<![\p{N}%])%(?:[0-9]+\$)?[-+#0]*[0-9]*(?:\.[0-9]+)?(?:hh?|ll?|L|z)?[sdifuxXeEgGcr@]"
    rf"{_ENDS}"
    rf"|(?<![\p{{N}}%])%[0-9]{{1,2}}{_ENDS}"
    r"|(?<![\p{N}\p{L}])%%?[A-Z][A-Z0-9_]+%%?"
)
_MARKUP = (
    r"</?[A-Za-z][\p{L}\p{N}_:.-]*(?:\s[^<>]*)?/?>"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
FIXED = regex.compile(rf"{_MARKUP}|{_URL}|{_ADDRESS}|{_PLACEHOLDER}", regex.V1)
"""What stays as it is in a translation."""
_SIGNS = r"[@#%{&<]|://|mailto:|www[0-9]?\.|\.(?:com|org|net|edu|gov|info)|/[^\s/]+/|:\\"
"""One of these is in every such stretch; for RE2 and for `regex`."""
MAY_BE_FIXED = regex.compile(_SIGNS)
"""Finds a sign without which no text has such a stretch; far cheaper than the rule itself."""


def overlaps_fixed(texts: Texts, starts: I64, ends: I64) -> Bool:
    """Returns which spans hold a part of an address, a placeholder or markup, [k].

    Args:
        texts: sentences.
        starts: [k] absolute, within one sentence each.
        ends: [k] exclusive.
    """
    strings = to_strings(texts)
    likely = np.flatnonzero(
        pc.match_substring_regex(strings, _SIGNS).to_numpy(zero_copy_only=False)
    )
    if not len(likely):
        return np.zeros(len(starts), bool)
    fixed = np.zeros(len(texts.points), bool)
    for row in likely.tolist():
        base = texts.offsets[row]
        for match in FIXED.finditer(strings[row].as_py()):
            fixed[base + match.start() : base + match.end()] = True
    return any_between(fixed, starts, ends)


def replaceable(texts: Texts, starts: I64, ends: I64) -> Bool:
    """Returns which spans may be replaced: they tear no character and hold nothing fixed, [k].

    Args:
        texts: sentences.
        starts: [k] absolute, within one sentence each.
        ends: [k] exclusive.
    """
    return grapheme_safe(texts, starts, ends) & ~overlaps_fixed(texts, starts, ends)
