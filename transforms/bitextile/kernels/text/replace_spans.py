"""Spans of a text replaced by other strings, with spaces at their boundaries by script.

Whatever is not replaced is kept byte for byte. Only at a boundary, where a replacement meets
what stands beside it, may the text gain or lose one plain space (U+0020), by this rule:

    meeting of                          before the replacement      then
    letters or digits, spaced scripts   nothing between             a space: words never join
    spaced and unspaced script          nothing between             a space on the letter's side
    two letters of unspaced scripts     one space, as Latin has it  no space
    anything else                       anything                    as it was

    zh  一[只]狗在跑。   + "Hund"   ->  一 Hund 狗在跑。
    de  Der [Hund] läuft.  + "狗"   ->  Der 狗 läuft.
    de  Der [Hund] [läuft].         ->  Der 狗跑.

Spaced scripts are Latin, Cyrillic, Arabic, Hangul and so on; unspaced ones are Han, Kana, Thai
and so on (`codepoints.char_classes`). The space between Han and Latin is the usage of most Chinese
and Japanese web text; CLREQ 3.2.2 and JLREQ 3.2.6 ask for a quarter em there. A meeting of the
same two classes as before keeps what the host text had, so an author who writes Python语言
without a space keeps writing so. Punctuation, symbols and emoji never cause a space of their own,
but closing punctuation that ends a word ("U.S.") or opening punctuation that begins one keeps
its word apart from the next word of a spaced script. Order is logical order: no bidirectional
control is added, and a right-to-left word in a left-to-right text displays by UAX #9.
A combining mark or joiner at a boundary is kept off the new neighbour by a space.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import I8, I64, U8, U32, Bool
from bitextile.kernels.text.codepoints import (
    CLOSING,
    DIGIT,
    OPENING,
    SPACE,
    SPACED,
    UNSPACED,
    Texts,
    char_classes,
    gather,
    is_grapheme_extend,
    to_strings,
    to_texts,
)
from bitextile.kernels.text.graphemes import STACKERS
from bitextile.schema.errors import RowError

_PUNCTUATED = 7  # punctuation with a letter of a spaced script right behind it: "U.S." or "(who"
_FREE, _JOINT, _MIXED, _MIXED_DIGIT, _DENSE, _PUNCTUATED_JOINT = range(6)
_TOUCHING, _ONE_SPACE = 1, 2
_SPACE_POINT, _JOINER = 0x20, 0x200D
_BINDERS = np.array([_JOINER, *map(ord, STACKERS)], np.uint32)


class Edits(NamedTuple):
    """What to replace by what, sorted by (row, start), not overlapping; all [k].

    Attributes:
        row: of the host text.
        start: first code point replaced, in the row's text.
        end: exclusive; greater than start.
        replacement_start: first code point of the replacement, absolute in those of all.
        replacement_end: exclusive; greater than replacement_start.
    """

    row: I64
    start: I64
    end: I64
    replacement_start: I64
    replacement_end: I64


class ReplacedTexts(NamedTuple):
    """New texts, where the replacements stand in them, and how the spaces beside them changed.

    Attributes:
        texts: [n] as code points.
        start: [k] of each replacement, in its row's new text.
        end: [k] exclusive.
        boundary_spaces: [k, 2] spaces added (+1) or dropped (-1) before and after each replacement.
    """

    texts: Texts
    start: I64
    end: I64
    boundary_spaces: I8

    @property
    def strings(self) -> pa.StringArray:
        """The new texts as a column."""
        return to_strings(self.texts)


def replace_spans(
    host: Texts, edits: Edits, replacements: U32, *, boundary_spaces: I8 | None = None
) -> ReplacedTexts:
    """Replaces spans of many texts at once.

    Args:
        host: [n] texts.
        edits: [k] what to replace; a text may have none, one or several.
        replacements: code points that hold them.
        boundary_spaces: [k, 2] spaces to add or drop instead of the rule. Those of an earlier call,
            negated, with the replaced words as replacements, give the earlier text back exactly.

    Returns:
        The new texts and the places of the replacements.

    Raises:
        RowError: a span is empty, lies outside its text or overlaps the one before, or a
            replacement is empty.
    """
    _check_edits(host, edits, replacements)
    if boundary_spaces is None:
        boundary_spaces = _boundary_spaces(host, edits, replacements)
    # One array to take from: host, replacements and a single space, so that every new text is a
    # list of spans of it, put together by one `gather`.
    source = np.concatenate([host.points, replacements, np.array([_SPACE_POINT], np.uint32)])
    starts, lengths = _pieces(host, edits, boundary_spaces, space_at=len(source) - 1)
    ends = np.cumsum(lengths)
    offsets = np.append(0, ends[_tails(edits, len(host.offsets) - 1)])
    place, base = _places(edits), offsets[edits.row]
    texts = Texts(gather(source, starts, lengths), offsets)
    return ReplacedTexts(texts, ends[place + 1] - base, ends[place + 2] - base, boundary_spaces)


def replace_spans_in_text(
    text: str, spans: list[tuple[int, int]], replacements: list[str]
) -> tuple[str, list[tuple[int, int]]]:
    """Replaces spans of one text; `replace_spans` for a single text.

    Args:
        text: the host.
        spans: what to replace, in code points, sorted.
        replacements: as many strings.

    Returns:
        The new text and the spans of the replacements in it.

    >>> replace_spans_in_text("一只狗在跑。", [(2, 3)], ["Hund"])
    ('一只 Hund 在跑。', [(3, 7)])
    >>> replace_spans_in_text("Der Hund läuft.", [(4, 8), (9, 14)], ["犬", "走る"])
    ('Der 犬走る.', [(4, 5), (5, 7)])
    """
    new = to_texts(pa.array(replacements, pa.string()))
    start, end = np.array(spans, np.int64).reshape(-1, 2).T
    edits = Edits(np.zeros(len(spans), np.int64), start, end, new.offsets[:-1], new.offsets[1:])
    replaced = replace_spans(to_texts(pa.array([text])), edits, new.points)
    return replaced.strings[0].as_py(), list(zip(replaced.start.tolist(), replaced.end.tolist()))


def grapheme_safe(texts: Texts, starts: I64, ends: I64) -> Bool:
    """Returns whether a span can be taken out of its text without tearing a character.

    False where it begins with a combining mark or a joiner, or what follows it does, or a zero
    width joiner, or a sign that stacks the next letter, ends it or stands before it.

    Args:
        texts: sentences.
        starts: [k] absolute, within one sentence each.
        ends: [k] exclusive.
    """
    # UAX #29, rules GB9, GB9a and GB11: no break before a mark or joiner, nor behind a joiner in an
    # emoji sequence.
    joins, points = is_grapheme_extend(), texts.points
    padded = np.append(points, np.uint32(_SPACE_POINT))
    # Sentences lie one after the other: the next one's first mark is no neighbour of this one's
    # end.
    sentence_ends = np.isin(ends, texts.offsets)
    sentence_begins = np.isin(starts, texts.offsets)
    torn_behind = (joins[padded[ends]] | np.isin(points[ends - 1], _BINDERS)) & ~sentence_ends
    torn_before = np.isin(points[np.maximum(starts - 1, 0)], _BINDERS)
    return ~(joins[points[starts]] | torn_behind | (torn_before & ~sentence_begins))


def _check_edits(host: Texts, edits: Edits, replacements: U32) -> None:
    n_rows = len(host.offsets) - 1
    outside = (edits.row < 0) | (edits.row >= n_rows) | (edits.start < 0)
    rows = np.where(outside, 0, edits.row)
    length = np.diff(host.offsets)[rows] if n_rows else np.zeros(len(rows), np.int64)
    problems = {
        "lies outside its text or is empty": outside
        | (edits.end > length)
        | (edits.start >= edits.end),
        "has an empty replacement or one out of bounds": (edits.replacement_start < 0)
        | (edits.replacement_end > len(replacements))
        | (edits.replacement_start >= edits.replacement_end),
        "overlaps the span before it, or is not sorted": np.append(
            False,
            (edits.row[1:] < edits.row[:-1])
            | ((edits.row[1:] == edits.row[:-1]) & (edits.start[1:] < edits.end[:-1])),
        )[: len(edits.row)],
    }
    for problem, bad in problems.items():
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            raise RowError(
                f"the span {int(edits.start[k])}:{int(edits.end[k])} of text "
                f"{int(edits.row[k])} {problem}; check the row's spans with `bitextile verify`"
            )


def _places(edits: Edits) -> I64:
    """Returns where the four pieces of each edit begin among all pieces; see `_pieces`."""
    return 4 * np.arange(len(edits.row)) + edits.row


def _tails(edits: Edits, n_rows: int) -> I64:
    """Returns where the last piece of each row stands among all pieces; see `_pieces`."""
    rows = np.arange(n_rows)
    return 4 * np.searchsorted(edits.row, rows, side="right") + rows


def _pieces(host: Texts, edits: Edits, boundary_spaces: I8, *, space_at: int) -> tuple[I64, I64]:
    """Returns where the pieces of the new texts lie in host + replacements + one space.

    Starts and lengths, both [pieces].

    Each edit brings four pieces: the host's text up to it, a space, the replacement, a space;
    each row ends with one more: the rest of the host's text. Unused spaces have length 0.
    """
    # host "Der Hund läuft.", edit 4-8 -> "犬":   pieces "Der "  ""  "犬"  ""  " läuft."
    #                                       number    0      1    2    3    4 (the tail)
    # Edit e of row r begins at piece 4 e + r: four for each edit, one tail for each row before it.
    low, n_rows = host.offsets[edits.row], len(host.offsets) - 1
    place, tail = _places(edits), _tails(edits, n_rows)
    # A space is dropped by beginning the host's next piece one code point later.
    resumes = low + edits.end + (boundary_spaces[:, 1] < 0)
    # The first edit of a row begins at the row's text, each other one where the edit before it
    # ended.
    same_row = np.append(False, edits.row[1:] == edits.row[:-1])[: len(place)]
    begins = np.where(same_row, np.roll(resumes, 1), low)
    starts = np.full(4 * len(place) + n_rows, space_at, np.int64)
    lengths = np.zeros_like(starts)
    starts[place], lengths[place] = begins, low + edits.start - (boundary_spaces[:, 0] < 0) - begins
    lengths[place + 1], lengths[place + 3] = boundary_spaces[:, 0] > 0, boundary_spaces[:, 1] > 0
    starts[place + 2] = len(host.points) + edits.replacement_start
    lengths[place + 2] = edits.replacement_end - edits.replacement_start
    starts[tail] = host.offsets[:-1]
    # Several edits of a row write its tail's start; the last one comes last and stays.
    starts[tail[edits.row]] = resumes
    lengths[tail] = host.offsets[1:] - starts[tail]
    return starts, lengths


def _boundary_spaces(host: Texts, edits: Edits, replacements: U32) -> I8:
    """Returns the spaces to add or drop beside each replacement, [k, 2], by the module's rule."""
    before, _ = _side(host, edits, replacements, side=-1)
    behind, meets_next = _side(host, edits, replacements, side=1)
    # A gap between two replacements is the business of the second.
    return np.stack([before, np.where(meets_next, 0, behind)], axis=1).astype(np.int8)


def _side(host: Texts, edits: Edits, replacements: U32, *, side: int) -> tuple[I64, Bool]:
    """Returns what happens on one side of each edit, and whether another edit is met there.

    Args:
        host: the texts.
        edits: [k].
        replacements: code points.
        side: -1 for the side before, 1 for the side behind.
    """
    low, high = host.offsets[edits.row], host.offsets[edits.row + 1]
    inner = low + (edits.start if side < 0 else edits.end - 1)
    inner_new = edits.replacement_start if side < 0 else edits.replacement_end - 1
    # D e r _ [H u n d] _ l ä u f t     side 1: `inner` is at d, `outer` at l, over one space
    # What stood there asks for a space or not (`old`), what will stand there likewise (`new`); the
    # text changes where the two differ, or where words would join; else the author's own habit
    # stays.
    outer, gap = _neighbour(host, inner, side, low, high)
    beside = np.clip(np.arange(len(inner)) + side, 0, max(len(inner) - 1, 0))
    meets = (edits.row[beside] == edits.row) & (beside != np.arange(len(inner)))
    meets &= (gap > 0) & (
        outer == low + (edits.end[beside] - 1 if side < 0 else edits.start[beside])
    )
    outer_at = (edits.replacement_end - 1 if side < 0 else edits.replacement_start)[beside]
    low_new, high_new = edits.replacement_start, edits.replacement_end
    outer_old = _edge_class(host.points, outer, side, low, high)
    outer_new = _edge_class(replacements, outer_at, side, low_new[beside], high_new[beside])
    old = _NEED[outer_old, _edge_class(host.points, inner, -side, low, high)]
    new = _NEED[
        np.where(meets, outer_new, outer_old),
        _edge_class(replacements, inner_new, -side, low_new, high_new),
    ]
    outer_point = np.where(meets, replacements[outer_at], host.points[outer])
    left, right = (outer_point, replacements[inner_new])[::-side]
    torn = is_grapheme_extend()[right] | (left == _JOINER)
    return np.where(torn, gap == _TOUCHING, _decide(old, new, gap)), meets


def _neighbour(host: Texts, inner: I64, side: int, low: I64, high: I64) -> tuple[I64, U8]:
    """Returns the character that each edit's edge meets, over one space at most, and the gap.

    The gap is _TOUCHING, _ONE_SPACE, or 0 where the text ends or other white space touches. A
    second space counts as the character met; it needs nothing, so two spaces stay two.
    """
    code, last = char_classes(), len(host.points) - 1
    near, far = np.clip(inner + side, 0, last), np.clip(inner + 2 * side, 0, last)
    near_inside = (inner + side >= low) & (inner + side < high)
    far_inside = (inner + 2 * side >= low) & (inner + 2 * side < high)
    touching = near_inside & (code[host.points[near]] != SPACE)
    spaced = near_inside & far_inside & (host.points[near] == _SPACE_POINT)
    gap = np.where(touching, _TOUCHING, np.where(spaced, _ONE_SPACE, 0)).astype(np.uint8)
    return np.where(spaced, far, near), gap


def _edge_class(points: U32, index: I64, step: int, low: I64, high: I64) -> U8:
    """Returns the class of a word's outermost character: _PUNCTUATED for "U.S." or "(who".

    Args:
        points: code points.
        index: [k] of the outermost character.
        step: -1 if the word lies before `index`, 1 if it goes on behind it.
        low: [k] first index of the text or replacement.
        high: [k] end of it, exclusive.
    """
    if not len(points):
        return np.zeros(len(index), np.uint8)
    code = char_classes()
    edge, beyond = code[points[index]], np.clip(index + step, low, high - 1)
    letter = np.isin(code[points[beyond]], (SPACED, DIGIT))
    return np.where((edge == (OPENING if step > 0 else CLOSING)) & letter, _PUNCTUATED, edge)


def _decide(old: U8, new: U8, gap: U8) -> I64:
    """Returns 1 where the boundary gains a space, -1 where it loses one, 0 elsewhere."""
    # A digit has its own code beside a letter of an unspaced script: "3个" keeps its form where a
    # number replaces a number, but a word that replaces a number is set like any word.
    changed = (new != old) & _SPACES[new]
    gains = (gap == _TOUCHING) & ((new == _JOINT) | changed)
    loses = (gap == _ONE_SPACE) & (new == _DENSE) & _SPACES[old]
    return gains.astype(np.int64) - loses


def _needs() -> U8:
    # Symmetric: a Latin word before a Han one is spaced like one behind it.
    need = np.full((8, 8), _FREE, np.uint8)
    for a, b, code in (
        (SPACED, SPACED, _JOINT),
        (SPACED, DIGIT, _JOINT),
        (DIGIT, DIGIT, _JOINT),
        (SPACED, UNSPACED, _MIXED),
        (DIGIT, UNSPACED, _MIXED_DIGIT),
        (UNSPACED, UNSPACED, _DENSE),
        (_PUNCTUATED, SPACED, _PUNCTUATED_JOINT),
        (_PUNCTUATED, DIGIT, _PUNCTUATED_JOINT),
        (_PUNCTUATED, _PUNCTUATED, _PUNCTUATED_JOINT),
    ):
        need[a, b] = need[b, a] = code
    return need


_NEED = _needs()
_SPACES = np.isin(np.arange(6), (_JOINT, _MIXED, _MIXED_DIGIT, _PUNCTUATED_JOINT))
