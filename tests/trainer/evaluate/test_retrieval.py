"""Retrieval by hand and against the obvious double loop."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError
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
    # The second finds the first's place, and there stands another text now.
    assert other.src_to_tgt.value == pytest.approx(2 / 3)


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
