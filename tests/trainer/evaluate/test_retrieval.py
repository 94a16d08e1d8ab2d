"""Retrieval by hand and against the obvious double loop."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, InputError
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.retrieval import _in_key_order, retrieval


def texts(n: int, language: str) -> list[str]:
    return [f"{language}{i}" for i in range(n)]


def test_accuracy_by_hand():
    src = np.asarray([[1.0, 0.0], [0.0, 2.0], [1.0, 1.1]])
    tgt = np.asarray([[3.0, 0.1], [0.1, 1.0], [1.0, 0.1]])
    result = retrieval(src, tgt, src_texts=texts(3, "a"), tgt_texts=texts(3, "b"))
    # 0 finds 0, 1 finds 1, 2 finds 1; back: 0 finds 0, 1 finds 1, 2 finds 0.
    assert result.src_to_tgt.value == pytest.approx(2 / 3)
    assert result.tgt_to_src.value == pytest.approx(2 / 3)
    assert result.pairs == 3


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(2, 12))
def test_equals_the_double_loop(seed, n):
    generator = np.random.default_rng(seed)
    src, tgt = generator.normal(size=(2, n, 3))
    cos = np.asarray([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in tgt] for a in src])
    result = retrieval(src, tgt, src_texts=texts(n, "a"), tgt_texts=texts(n, "b"))
    assert result.src_to_tgt.value == np.mean(
        [max(range(n), key=lambda j: cos[i, j]) == i for i in range(n)]
    )
    assert result.tgt_to_src.value == np.mean(
        [max(range(n), key=lambda i: cos[i, j]) == j for j in range(n)]
    )


def test_a_sentence_that_stands_twice_is_a_hit_in_either_place():
    vectors = np.asarray([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    same = retrieval(vectors, vectors, src_texts=["a", "a", "b"], tgt_texts=["c", "c", "d"])
    other = retrieval(vectors, vectors, src_texts=["a", "a", "b"], tgt_texts=["c", "e", "d"])
    assert same.src_to_tgt.value == 1.0
    # Either of the two translations is one of the sentence, wherever it is found.
    assert other.src_to_tgt.value == 1.0
    wrong = retrieval(vectors, vectors, src_texts=["a", "f", "b"], tgt_texts=["c", "e", "d"])
    assert wrong.src_to_tgt.value == pytest.approx(2 / 3)


def test_one_pair_is_no_task():
    with pytest.raises(InputError, match="at least 2 pairs, got 1"):
        retrieval(np.ones((1, 2)), np.ones((1, 2)), src_texts=["a"], tgt_texts=["b"])


def test_retrieval_of_a_dataset_and_of_files(model, datasets, tmp_path):
    report = evaluate(model, task="retrieval", data=[datasets["pairs"]])
    assert report["layer"] == 1
    result = report["results"]["ar-en"]
    rows = [r for r in open_dataset(datasets["pairs"]).table().to_pylist() if r["split"] == "test"]
    assert result["pairs"] == len(rows)
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text("".join(r["tgt"] + "\n" for r in rows), "utf-8")
    b.write_text("".join(r["src"] + "\n" for r in rows), "utf-8")
    files = evaluate(model, task="retrieval", data=[str(a), str(b)])["results"]["files"]
    assert files == result  # the key ar-en puts the Arabic side first, as the files do
    assert (
        evaluate(model, task="retrieval", data=[str(a), str(a)])["results"]["files"]["mean"][
            "value"
        ]
        == 1.0
    )


@pytest.mark.parametrize("key", ["ar-en", "en-ar", "eng-ara", "en,arb_Arab"])
def test_a_key_is_named_in_any_form(model, datasets, key):
    report = evaluate(model, task="retrieval", data=[datasets["pairs"]], key=key)
    assert list(report["results"]) == ["ar-en"]


@pytest.mark.parametrize("key", ["de-en", "en-US-ar", "english"])
def test_a_key_that_is_not_there_is_refused(model, datasets, key):
    with pytest.raises(ConfigError, match=f"has no language pair {key}; it has ar-en$"):
        evaluate(model, task="retrieval", data=[datasets["pairs"]], key=key)


def test_a_pair_is_turned_to_the_order_of_its_key():
    row = {"src_lang": "en", "tgt_lang": "ar", "src": "dog", "tgt": "كلب"}
    other = {"src_lang": "ar", "tgt_lang": "en", "src": "بيت", "tgt": "house"}
    assert _in_key_order([row, other]) == (["كلب", "بيت"], ["dog", "house"])


def test_text_files_may_be_compressed(model, tmp_path):
    for name, text in (("a", "one\ntwo\n"), ("b", "eins\nzwei\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = (
        evaluate(model, task="retrieval", data=[str(tmp_path / f"{n}{end}") for n in "ab"])
        for end in ("", ".gz")
    )
    assert packed["results"] == plain["results"]


def test_different_line_counts_are_named(model, tmp_path):
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("one\n")
    with pytest.raises(InputError, match=r"b has 1 lines, .*a has 2; line n of one must translate"):
        evaluate(model, task="retrieval", data=[str(tmp_path / "a"), str(tmp_path / "b")])


def write_sides(tmp_path, pairs) -> list[str]:
    """Writes line-aligned files of pairs."""
    paths = [str(tmp_path / name) for name in ("src.txt", "tgt.txt")]
    for path, side in zip(paths, zip(*pairs)):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{text}\n" for text in side))
    return paths


def result_of(model, paths, **options) -> dict:
    return evaluate(model, task="retrieval", data=paths, **options)["results"]["files"]


@pytest.mark.parametrize(
    "sentences",
    [["the red dog", "a small house"], ["كلب أحمر", "بيت صغير"], ["他走了", "一只狗"]],
    ids=["latin", "arabic", "han"],
)
@pytest.mark.parametrize("blank", ["", " ", "\u3000", "\u00a0\t"])
def test_blank_lines_are_no_pairs(model, tmp_path, sentences, blank):
    lines = [sentences[0], blank, sentences[1], blank]
    same = result_of(model, write_sides(tmp_path, zip(lines, lines)))
    # Han is unknown to the tokenizer here: what it cannot tell apart it names.
    alike = same["equal_inputs"] > 0
    assert (same["pairs"], same["blank"], same["mean"]["value"] == 1.0) == (2, 2, not alike)
    # A side alone may be blank, too; then nothing is translated by nothing.
    lines = [(sentences[0], blank), *[(s, s) for s in sentences], (blank, sentences[1])]
    one = result_of(model, write_sides(tmp_path, lines), max_rows=2)
    assert (one["pairs"], one["blank"]) == (2, 2)
    with pytest.raises(InputError, match="at least 2 pairs, got 1"):
        result_of(model, write_sides(tmp_path, [(sentences[0],) * 2, (blank, blank)]))


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=2, max_size=9))
def test_what_is_a_translation_of_the_sentence_anywhere_is_right(seed, pairs):
    """Few sentences in many pairs, as in multi-parallel data; vectors are functions of the text."""
    generator = np.random.default_rng(seed)
    tables = generator.normal(size=(2, 4, 3))
    vectors = [np.stack([tables[k][pair[k]] for pair in pairs]) for k in (0, 1)]
    cos = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in vectors[1]] for a in vectors[0]]
    n, hits = len(pairs), [0, 0]
    for i, (src, tgt) in enumerate(pairs):
        found = max(range(n), key=lambda j, i=i: cos[i][j])
        hits[0] += any(a == src and b == pairs[found][1] for a, b in pairs)
        found = max(range(n), key=lambda j, i=i: cos[j][i])
        hits[1] += any(b == tgt and a == pairs[found][0] for a, b in pairs)
    texts = [[str(pair[k]) for pair in pairs] for k in (0, 1)]
    result = retrieval(*vectors, src_texts=texts[0], tgt_texts=texts[1])
    assert (result.src_to_tgt.value, result.tgt_to_src.value) == (hits[0] / n, hits[1] / n)


@pytest.mark.parametrize("word", ["dog", "كلب"])
def test_cut_sentences_are_counted_and_those_that_differ_behind_it_named(model, tmp_path, word):
    long = " ".join([word] * 600)
    pairs = [(word, "a house"), (f"{long} end", "the red dog"), (f"{long} fin", "a red house")]
    paths = write_sides(tmp_path, [("old trees", "blue skies"), ("", ""), *pairs])
    result = result_of(model, paths)
    assert (result["truncated"], result["blank"], result["pairs"]) == (2, 1, 4)
    # Lines as an editor counts them, the blank one too.
    assert (result["equal_inputs"], result["equal_input_rows"]) == (2, [[4, 5]])


def test_language_of_files_is_two_tags(model, tmp_path, datasets):
    paths = write_sides(tmp_path, [("a dog", "كلب"), ("a house", "بيت")])
    assert "language_embeddings" not in evaluate(
        model, task="retrieval", data=paths, languages=("en", "ar")
    )
    with pytest.raises(ConfigError, match="expected two, as de,en"):
        result_of(model, paths, languages=("en",))
    with pytest.raises(ConfigError, match="a dataset says its own"):
        evaluate(model, task="retrieval", data=[datasets["pairs"]], languages=("en", "ar"))
