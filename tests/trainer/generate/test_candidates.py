"""SALT candidates: an obvious version, one word at a time, is the oracle."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from bitextile.kernels.text.segment import segment
from bitextile.schema.checks import check_rows
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import CANDIDATES, MONO
from bitextile.trainer.generate.candidates import (
    candidates_engine,
    count_words,
    single_tokens,
    words_of_languages,
)
from bitextile.trainer.generate.config import CandidatesConfig

TEXTS = [
    "the red dog sees a small house",
    "birds sing, 7 dogs",
    "old trees near the blue house",
    "",
]
ARABIC = ["أحمر كلب يرى", "بيت"]


@pytest.fixture(scope="module")
def model(save_random, word_tokenizer) -> str:
    return save_random(of=word_tokenizer)


def engine(model, datasets, **settings):
    settings = {"languages": ("ar",), "min_probability": 0.0, "min_cosine": -1.0} | settings
    return candidates_engine(
        model,
        digest="sha256:0",
        sources=("en",),
        vocabulary_data=[datasets["pairs"]],
        config=CandidatesConfig(**settings),
    )


def asked(requests, texts: list[str], lang: str = "en") -> pa.RecordBatch:
    return requests(texts, lang).select(MONO.schema.names)


class Slow:
    """The model itself, one word at a time."""

    def __init__(self, folder: str, tokenizer, allowed: list[int]) -> None:
        self.mlm = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
        self.language = load_file(Path(folder) / "languages.safetensors")["language"]
        self.tokenizer, self.allowed = tokenizer, allowed

    def candidates(self, text: str, word: int, *, top_k: int, least: float, cosine: float):
        tokenizer = self.tokenizer.pretrained
        ids = tokenizer.convert_tokens_to_ids(text.split())
        copy = [*ids[:word], self.tokenizer.mask, *ids[word + 1 :]]
        whole = [self.tokenizer.cls, *ids, self.tokenizer.sep, *copy, self.tokenizer.sep]
        table = self.mlm.get_input_embeddings().weight
        with torch.no_grad():
            logits = self.mlm(
                inputs_embeds=table[whole][None] + self.language[1],
                position_ids=torch.arange(len(whole))[None] + self.tokenizer.pad + 1,
            ).logits[0, len(ids) + 2 + word]
            shares = logits[self.allowed].softmax(dim=0).tolist()
            near = torch.cosine_similarity(table[ids[word]][None], table[self.allowed]).tolist()
        best = sorted(range(len(shares)), key=lambda i: -shares[i])[:top_k]
        return [
            (tokenizer.convert_ids_to_tokens(self.allowed[i]), shares[i])
            for i in best
            if shares[i] >= least and near[i] >= cosine
        ]


@pytest.mark.parametrize(
    ("top_k", "least", "cosine"),
    [(10, 0.0, -1.0), (3, 0.0, -1.0), (16, 0.05, -1.0), (16, 0.0, 0.1)],
)
def test_candidates_are_those_of_the_obvious_version(
    model, datasets, word_tokenizer, requests, top_k, least, cosine
) -> None:
    made = engine(model, datasets, top_k=top_k, min_probability=least, min_cosine=cosine)
    slow = Slow(model, word_tokenizer, list(dict(made.vocabulary)["ar"]))
    texts = [TEXTS[0], TEXTS[2]]
    rows = made.load()(asked(requests, texts)).kept
    check_rows(rows, CANDIDATES, "here")
    n = 0
    for text, row in zip(texts, rows.to_pylist(), strict=True):
        assert row["text"] == text
        for word, found in enumerate(row["candidates"]):
            expected = slow.candidates(text, word, top_k=top_k, least=least, cosine=cosine)
            assert [c["text"] for c in found] == [token for token, _ in expected]
            assert [c["score"] for c in found] == pytest.approx([s for _, s in expected], rel=1e-3)
            assert {c["lang"] for c in found} <= {"ar"}
            n += len(found)
    assert n > 10


def test_numbers_and_punctuation_have_no_candidates_and_every_word_has_a_span(
    model, datasets, requests
) -> None:
    rows = engine(model, datasets).load()(asked(requests, TEXTS)).kept.to_pylist()
    assert [row["text"] for row in rows] == TEXTS
    spans = segment(pa.array(TEXTS), "en").to_pylist()
    assert [row["spans"] for row in rows] == spans
    # The tokenizer cuts at white space, so "sing," is one token that is no word, "dogs" unknown.
    assert [bool(c) for c in rows[1]["candidates"]] == [True, False, False, False, False]
    assert rows[3]["candidates"] == []


def test_a_word_of_several_tokens_is_not_eligible(tokenizer) -> None:
    text = "the red dog 7 , trees"
    side = tokenizer.encode([text])[0]
    words = [(s["start"], s["end"]) for s in segment(pa.array([text]), "en").to_pylist()[0]]
    tokens = tokenizer.pretrained.tokenize(text)
    found = single_tokens(tokenizer, side, text, words)
    for word, (start, end) in enumerate(words):
        piece = "▁" + text[start:end]
        assert (word in found) == (piece in tokens and text[start:end].isalpha())
    assert 0 < len(found) < 4


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        ("dog ქ red", "ka", {0: "▁dog", 2: "▁red"}),  # ქ is three bytes
        ("ქ", "ka", {}),
        ("狗 é dog", "fr", {0: "狗", 2: "▁dog"}),
        ("房子", "zh", {0: "房子"}),  # with a bare mark before it
        ("ё</s> dog", "ru", {2: "▁dog"}),  # a tag is one word
    ],
)
def test_a_byte_a_mark_and_the_unknown_are_no_words(byte_tokenizer, text, lang, expected) -> None:
    (side,) = byte_tokenizer.encode([text])
    words = [(s["start"], s["end"]) for s in segment(pa.array([text]), lang).to_pylist()[0]]
    found = single_tokens(byte_tokenizer, side, text, words)
    names = byte_tokenizer.pretrained.convert_ids_to_tokens(side.ids.tolist())
    assert {word: names[place] for word, place in found.items()} == expected


def test_bytes_are_not_counted(byte_tokenizer, make_dataset, tmp_path) -> None:
    """All of the Arabic is spelled in bytes, and no English word but `red` and `dog` is a piece."""
    counts = count_words(byte_tokenizer, [make_dataset(tmp_path / "pairs", "pairs")])
    assert not counts["ar"].any()
    names = byte_tokenizer.pretrained.convert_ids_to_tokens(np.flatnonzero(counts["en"]).tolist())
    assert {name for name in names if len(name) > 1} == {"▁dog", "▁red"}


def test_the_unknown_token_is_not_counted(word_tokenizer) -> None:
    text = "dog zebra"
    (side,) = word_tokenizer.encode([text])
    assert single_tokens(word_tokenizer, side, text, [(0, 3), (4, 9)]) == {0: 0}


def test_batches_languages_and_order_do_not_matter(model, datasets, requests) -> None:
    run = engine(model, datasets, languages=("ar", "en")).load()
    english, arabic = asked(requests, TEXTS), asked(requests, ARABIC, "ar")
    both = pa.concat_batches([english, arabic])
    order = [4, 0, 2, 5, 3, 1]
    mixed = run(both.take(pa.array(order))).kept
    check_rows(mixed, CANDIDATES, "here")
    apart = [*run(english).kept.to_pylist(), *run(arabic).kept.to_pylist()]
    assert [shape(row) for row in mixed.to_pylist()] == [shape(apart[i]) for i in order]
    assert {c["lang"] for row in apart[4:] for word in row["candidates"] for c in word} == {"en"}


def shape(row: dict) -> tuple:
    words = [[(c["text"], c["lang"]) for c in word] for word in row["candidates"]]
    return row["text_id"], words, [len(row["spans"])]


def test_a_sentence_that_does_not_fit_twice_is_rejected(model, datasets, requests) -> None:
    texts = [TEXTS[0], "the dog " * 60, TEXTS[2]]
    made = engine(model, datasets).load()(asked(requests, texts))
    assert made.kept.column("text").to_pylist() == [TEXTS[0], TEXTS[2]]
    (reject,) = made.rejects.to_pylist()
    assert (reject["rule"], reject["value"]) == ("too_long_for_model/1", 2 * 120 + 3)


def test_words_are_counted_as_they_stand(datasets, word_tokenizer) -> None:
    counts = count_words(word_tokenizer, [datasets["pairs"], datasets["mono"]])
    rows = open_dataset(datasets["pairs"]).table().to_pylist()
    mono = open_dataset(datasets["mono"]).table().to_pylist()
    english = " ".join([*(r["src"] for r in rows), *(r["text"] for r in mono)]).split()
    for word in ("dog", "the"):
        place = word_tokenizer.vocabulary[word]
        assert counts["en"][place] == english.count(word) > 0
    assert counts["ar"].sum() == len(" ".join(r["tgt"] for r in rows).split())


def test_a_token_belongs_to_the_language_it_is_commonest_in() -> None:
    counts = {"de": np.array([8, 1, 1, 5, 0]), "en": np.array([40, 2, 28, 25, 5])}
    found = words_of_languages(counts, min_count=2)
    # Shares: de 8/15, 1/15, 1/15, 5/15, 0; en .40, .02, .28, .25, .05.
    assert found["de"].tolist() == [0, 3]
    assert found["en"].tolist() == [2, 4]


def test_what_cannot_be_asked_is_refused(
    model, datasets, save_random, tokenizer, rewritten
) -> None:
    with pytest.raises(ConfigError, match="no text of ja"):
        engine(model, datasets, languages=("ja",))
    with pytest.raises(ConfigError, match="no embedding for en; it knows ar, zh"):
        engine(save_random(languages=("ar", "zh")), datasets)
    with pytest.raises(ConfigError, match="top_k 0"):
        engine(model, datasets, top_k=0)
    with pytest.raises(ConfigError, match="min_probability nan"):
        engine(model, datasets, min_probability=float("nan"))
    other = save_random()
    rewritten(other, tokenizer="sha256:another")
    with pytest.raises(ConfigError, match="its tokenizer is sha256:"):
        engine(other, datasets)


def test_a_model_without_language_embeddings_will_do(save_random, datasets, requests) -> None:
    run = engine(save_random(languages=()), datasets).load()
    assert run(asked(requests, TEXTS)).kept.num_rows == len(TEXTS)
