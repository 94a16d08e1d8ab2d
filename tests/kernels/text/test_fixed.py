"""Addresses, placeholders and markup are found whole, and nothing else is."""

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.text.codepoints import to_texts
from bitextile.kernels.text.fixed import FIXED, MAY_BE_FIXED, overlaps_fixed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Visit https://www.home.example.org/a/b.html?c=d#e.",
            "https://www.home.example.org/a/b.html?c=d#e",
        ),
        (
            "(https://en.wikipedia.org/wiki/House_(album)) or www.a.de!",
            "https://en.wikipedia.org/wiki/House_(album) www.a.de",
        ),
        ("https://пример.рф/страница и example.com", "https://пример.рф/страница example.com"),
        ("请访问https://example.com/a看看，写信给a@b.cn吧", "https://example.com/a a@b.cn"),
        ("red.house@water.example.com, mailto:x@y.de", "red.house@water.example.com mailto:x@y.de"),
        ("#redhouse @news_house", "#redhouse @news_house"),
        ("in /home/news/water_house.txt, C:\\x\\y.txt", "/home/news/water_house.txt C:\\x\\y.txt"),
        (
            "{name} %(color)s {{water}} %s %d ${HOME} {0} %1$s",
            "{name} %(color)s {{water}} %s %d ${HOME} {0} %1$s",
        ),
        ("<b>save</b> <x/>&nbsp;&#39;", "<b> </b> <x/> &nbsp; &#39;"),
        ("A {{ user.name }} B", "{{ user.name }}"),
        ("100% sure, 50 % de R&D, and/or km/h 1/2/2020", ""),
        ("a < b > c <3 C# F# #1 The end.Now {a, b} «x»", ""),
        ("wie 5%er und 3%ige Lösung; 3,5 % der Fälle", ""),
    ],
)
def test_what_stays_as_it_is(text: str, expected: str) -> None:
    found = [match.group() for match in FIXED.finditer(text)]
    assert " ".join(found) == expected
    assert not found or MAY_BE_FIXED.search(text)


def test_spans_that_touch_what_is_fixed() -> None:
    texts = to_texts(pa.array(["犬 https://a.de/Haus 犬", "{Haus} Haus", "Haus"]))
    low = texts.offsets
    starts = np.array([low[0], low[0] + 15, low[1] + 1, low[1] + 7, low[2]])
    ends = starts + np.array([1, 4, 4, 4, 4])
    assert overlaps_fixed(texts, starts, ends).tolist() == [False, True, True, False, False]
