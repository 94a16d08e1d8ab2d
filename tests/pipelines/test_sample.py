"""The embedded sample corpus is complete, clean, and its gold alignments point into it."""

import collections
import importlib.resources
import json
import re
import unicodedata

import pytest

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")
MONO = ("de", "en")
GOLD = {"de": 60, "zh": 30}
ENDINGS = {"zh": "。？！", "ar": ".؟!"}


def read(name: str) -> str:
    folder = importlib.resources.files("bitextile.pipelines.sample")
    return folder.joinpath(name).read_bytes().decode("utf-8")


def rows() -> list[dict[str, str]]:
    header, *lines = read("sentences.tsv").removesuffix("\n").split("\n")
    columns = header.split("\t")
    assert columns == ["id", *LANGUAGES]
    cells = [line.split("\t") for line in lines]
    assert {len(row) for row in cells} == {len(columns)}
    return [dict(zip(columns, row, strict=True)) for row in cells]


def mono(language: str) -> list[str]:
    return read(f"mono.{language}.txt").removesuffix("\n").split("\n")


def gold(language: str) -> list[dict]:
    return [json.loads(line) for line in read(f"gold.en-{language}.jsonl").splitlines()]


def is_han(char: str) -> bool:
    return unicodedata.name(char, "").startswith("CJK UNIFIED IDEOGRAPH")


def is_arabic(char: str) -> bool:
    return unicodedata.name(char, "").startswith("ARABIC LETTER")


def is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN ")


def assert_clean(text: str) -> None:
    assert text
    assert text == text.strip()
    assert text == unicodedata.normalize("NFC", text)
    assert not re.search(r"\s\s|[^\S ]", text), text
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn") for char in text), text


def test_ids_count_up():
    assert [row["id"] for row in rows()] == [f"s{i:04d}" for i in range(1, len(rows()) + 1)]
    assert len(rows()) >= 320


@pytest.mark.parametrize("language", LANGUAGES)
def test_cells_are_clean_and_distinct(language):
    texts = [row[language] for row in rows()]
    for text in texts:
        assert_clean(text)
        assert text[-1] in ENDINGS.get(language, ".?!"), text
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_latin_languages_hold_latin_letters_only(language):
    for row in rows():
        assert all(is_latin(char) for char in row[language] if char.isalpha()), row


def test_chinese_is_han_without_spaces_and_latin():
    for row in rows():
        assert any(map(is_han, row["zh"]))
        assert all(is_han(char) or char in "。，、？！" for char in row["zh"]), row


def test_arabic_is_arabic():
    for row in rows():
        assert any(map(is_arabic, row["ar"]))
        assert all(is_arabic(char) or char in " .،؟!" for char in row["ar"]), row


def test_english_lengths():
    for row in rows():
        assert 4 <= len(row["en"].split()) <= 25, row


def test_each_language_follows_its_question_marks():
    for row in rows():
        asks = "?" in row["en"]
        assert ("?" in row["de"]) == ("？" in row["zh"]) == ("؟" in row["ar"]) == asks, row
        assert ("¿" in row["es"]) == ("?" in row["es"]) == asks, row
        assert ("¡" in row["es"]) == ("!" in row["es"]), row
        assert (" ?" in row["fr"]) == asks, row
        assert not re.search(r"[^ ][?!:;]", row["fr"]), row


@pytest.mark.parametrize("language", MONO)
def test_mono_is_clean_and_apart(language):
    texts = mono(language)
    assert len(texts) == len(set(texts)) == 80
    for text in texts:
        assert_clean(text)
        assert all(is_latin(char) for char in text if char.isalpha()), text
    assert not set(texts) & {row[language] for row in rows()}


@pytest.mark.parametrize("language", GOLD)
def test_gold_count_and_texts(language):
    by_id = {row["id"]: row for row in rows()}
    entries = gold(language)
    assert len(entries) >= GOLD[language]
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        assert (entry["src_lang"], entry["tgt_lang"]) == ("en", language)
        assert entry["src"] == by_id[entry["id"]]["en"]
        assert entry["tgt"] == by_id[entry["id"]][language]


@pytest.mark.parametrize("language", GOLD)
def test_gold_spans_partition_the_text(language):
    for entry in gold(language):
        for side in ("src", "tgt"):
            text, position = entry[side], 0
            for start, end in entry[f"{side}_spans"]:
                assert position <= start < end <= len(text), entry["id"]
                assert not text[position:start].strip(), entry["id"]
                assert not re.search(r"\s", text[start:end]), entry["id"]
                position = end
            assert not text[position:].strip(), entry["id"]


@pytest.mark.parametrize("language", GOLD)
def test_gold_links_are_in_bounds_and_disjoint(language):
    for entry in gold(language):
        sure = [tuple(link) for link in entry["sure"]]
        possible = [tuple(link) for link in entry["possible"]]
        assert sure, entry["id"]
        assert len(set(sure + possible)) == len(sure) + len(possible), entry["id"]
        for i, j in sure + possible:
            assert 0 <= i < len(entry["src_spans"]), entry["id"]
            assert 0 <= j < len(entry["tgt_spans"]), entry["id"]
        final = (len(entry["src_spans"]) - 1, len(entry["tgt_spans"]) - 1)
        assert final in sure, entry["id"]


def test_words_recur():
    sentences = [re.findall(r"[a-z]{4,}", row["en"].lower()) for row in rows()]
    spread = collections.Counter(word for words in sentences for word in set(words))
    tokens = [word for words in sentences for word in words]
    recurring = sum(spread[word] >= 3 for word in tokens)
    assert recurring / len(tokens) >= 0.8
