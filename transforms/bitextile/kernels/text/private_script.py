"""The private script: text in code points that no tokenizer has seen, one for one, and back.

    a 犬   ->   U+F0061 U+0020 U+F72AC

Tags name it by ISO 15924's first code for private use, Qaaa.
"""

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I64, U32, offsets_of
from bitextile.kernels.text.codepoints import (
    N_MIRRORED,
    PRIVATE_PLANES,
    SPACE,
    char_classes,
    to_texts,
)

PRIVATE_SCRIPT = "Qaaa"
"""Its subtag in a language tag (ISO 15924, private use)."""

_ESCAPED_END = 0x40000
_HIGH, _LOW = 0xE000, 0xE200
"""First code points of the two that stand for one of planes 2 and 3: its upper and lower bits."""


def transliterate(points: U32) -> tuple[U32, I64]:
    """Moves code points into a private script: a one-to-one map, so words stay apart.

    The first two planes move to the private-use planes 15 and 16; the rarer Han of planes 2 and 3
    become two private-use code points each, U+E000.. and U+E200..; white space stays.

    Args:
        points: of texts that hold no code point of planes 15 and 16.

    Returns:
        The new code points, and where each old one, and the end, went: [points + 1].
    """
    # White space stays, so that words are cut in the private script where they were before.
    moves = (points < N_MIRRORED) & (char_classes()[points] != SPACE)
    # U+2000B (plane 2)   ->   U+E000 U+E20B:  rest 0x0000B, high byte E000 + 0x000, low E200 + 0x0B
    # Four planes do not fit into two: one code point each would need more private use than there
    # is.
    escapes = (points >= N_MIRRORED) & (points < _ESCAPED_END)
    places = offsets_of(1 + escapes.astype(np.int64))
    out = np.empty(places[-1], np.uint32)
    out[places[:-1]] = np.where(moves, points + np.uint32(PRIVATE_PLANES), points)
    if escapes.any():
        rest, at = points[escapes] - np.uint32(N_MIRRORED), places[:-1][escapes]
        out[at], out[at + 1] = _HIGH + (rest >> 8), _LOW + (rest & 0xFF)
    return out, places


def transliterate_back(points: U32) -> tuple[U32, I64]:
    """Undoes `transliterate`; arguments and results likewise."""
    back = np.where(points >= PRIVATE_PLANES, points - np.uint32(PRIVATE_PLANES), points).astype(
        np.uint32
    )
    # The first of two code points tells that there is a second. U+E000 itself moves to plane 15, as
    # all of the first two planes does, so no other text has these.
    high = (points >= _HIGH) & (points < _LOW)
    places = offsets_of(~np.append(False, high[:-1])[: len(points)])
    at = np.flatnonzero(high)
    back[at] = N_MIRRORED + ((points[at] - _HIGH) << 8) + (points[at + 1] - _LOW)
    return back[np.append(True, ~high[:-1])[: len(points)]], places


def transliterate_text(text: str) -> str:
    """Returns one text in the private script.

    >>> [hex(ord(c)) for c in transliterate_text("a 犬")]
    ['0xf0061', '0x20', '0xf72ac']
    """
    points, _ = transliterate(np.frombuffer(text.encode("utf-32-le"), np.uint32))
    return points.tobytes().decode("utf-32-le")


def transliterate_text_back(text: str) -> str:
    """Undoes `transliterate_text`.

    >>> transliterate_text_back(transliterate_text("a 犬 𠀋"))
    'a 犬 𠀋'
    """
    points, _ = transliterate_back(np.frombuffer(text.encode("utf-32-le"), np.uint32))
    return points.tobytes().decode("utf-32-le")


def without_private_planes(text: str) -> str:
    """Returns a text with each code point of planes 15 and 16 as the one it was made from.

    Unlike `transliterate_text_back` it keeps the length, so spans stay where they are; Han of
    planes 2 and 3 stay the two private code points that stand for one.

    >>> without_private_planes(transliterate_text("a 犬"))
    'a 犬'
    """
    return "".join(
        chr(ord(char) - PRIVATE_PLANES) if ord(char) >= PRIVATE_PLANES else char for char in text
    )


def count_private_use(texts: pa.StringArray) -> I64:
    """Returns how many code points of planes 15 and 16 each text holds, [n]."""
    held = to_texts(texts)
    return np.diff(offsets_of(held.points >= PRIVATE_PLANES)[held.offsets])
