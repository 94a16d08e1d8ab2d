"""Lines of large community dictionaries: Ding, dict.cc and CC-CEDICT.

ding     Haus {n} | Häuser {pl} :: house; building | houses
dictcc   trinken<TAB>to drink<TAB>verb
cedict   狗 狗 [gou3] /dog/CL:隻|只[zhi1]/
"""

import itertools
from collections.abc import Iterator

import regex

RawEntry = tuple[str, str, str | None]
"""First column, second column, part of speech."""

_POS = regex.compile(r"\{([^}]*)\}")
_NOTES = regex.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|<[^>]*>|/[^/]*/")
_INFINITIVE = regex.compile(r"^to (?=\S)")
_VARIANTS = regex.compile(r"\s\|\s|\s\|$|^\|\s")
_CEDICT = regex.compile(r"^(\S+) (\S+) \[([^\]]*)\] /(.+)/\s*$")
_NOT_A_MEANING = regex.compile(r"^(?:CL:|(?:old |also |erhua )?variant of |see |used in )")
_DICTCC_POS = {"noun", "verb", "adj", "adv", "pron", "prep", "conj", "prefix", "suffix"} | {
    *("past-p", "pres-p", "article", "interj", "number")
}


def is_ding(line: str) -> bool:
    """Returns whether a line has variants of a headword, and as many of its translation."""
    left, separator, right = line.partition("::")
    n = len(_VARIANTS.split(left))
    return bool(separator) and n > 1 and n == len(_VARIANTS.split(right))


def parse_ding(line: str) -> Iterator[RawEntry | None]:
    """Yields each synonym with each translation of the same variant; None for a bad line.

    >>> list(parse_ding("Haus {n} | Häuser {pl} :: house; building | houses"))
    [('Haus', 'house', 'n'), ('Haus', 'building', 'n'), ('Häuser', 'houses', 'pl')]
    """
    left, separator, right = line.partition("::")
    sides = [_VARIANTS.split(side) for side in (left, right)]
    if not separator or len(sides[0]) != len(sides[1]):
        yield None
        return
    for words, translations in zip(*sides):
        pos = _POS.search(words)
        verb = pos is not None and pos[1].startswith("v")
        pairs = itertools.product(_synonyms(words), _synonyms(translations))
        for word, translation in pairs:
            yield _bare(word, verb), _bare(translation, verb), pos and pos[1]


def is_dictcc(line: str) -> bool:
    """Returns whether a line is of dict.cc: two columns and parts of speech."""
    cells = line.split("\t")
    return len(cells) >= 3 and bool(cells[2]) and set(cells[2].split()) <= _DICTCC_POS


def parse_dictcc(line: str) -> Iterator[RawEntry | None]:
    r"""Yields the entry without its notes; None for a line without two columns.

    >>> list(parse_dictcc("Hund {m}\tdog [animal]\tnoun"))
    [('Hund', 'dog', 'noun')]
    """
    cells = line.split("\t")
    if len(cells) < 2:
        yield None
        return
    pos = cells[2] if len(cells) > 2 else ""
    word, translation = (_bare(_NOTES.sub("", cell), "verb" in pos) for cell in cells[:2])
    yield word, translation, pos or None


def is_cedict(line: str) -> bool:
    """Returns whether a line is traditional, simplified, [pinyin] and /meanings/."""
    return _CEDICT.match(line) is not None


def parse_cedict(line: str) -> Iterator[RawEntry | None]:
    """Yields each meaning for the traditional and the simplified word; None for a bad line.

    >>> list(parse_cedict("貓 猫 [mao1] /cat/CL:隻|只[zhi1]/"))
    [('貓', 'cat', None), ('猫', 'cat', None)]
    """
    match = _CEDICT.match(line)
    if match is None:
        yield None
        return
    traditional, simplified, _, senses = match.groups()
    meanings = [m for sense in senses.split("/") for m in _synonyms(sense)]
    wanted = [_bare(m, True) for m in meanings if not _NOT_A_MEANING.match(m)]
    for word in dict.fromkeys((traditional, simplified)):
        for meaning in wanted:
            yield word, meaning, None


def _synonyms(text: str) -> list[str]:
    # Notes first: they may hold the separator.
    return [word.strip() for word in _NOTES.sub("", text).split(";") if word.strip()]


def _bare(text: str, verb: bool) -> str:
    """Returns an entry without double spaces and, of verbs, without the English infinitive's to."""
    text = " ".join(text.split())
    return _INFINITIVE.sub("", text) if verb else text
