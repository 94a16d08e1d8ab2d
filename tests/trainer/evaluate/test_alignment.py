"""AER, precision and recall by hand; links of a dataset carried over to the gold's words."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError
from bitextile.trainer.evaluate.alignment import (
    aer_difference,
    argmax_intersection,
    dataset_links,
    score_links,
)
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.evaluate.gold import GoldPair, read_gold

PAIR = GoldPair("x", "en", "ar", "a b", "c d", ((0, 1), (2, 3)), ((0, 1), (2, 3)),
                frozenset({(0, 0)}), frozenset({(0, 0), (0, 1), (1, 1)}))  # fmt: skip
links = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4)))


def test_scores_by_hand():
    two = replace(PAIR, sure=frozenset({(0, 0), (1, 1)}), possible=frozenset({(0, 0), (1, 1)}))
    found = [frozenset({(0, 0), (0, 1), (1, 0)}), frozenset({(1, 1)})]
    result = score_links(found, [PAIR, two], missing=3)
    # A = 4, S = 3, A & S = 1 + 1, A & P = 2 + 1
    assert result.aer.value == pytest.approx(1 - (2 + 3) / (4 + 3))
    assert result.precision.value == pytest.approx(3 / 4)
    assert result.recall.value == pytest.approx(2 / 3)
    assert (result.links, result.pairs, result.missing) == (4, 2, 3)
    assert result.aer.low <= result.aer.value <= result.aer.high


def test_a_difference_is_resampled_over_both_at_once():
    # A hard pair and an easy one: the error rates move with the sample, their difference does not.
    gold, all_links = [PAIR] * 40, [PAIR.sure] * 20 + [frozenset()] * 20
    assert score_links(all_links, gold).aer.low < score_links(all_links, gold).aer.high
    same = aer_difference(all_links, all_links, gold)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    better = aer_difference([frozenset()] * 40, all_links, gold)
    assert better.value == pytest.approx(score_links(all_links, gold).aer.value - 1.0)
    assert better.low <= better.value <= better.high < 0.0


def test_perfect_and_empty_links():
    perfect = score_links([PAIR.sure], [PAIR])
    assert (perfect.aer.value, perfect.precision.value, perfect.recall.value) == (0.0, 1.0, 1.0)
    empty = score_links([frozenset()], [PAIR])
    assert (empty.aer.value, empty.precision.value, empty.recall.value) == (1.0, 0.0, 0.0)
    with pytest.raises(InputError, match="none of the 7 gold pairs"):
        score_links([], [], missing=7)


@settings(max_examples=15)
@given(st.lists(st.tuples(links, links, links), min_size=1, max_size=4))
def test_aer_lies_between_0_and_1_and_with_sure_links_only_is_1_minus_f1(rows):
    gold = [replace(PAIR, sure=s, possible=s | p) for _, s, p in rows]
    result = score_links([a for a, _, _ in rows], gold)
    assert 0.0 <= result.aer.value <= 1.0 or not any(a or s for a, s, _ in rows)
    sure_only = score_links([a for a, _, _ in rows], [replace(g, possible=g.sure) for g in gold])
    p, r = sure_only.precision.value, sure_only.recall.value
    # With S = P, AER is 1 - F1 (Och and Ney 2003); without any hit F1 is not defined.
    if p + r:
        assert sure_only.aer.value == pytest.approx(1 - 2 * p * r / (p + r))


@given(st.integers(0, 2**31), st.integers(0, 6), st.integers(0, 6))
def test_argmax_intersection_equals_its_definition(seed, m, n):
    generator = np.random.default_rng(seed)
    src, tgt = generator.normal(size=(m, 3)), generator.normal(size=(n, 3))
    cos = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in tgt] for a in src]
    want = {
        (i, j)
        for i in range(m)
        for j in range(n)
        if cos[i][j] == max(cos[i]) and cos[i][j] == max(row[j] for row in cos)
    }
    assert argmax_intersection(src, tgt) == want


def gold_rows(datasets, n: int) -> list[dict]:
    rows = []
    for row in open_dataset(datasets["aligned"]).table().slice(0, n).to_pylist():
        spans = {s: [[w["start"], w["end"]] for w in row[s]] for s in ("src_spans", "tgt_spans")}
        sure = [[link["src"], link["tgt"]] for link in row["links"]]
        keep = {k: row[k] for k in ("src_lang", "tgt_lang", "src", "tgt")}
        rows.append(keep | spans | {"id": row["pair_id"], "sure": sure, "possible": []})
    return rows


def turned(row: dict) -> dict:
    swap = {"src": "tgt", "tgt": "src", "src_lang": "tgt_lang", "tgt_lang": "src_lang"}
    swap |= {"src_spans": "tgt_spans", "tgt_spans": "src_spans"}
    return row | {a: row[b] for a, b in swap.items()} | {"sure": [[j, i] for i, j in row["sure"]]}


def write(path, rows) -> str:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return str(path)


def test_a_datasets_own_links_are_perfect_either_way_round(datasets, tmp_path):
    rows = gold_rows(datasets, 20)
    path = write(tmp_path / "gold.jsonl", [*rows[:10], *map(turned, rows[10:])])
    report = evaluate(datasets["aligned"], task="alignment", data=[path])
    result = report["results"]["gold.jsonl"]
    assert (result["aer"]["value"], result["pairs"], result["missing"]) == (0.0, 20, 0)


def test_words_are_carried_over_by_shared_characters(datasets, tmp_path):
    rows = gold_rows(datasets, 20)
    row = next(r for r in rows if r["src_spans"][0][1] > 1)
    first = row["src_spans"][0]
    # The gold splits the first source word in two and joins the last two target words.
    row["src_spans"][:1] = [[first[0], first[0] + 1], [first[0] + 1, first[1]]]
    row["tgt_spans"][-2:] = [[row["tgt_spans"][-2][0], row["tgt_spans"][-1][1]]]
    gold = read_gold(write(tmp_path / "gold.jsonl", [row | {"sure": []}]))
    (found,), _ = dataset_links(datasets["aligned"], gold)
    # Words on either side of the dataset, whose links are (i, (i - 1) mod n).
    n = len(row["tgt_spans"]) + 1
    last = n - 2
    assert {(0, last), (1, last), (n, last)} == {(i, j) for i, j in found if j == last}
    assert {j for i, j in found if i == 2} == {0}


def test_gold_pairs_that_are_missing_are_counted_and_none_is_an_error(datasets, tmp_path):
    rows = gold_rows(datasets, 3)
    strange = [r | {"src": r["src"] + "!"} for r in rows]
    path = write(tmp_path / "gold.jsonl", [*rows, *strange])
    result = evaluate(datasets["aligned"], task="alignment", data=[path])["results"]["gold.jsonl"]
    assert (result["pairs"], result["missing"]) == (3, 3)
    path = write(tmp_path / "gold.jsonl", strange)
    with pytest.raises(InputError, match="none of the 3 gold pairs is in it"):
        evaluate(datasets["aligned"], task="alignment", data=[path])


def test_scoring_a_dataset_imports_no_torch():
    code = (
        "import sys; import bitextile.trainer.evaluate.evaluate; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_alignment_by_vectors(model, datasets, tmp_path):
    row = open_dataset(datasets["aligned"]).table().slice(0, 1).to_pylist()[0]
    words = [[w["start"], w["end"]] for w in row["src_spans"]]
    same = {"src_lang": "en", "tgt_lang": "en", "src": row["src"], "tgt": row["src"]}
    distinct = {row["src"][s:e]: i for i, (s, e) in reversed(list(enumerate(words)))}
    same |= {"src_spans": words, "tgt_spans": words}
    same |= {"sure": [[i, i] for i in distinct.values()], "possible": []}
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps(same) + "\n")
    report = evaluate(model, task="alignment", data=[str(path)])
    assert (report["links"], report["layer"]) == ("vectors", 1)
    assert report["results"]["gold.jsonl"]["recall"]["value"] == 1.0


def test_words_behind_the_cut_have_no_link_and_are_counted(model, tmp_path):
    text = " ".join(["dog"] * 300 + ["red"])
    spans = [[4 * i, 4 * i + 3] for i in range(301)]
    row = {"src_lang": "en", "tgt_lang": "en", "src": text, "tgt": "red dog"}
    row |= {"src_spans": spans, "tgt_spans": [[0, 3], [4, 7]], "sure": [[0, 1]], "possible": []}
    short = row | {"src": "dog", "src_spans": [[0, 3]]}
    report = evaluate(model, task="alignment", data=[write(tmp_path / "g.jsonl", [row, short])])
    result = report["results"]["g.jsonl"]
    assert (result["pairs"], result["truncated"]) == (2, 1)
    # Words that the model did not see are like no other, not even like each other.
    none = np.zeros((2, 3))
    assert argmax_intersection(none, none) == frozenset()
    assert argmax_intersection(none, -np.ones((2, 3))) == frozenset()
