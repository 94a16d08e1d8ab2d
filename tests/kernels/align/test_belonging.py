"""Sides that do not belong together are told from those that do: languages, sizes, ways to fail."""

import csv
import gzip
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.align.belonging import (
    MIN_PAIRS,
    agreement,
    differences,
    is_judged,
    least_agreement,
)
from bitextile.kernels.text.segment import cut_words, segment
from project import SHARED

LANGUAGES = ["en", "de", "fr", "es", "zh", "ar"]


def embedded() -> dict[str, list[str]]:
    file = resources.files("bitextile.pipelines.sample") / "sentences.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {lang: [row[lang] for row in rows] for lang in LANGUAGES}


def words(texts: list[str], lang: str) -> pa.ListArray:
    column = pa.array(texts)
    return cut_words(column, segment(column, lang))


def broken(side: list[str], how: str) -> list[str]:
    shuffled = [side[i] for i in np.random.default_rng(3).permutation(len(side))]
    return {"right": side, "shuffled": shuffled, "shifted": side[1:] + side[:1]}[how]


def found(src: list[str], tgt: list[str], langs: tuple[str, str], how: str) -> float:
    # In an order that is not that of the text, as rows in the order of their ids are.
    order = np.random.default_rng(5).permutation(len(src))
    tgt = broken(tgt, how)
    first = words([src[i] for i in order], langs[0])
    second = words([tgt[i] for i in order], langs[1])
    value = agreement(differences(first, second))
    assert value is not None
    return value


@pytest.mark.parametrize("langs", [("en", "de"), ("en", "zh"), ("ar", "fr"), ("es", "ar")])
@pytest.mark.parametrize("n", [80, 400])
def test_small_corpora_in_several_languages(langs: tuple[str, str], n: int) -> None:
    src, tgt = (embedded()[lang][:n] for lang in langs)
    assert found(src, tgt, langs, "right") > 2 * least_agreement(n)
    for how in ("shuffled", "shifted"):
        assert found(src, tgt, langs, how) < least_agreement(n) / 1.2


REAL = {
    "multi30k en-cs": ("multi30k/train.en.gz", "multi30k/train.cs.gz", ("en", "cs")),
    "tanaka en-ja": ("tanaka_en-ja/train.en.gz", "tanaka_en-ja/train.ja.gz", ("en", "ja")),
    "ntrex en-zh": (
        "ntrex128/newstest2019-src.eng.txt.gz",
        "ntrex128/newstest2019-ref.zho-CN.txt.gz",
        ("en", "zh"),
    ),
    "lafand en-sw": ("lafand_en-sw/train.en.gz", "lafand_en-sw/train.swa.gz", ("en", "sw")),
}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("n", [200, 1900])
def test_real_corpora(name: str, n: int) -> None:
    source, target, langs = REAL[name]
    folder = SHARED / "data/parallel"
    if not folder.is_dir():
        pytest.skip("shared corpora are not here")
    src, tgt = (
        gzip.decompress((folder / file).read_bytes()).decode().split("\n")[:n]
        for file in (source, target)
    )
    values = {how: found(src, tgt, langs, how) for how in ("right", "shuffled", "shifted")}
    assert values["right"] > least_agreement(n)
    assert max(values["shuffled"], values["shifted"]) < least_agreement(n)


def test_too_few_pairs_and_word_lists_are_not_judged() -> None:
    kind = pa.list_(pa.string())
    sentence, word = (pa.array([text] * 50, kind) for text in (["a", "b", "c"], ["a"]))
    assert is_judged(sentence, sentence)
    assert not is_judged(sentence, word)
    assert not is_judged(sentence[: MIN_PAIRS - 1], sentence[: MIN_PAIRS - 1])


def test_one_sentence_over_and_over_says_nothing() -> None:
    same = pa.array([["a", "b", "c"]] * 60, pa.list_(pa.string()))
    assert agreement(differences(same, same)) is None
