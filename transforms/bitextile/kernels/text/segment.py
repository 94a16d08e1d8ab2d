"""Words of a sentence, as code-point spans, by a rule that is right for its script.

One Unicode-aware rule serves every script that separates words (UAX #29, with what languages add to
it); addresses and placeholders are one word each (`fixed`); Chinese, Japanese and Thai go to a
dictionary segmenter where one is installed, and else character by character. Which one worked is
part of the data's description: `Segmenter.name` stands in the manifest.
"""

import functools
import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

from bitextile.kernels.arrays import offsets_of
from bitextile.kernels.text.fixed import FIXED, MAY_BE_FIXED
from bitextile.kernels.text.graphemes import Span, whole_graphemes
from bitextile.kernels.text.private_script import without_private_planes
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import SPAN, list_of
from bitextile.schema.languages import language_of

Choice = Literal["auto", "dictionary", "characters"]

# Letters with their marks and joiners, or digits with the separators written between digits. An
# apostrophe inside a word belongs to it ("don't", "ng'ombe"); _ELIDED ends the word after it.
# Private use counts as letters: fonts put letters there, and so does `derive`.
_LETTER = r"[\p{L}\p{M}\p{Co}\p{Join_Control}\p{Pc}]"
_APOSTROPHE = r"['‘’ʼ\u05F3]"
# Signs inside a word, by UAX #29, MidLetter and WB7b: Catalan col·legi, Armenian, Hebrew צה״ל and
# צה"ל. Not the full stop and the colon, which more often lack the space behind them in our text.
_MIDDLE = r"[\u00B7\u2027\u055F]|(?<=\p{Hebrew}\p{M}*)[\"\u05F4](?=\p{Hebrew})"
# Marks follow what they stand on everywhere (variation selectors, keycaps, kana's sound marks), so
# that no word begins inside a grapheme.
_NUMBER = r"\p{Nd}+(?:[.,:٫٬]\p{Nd}+)*\p{M}*"
_HAN_KANA = r"\p{Han}\p{Hiragana}\p{Katakana}ー々〆"
_UNSPACED = rf"[[{_HAN_KANA}\p{{Thai}}\p{{Lao}}\p{{Khmer}}\p{{Myanmar}}]--\p{{M}}]\p{{M}}*"
_INSIDE = r"[\p{L}\p{M}\p{N}\p{Co}\p{Join_Control}\p{Pc}]"
_WORD = rf"(?:(?!{_UNSPACED}){_LETTER})(?:(?!{_UNSPACED}){_INSIDE})*"
# Geresh and an apostrophe end Hebrew abbreviations (WB7a).
_FINAL = r"(?:(?<=\p{Hebrew}\p{M}*)['’\u05F3])?"
# A symbol is its whole grapheme (an emoji with its joiners), punctuation a run of one character.
_JOINED = r"(?:\p{M}|\p{Emoji_Modifier}|\u200d\p{So})*"
_REST = rf"(?P<same>\p{{P}})(?P=same)*\p{{M}}*|(?!\p{{P}})[^\s\u200B]{_JOINED}"
# Where a text marks its words by zero-width spaces, they are what stands between these.
_MARKED = rf"[[\p{{Thai}}\p{{Lao}}\p{{Khmer}}\p{{Myanmar}}]&&[\p{{L}}\p{{M}}]]+|{_UNSPACED}"


def _rule(
    *, middle: str = _MIDDLE, final: str = _FINAL, suffix: str = "", unspaced: str = _UNSPACED
) -> regex.Pattern:
    """Returns the rule of languages that keep apostrophes inside words.

    Args:
        middle: signs that join what stands on both sides of them, besides the apostrophe.
        final: what may end a word.
        suffix: what may follow a number.
        unspaced: a word of a script written without spaces.
    """
    word = rf"{_WORD}(?:(?:{_APOSTROPHE}|{middle}){_WORD})*{final}"
    return regex.compile(rf"{unspaced}|{_NUMBER}{suffix}|{word}|{_REST}", regex.V1)


_SPACED_RULE = _rule()
_ELISION_RULE = regex.compile(
    rf"{_UNSPACED}|{_NUMBER}|{_WORD}(?:(?:{_MIDDLE}){_WORD})*(?:{_APOSTROPHE}\p{{M}}*)?|{_REST}",
    regex.V1,
)
_MARKED_RULE = _rule(unspaced=_MARKED)
_ELIDING = frozenset({"fr", "it", "ca", "oc", "co", "fur", "lij", "pms", "scn", "vec", "wa"})
# A colon joins an ending to an abbreviation or a number: Finnish EU:n, 1990:n, Swedish S:t.
_COLON_RULE = _rule(middle=rf"{_MIDDLE}|:", suffix=rf"(?::{_WORD})?")
# oʻ and gʻ are letters, whatever sign stands for the turned comma: bo‘sh, tog‘.
_UZBEK_RULE = _rule(final=r"(?:(?<=[OoGg])['‘’`])?", middle=rf"{_MIDDLE}|(?<=[OoGg])`")
_RULES = dict.fromkeys(_ELIDING, _ELISION_RULE) | {
    **dict.fromkeys(("fi", "sv", "se", "smn", "sms", "olo", "krl", "fkv"), _COLON_RULE),
    "uz": _UZBEK_RULE,
}
_RUNS = {
    "zh": regex.compile(r"\p{Han}[\p{Han}\p{M}]*", regex.V1),
    "ja": regex.compile(rf"[[{_HAN_KANA}]--\p{{M}}][{_HAN_KANA}\p{{M}}]*", regex.V1),
    "th": regex.compile(r"[\p{Thai}--\p{M}][\p{Thai}\p{M}]*", regex.V1),
}
_ZERO_WIDTH_SPACE = "\u200b"
_PRIVATE = "[\U000f0000-\U0010ffff]"
_MARK = regex.compile(r"\p{M}")
# Sudachi refuses more than 49,149 bytes at once, and newmm slows down with length.
_MAX_RUN = 2_000
_PACKAGES = {"zh": "jieba", "ja": "SudachiPy", "th": "pythainlp"}
_EXTRAS = {"zh": "zh", "ja": "ja", "th": "th"}
_DICTIONARY_LANGUAGE = {"zh": "zh", "yue": "zh", "ja": "ja", "th": "th"}


@dataclass(frozen=True)
class Segmenter:
    """How a language's sentences are cut into words.

    Attributes:
        name: what the manifest says: `unicode`, `characters`, or package and version.
        spans: from a sentence to its words' spans, in order, none empty, none overlapping.
    """

    name: str
    spans: Callable[[str], list[Span]]


@functools.cache
def segmenter_for(lang: str, choice: Choice = "auto") -> Segmenter:
    """Returns the segmenter of a language.

    Args:
        lang: BCP-47 tag.
        choice: `auto` takes the dictionary segmenter if its package is installed; `dictionary`
            insists on it; `characters` never uses it.

    Raises:
        ConfigError: `dictionary` for a language whose package is missing.

    >>> segmenter_for("de").name
    'unicode'
    """
    base = language_of(lang)
    unspaced = _DICTIONARY_LANGUAGE.get(base)
    rule = _RULES.get(base, _SPACED_RULE)
    by_rule = functools.partial(_by_rule, rule)
    if unspaced is None:
        return Segmenter("unicode", by_rule)
    try:
        package = _PACKAGES[unspaced]
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        if choice == "dictionary":
            raise ConfigError(
                f"language {lang}: no {package}, which cuts its words; "
                f"pip install 'bitextile[{_EXTRAS[unspaced]}]', or take segmenter: characters"
            ) from error
        return Segmenter("characters", by_rule)
    if choice == "characters":
        return Segmenter("characters", by_rule)
    cut = functools.partial(_by_dictionary, rule, _RUNS[unspaced], unspaced)
    return Segmenter(f"{package} {version}", cut)


def segment(texts: pa.StringArray, lang: str, *, segmenter: Choice = "auto") -> pa.ListArray:
    """Returns the word spans of each text, punctuation marks being words of their own.

    Args:
        texts: [n] sentences, normalised, no nulls.
        lang: BCP-47 tag of all of them.
        segmenter: as in `segmenter_for`.

    Returns:
        [n] list<struct<start, end>>, code-point offsets, end exclusive.

    >>> def words(text, lang):
    ...     spans = segment(pa.array([text]), lang)[0].as_py()
    ...     return [text[s["start"]:s["end"]] for s in spans]
    >>> words("L'été 3,5 jours...", "fr")
    ["L'", 'été', '3,5', 'jours', '...']
    >>> words("لا أعرف.", "ar")
    ['لا', 'أعرف', '.']
    """
    cut = segmenter_for(lang, segmenter).spans
    # Asked once for the whole column, as hardly any has such text.
    if pc.any(pc.match_substring_regex(texts, _PRIVATE)).as_py():
        cut = functools.partial(_cut_private_script, cut)
    offsets = np.zeros(len(texts) + 1, np.int32)
    flat: list[Span] = []
    for row, text in enumerate(texts.to_pylist()):
        flat.extend(_spans(cut, text))
        offsets[row + 1] = len(flat)
    return spans_array(np.array(flat, np.int32).reshape(-1, 2), offsets)


def spans_array(flat: np.ndarray, offsets: np.ndarray) -> pa.ListArray:
    """Returns spans as an Arrow column.

    Args:
        flat: [words, 2] int32 starts and ends of all rows, one after the other.
        offsets: [rows + 1] int32, where each row's spans begin.
    """
    columns = [pa.array(np.ascontiguousarray(flat[:, side])) for side in (0, 1)]
    # Fields given by the kind: built from Python they would be nullable, and another type.
    values = pa.StructArray.from_arrays(columns, fields=list(SPAN))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=list_of(SPAN))


def cut_words(texts: pa.StringArray, spans: pa.ListArray) -> pa.ListArray:
    """Returns the words that the spans cut out of the texts.

    Args:
        texts: [n] sentences.
        spans: [n] list<struct<start, end>> as `segment` gives them.

    Returns:
        [n] list<string>.

    >>> text = pa.array(["Guten Tag!"])
    >>> cut_words(text, segment(text, "de")).to_pylist()
    [['Guten', 'Tag', '!']]
    """
    flat = spans.flatten()
    starts, ends = flat.field("start").to_pylist(), flat.field("end").to_pylist()
    lengths = pc.list_value_length(spans).to_numpy(zero_copy_only=False)
    offsets = offsets_of(lengths).astype(np.int32)
    words: list[str] = []
    for row, text in enumerate(texts.to_pylist()):
        low, high = offsets[row], offsets[row + 1]
        words.extend([text[s:e] for s, e in zip(starts[low:high], ends[low:high])])
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(words, pa.string()), type=list_of(pa.string())
    )


def _spans(cut: Callable[[str], list[Span]], text: str) -> list[Span]:
    """Cuts a text around what is fixed, and nowhere inside a grapheme cluster."""
    spans = cut(text) if not MAY_BE_FIXED.search(text) else _cut_around_fixed(cut, text)
    return spans if text.isascii() else whole_graphemes(text, spans)


def _cut_around_fixed(cut: Callable[[str], list[Span]], text: str) -> list[Span]:
    spans: list[Span] = []
    done = 0
    for match in FIXED.finditer(text):
        spans.extend(_shifted(cut(text[done : match.start()]), done))
        spans.append(match.span())
        done = match.end()
    spans.extend(_shifted(cut(text[done:]), done))
    return spans


def _cut_private_script(cut: Callable[[str], list[Span]], text: str) -> list[Span]:
    """Cuts a text as it was before `derive` set it in the private script.

    Its punctuation and digits are private use, too, and would be letters otherwise.
    """
    return _spans(cut, without_private_planes(text))


def _by_rule(rule: regex.Pattern, text: str) -> list[Span]:
    if _ZERO_WIDTH_SPACE in text and rule is _SPACED_RULE:
        rule = _MARKED_RULE
    return [match.span() for match in rule.finditer(text)]


def _by_dictionary(rule: regex.Pattern, runs: regex.Pattern, lang: str, text: str) -> list[Span]:
    """Cuts the runs of the language's own script by dictionary, all else by the rule."""
    spans: list[Span] = []
    done = 0
    for run in runs.finditer(text):
        # ja  3時にJohnが来た。   runs 時に, が来た by dictionary;  3, John, 。 by the rule
        spans.extend(_shifted(_by_rule(rule, text[done : run.start()]), done))
        spans.extend(_pieces(run.group(), run.start(), _dictionary(lang)))
        done = run.end()
    spans.extend(_shifted(_by_rule(rule, text[done:]), done))
    return spans


def _shifted(spans: list[Span], by: int) -> Iterator[Span]:
    return ((start + by, end + by) for start, end in spans)


def _pieces(run: str, start: int, cut: Callable[[str], list[str]]) -> Iterator[Span]:
    """Yields the spans of a run's words; a piece beginning with a mark joins the one before."""
    starts: list[int] = []
    end = start
    for part in range(0, len(run), _MAX_RUN):
        for piece in cut(run[part : part + _MAX_RUN]):
            if piece and not _MARK.match(piece):
                starts.append(end)
            end += len(piece)
    return zip(starts, [*starts[1:], end])


@functools.cache
def _dictionary(lang: str) -> Callable[[str], list[str]]:
    """Loads the dictionary once a process; each cuts a run into pieces that spell it."""
    if lang == "zh":
        import jieba

        jieba.setLogLevel("WARNING")
        jieba.initialize()
        return functools.partial(jieba.lcut, HMM=True)
    if lang == "ja":
        from sudachipy import Dictionary, SplitMode

        tokenizer = Dictionary().tokenizer(mode=SplitMode.A)
        return lambda run: [m.surface() for m in tokenizer.tokenize(run)]
    from pythainlp.tokenize import word_tokenize

    return functools.partial(word_tokenize, engine="newmm", keep_whitespace=True)
