"""Ends of sentences: by hand in several scripts."""

import pyarrow as pa
import pytest

from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.sentences import sentence_ends
from bitextile.kernels.text.words import segmented_texts


def sentences(lang: str, *texts: str) -> list[str]:
    """Returns the words of each sentence, joined by spaces."""
    column = pa.array(texts)
    words = segmented_texts(column, segment(column, lang))
    ends, number = sentence_ends(words)
    found: dict[int, list[str]] = {}
    for k, (start, end) in enumerate(zip(words.starts, words.ends)):
        spelled = "".join(map(chr, words.texts.points[start:end]))
        found.setdefault(int(number[k]), []).append(spelled + ("|" if ends[k] else ""))
    return [" ".join(spelled) for spelled in found.values()]


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "It is. Is it?! Yes", ["It is .|", "Is it ? !|", "Yes"]),
        ("en", "Version 3.5 of a.b", ["Version 3.5 of a . b"]),
        ("en", "Wait... now", ["Wait ...|", "now"]),
        ("ar", "لا أعرف. هل تعرف؟", ["لا أعرف .|", "هل تعرف ؟|"]),
        ("hi", "कुत्ता दौड़ता है। बिल्ली", ["कुत्ता दौड़ता है ।|", "बिल्ली"]),
    ],
)
def test_stops_before_white_space_or_the_end(lang: str, text: str, expected: list) -> None:
    assert sentences(lang, text) == expected


def test_an_ideographic_stop_ends_a_sentence_whatever_follows() -> None:
    assert [s.replace(" ", "") for s in sentences("zh", "狗在跑。猫睡了！")] == [
        "狗在跑。|",
        "猫睡了！|",
    ]


def test_no_sentence_goes_beyond_its_text() -> None:
    assert sentences("de", "Der Hund", "", "läuft.") == ["Der Hund", "läuft .|"]
