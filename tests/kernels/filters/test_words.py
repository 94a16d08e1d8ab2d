"""The estimate of words: near the number of words in any script, and of one text alone."""

import pyarrow as pa
import pytest

from bitextile.kernels.filters.words import estimate_words, words_per_side
from bitextile.kernels.text.segment import segment
from corpus_rows import mono_rows, pair_rows


@pytest.mark.parametrize(
    ("lang", "text", "choice"),
    [
        ("en", "the quick brown fox jumps over the lazy dog", "auto"),
        ("ru", "собака бежит по улице и лает", "auto"),
        ("zh", "我们明天早上和老师一起坐公共汽车去学校因为今天下雨", "dictionary"),
        ("ja", "私たちは明日の朝先生と一緒にバスで学校に行きます", "dictionary"),
        ("th", "พรุ่งนี้เช้าเราจะไปโรงเรียนโดยรถบัสกับครู", "dictionary"),
    ],
)
def test_the_estimate_is_near_the_number_of_words(lang: str, text: str, choice) -> None:
    pytest.importorskip({"zh": "jieba", "ja": "sudachipy", "th": "pythainlp"}.get(lang, "regex"))
    words = len(segment(pa.array([text]), lang, segmenter=choice)[0])
    assert estimate_words(pa.array([text]))[0] == pytest.approx(words, rel=0.35)


def test_the_estimate_of_a_text_does_not_depend_on_its_neighbours() -> None:
    alone = estimate_words(pa.array(["one two"]))[0]
    assert estimate_words(pa.array(["one two", "我们去学校"]))[0] == alone == 2
    assert estimate_words(pa.array([], pa.string())).shape == (0,)


def test_words_are_counted_for_each_side() -> None:
    assert words_per_side(pair_rows([("a b", "c"), ("", "d")])).tolist() == [[2, 1], [0, 1]]
    assert words_per_side(mono_rows(["a b", ""])).tolist() == [[2], [0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我们明", 3 / 1.5),
        ("ひらカ", 3 / 1.9),
        ("หมาว", 4 / 4.0),
        ("a 我 b", 2 + 1 / 1.5),
        ("ខ្ញុំ\u200bទៅ", 7 / 4.5),
    ],
)
def test_characters_of_unspaced_scripts_are_parts_of_a_word(text: str, words: float) -> None:
    assert estimate_words(pa.array([text]))[0] == pytest.approx(words)
