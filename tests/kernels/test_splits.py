"""Splits: drawn by id and connected sentences, in the shares asked for; held-out corpora win."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.sharding import record_hash, split_by_bucket
from bitextile.kernels.splits import (
    LARGE,
    MAX_COMPONENT_ROWS,
    Assigned,
    SplitConfig,
    assign_splits,
    connected_components,
    draw_splits,
    edges_of,
    sides_of,
)
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import pair_ids, text_ids
from bitextile.schema.kinds import MONO, PAIRS

N = 30_000


def edges_among(n: int):
    return st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=50)


def rows(n: int, split: str = "") -> pa.RecordBatch:
    texts = pa.array([f"جملة {i}" for i in range(n)], pa.string())
    columns = {
        "text_id": text_ids("ar", texts),
        "lang": pa.repeat("ar", n),
        "text": texts,
        "corpus": pa.repeat("c", n),
        "file": pa.repeat("f", n),
        "line": pa.array(range(1, n + 1), pa.int64()),
        "split": pa.repeat(split, n),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=MONO.schema)


ROWS = rows(N)


def assigned(*batches: pa.RecordBatch, config: SplitConfig) -> list[Assigned]:
    """Returns what becomes of each batch, when these are all rows there are."""
    drawn = draw_splits([edges_of(batch) for batch in batches], config=config)
    return [assign_splits(batch, drawn, config=config) for batch in batches]


def kept_of(batch: pa.RecordBatch, *, config: SplitConfig) -> pa.RecordBatch:
    [(kept, rejects, counters)] = assigned(batch, config=config)
    assert (rejects.num_rows, counters) == (0, {})
    return kept


def share(batch: pa.RecordBatch, split: str) -> float:
    return batch.column("split").to_pylist().count(split) / batch.num_rows


@pytest.mark.parametrize(("valid", "test"), [(0.01, 0.01), (0.1, 0.3), (0.0, 0.05), (0.2, 0.0)])
@pytest.mark.parametrize("seed", [0, 7])
def test_shares_are_within_three_sigma(valid: float, test: float, seed: int) -> None:
    out = kept_of(ROWS, config=SplitConfig(valid=valid, test=test, seed=seed))
    for split, p in (("valid", valid), ("test", test), ("train", 1 - valid - test)):
        assert abs(share(out, split) - p) <= 3 * np.sqrt(p * (1 - p) / N)


def test_shares_are_the_same_in_every_shard() -> None:
    out = kept_of(ROWS, config=SplitConfig(valid=0.3, test=0.1))
    for _, shard in split_by_bucket(out, record_hash(out, MONO), 8):
        sigma = np.sqrt(0.3 * 0.7 / shard.num_rows)
        assert abs(share(shard, "valid") - 0.3) < 4 * sigma


def test_another_seed_draws_another_split() -> None:
    a, b = (kept_of(ROWS, config=SplitConfig(valid=0.5, test=0, seed=s)) for s in (0, 1))
    same = np.mean(np.array(a.column("split")) == np.array(b.column("split")))
    assert abs(same - 0.5) < 4 * np.sqrt(0.25 / N)


@given(st.permutations(range(10)), st.integers(0, 10))
def test_a_row_is_drawn_by_itself(order, cut: int) -> None:
    config = SplitConfig(valid=0.3, test=0.3)
    batch = ROWS.slice(5, 10)
    whole = kept_of(batch, config=config)
    assert kept_of(batch.take(pa.array(order)), config=config).equals(whole.take(pa.array(order)))
    parts = [kept_of(p, config=config) for p in (batch.slice(0, cut), batch.slice(cut))]
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([whole]))


def test_a_split_that_is_given_stays_and_nothing_else_changes() -> None:
    config = SplitConfig(valid=0.5, test=0.4)
    given_split = rows(50, "train")
    assert kept_of(given_split, config=config).equals(given_split)
    mixed = pa.concat_batches([rows(50), given_split])
    out = kept_of(mixed, config=config)
    assert out.drop_columns("split").equals(mixed.drop_columns("split"))
    assert "" not in out.column("split").to_pylist()
    assert set(out.column("split").to_pylist()[50:]) == {"train"}


def test_no_rows_are_split_into_none() -> None:
    assert kept_of(rows(0), config=SplitConfig()).num_rows == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid": -0.1},
        {"test": -0.1},
        {"valid": 0.5, "test": 0.5},
        {"valid": 1.0},
        {"valid": float("nan")},
        {"test": float("nan")},
    ],
)
def test_shares_that_leave_nothing_to_train_on_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=r"^splits: valid .* expected shares of at least 0"):
        SplitConfig(**wrong)


def slow_components(edges: list[tuple[int, int]], n: int) -> list[int]:
    """Returns the least node of each node's component, by merging sets."""
    sets = [{node} for node in range(n)]
    for u, v in edges:
        union = sets[u] | sets[v]
        for node in union:
            sets[node] = union
    return [min(nodes) for nodes in sets]


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), edges_among(n))))
def test_components_are_those_of_a_slow_union_find(graph) -> None:
    n, edges = graph
    u, v = np.array(edges, np.int64).reshape(-1, 2).T
    assert connected_components(u, v, n).tolist() == slow_components(edges, n)


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_long_chains_and_stars_are_one_component(order: str) -> None:
    nodes = np.arange(20_000)
    if order == "descending":
        nodes = nodes[::-1].copy()
    if order == "shuffled":
        nodes = np.random.default_rng(0).permutation(nodes)
    hub = np.full(len(nodes), nodes[0])
    for u, v in ((nodes[1:], nodes[:-1]), (hub, nodes)):
        assert not connected_components(u, v, len(nodes)).any()


LANGS = ("en", "th", "he")
CORPORA = {"web": "", "books": "train", "tune": "valid", "gold": "test"}
SIDE = st.tuples(st.sampled_from(LANGS), st.integers(0, 9))
LINK = st.tuples(SIDE, SIDE, st.sampled_from(sorted(CORPORA))).filter(lambda x: x[0][0] != x[1][0])
LONE = st.tuples(SIDE, st.sampled_from(sorted(CORPORA)))
CONFIG = SplitConfig(valid=0.3, test=0.3)


def pair_batch(links) -> pa.RecordBatch:
    rows = [
        {
            "pair_id": pair_ids(a[0], pa.array([f"{a[1]} ก"]), b[0], pa.array([f"{b[1]} ก"]))[0],
            "src_lang": a[0],
            "tgt_lang": b[0],
            "src": f"{a[1]} ก",
            "tgt": f"{b[1]} ก",
            "corpus": corpus,
            "file": "f",
            "line": n,
            "split": CORPORA[corpus],
        }
        for n, (a, b, corpus) in enumerate(links, start=1)
    ]
    rows = [row | {"pair_id": row["pair_id"].as_py()} for row in rows]
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema)


def mono_batch(lones) -> pa.RecordBatch:
    rows = [
        {
            "text_id": text_ids(lang, pa.array([f"{n} ก"]))[0].as_py(),
            "lang": lang,
            "text": f"{n} ก",
            "corpus": corpus,
            "file": "f",
            "line": line,
            "split": CORPORA[corpus],
        }
        for line, ((lang, n), corpus) in enumerate(lones, start=1)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=MONO.schema)


def sentences(row: dict) -> list[tuple[str, str]]:
    if "text" in row:
        return [(row["lang"], row["text"])]
    return [(row["src_lang"], row["src"]), (row["tgt_lang"], row["tgt"])]


def distinct(links):
    """Returns one link for each pair of sentences, as de-duplication leaves them."""
    return list({frozenset(link[:2]): link for link in links}.values())


@settings(max_examples=150)
@given(
    st.lists(LINK, max_size=14).map(distinct),
    st.lists(LONE, max_size=6, unique_by=lambda lone: lone[0]),
)
def test_no_sentence_stands_in_two_splits_and_held_out_rows_stay(links, lones) -> None:
    out = assigned(pair_batch(links), mono_batch(lones), config=CONFIG)
    kept = [row for part in out for row in part.kept.to_pylist()]
    split_of: dict[tuple[str, str], str] = {}
    for row in kept:
        assert row["split"] in ("train", "valid", "test")
        assert CORPORA[row["corpus"]] in ("", row["split"])
        for sentence in sentences(row):
            assert split_of.setdefault(sentence, row["split"]) == row["split"]
    dropped = [row for part in out for row in part.rejects.to_pylist()]
    assert len(kept) + len(dropped) == len(links) + len(lones)
    strength = {"books": 0, "web": 0, "tune": 1, "gold": 2}
    held = {sentence: row for row in kept if strength[row["corpus"]] for sentence in sentences(row)}
    for row in dropped:
        assert row["rule"] == "held_out/1"
        assert CORPORA[row["corpus"]] != "test"
        sides = [(row["src_lang"], row["src"]), (row["tgt_lang"], row["tgt"])]
        lost = [held[side] for side in sides if side in held]
        lost = [found for found in lost if strength[found["corpus"]] > strength[row["corpus"]]]
        assert row["value"] == len(lost) > 0
        named = {f"shares a sentence with corpus {r['corpus']} ({r['split']})" for r in lost}
        assert row["detail"] in named


@settings(max_examples=60)
@given(st.lists(LINK, max_size=14).map(distinct), st.randoms(use_true_random=False))
def test_neither_order_nor_batches_nor_directions_change_a_split(links, random) -> None:
    [(kept, _, _)] = assigned(pair_batch(links), config=CONFIG)
    splits = dict(zip(kept["pair_id"].to_pylist(), kept["split"].to_pylist()))
    turned = [(b, a, corpus) for a, b, corpus in links]
    random.shuffle(turned)
    cut = random.randint(0, len(turned))
    parts = assigned(pair_batch(turned[:cut]), pair_batch(turned[cut:]), config=CONFIG)
    again = pa.Table.from_batches([part.kept for part in parts])
    assert splits == dict(zip(again["pair_id"].to_pylist(), again["split"].to_pylist()))


def test_a_pair_knows_its_sentences_in_either_direction() -> None:
    forth, back = (
        sides_of(pair_batch([link]))
        for link in ((("en", 1), ("th", 2), "web"), (("th", 2), ("en", 1), "web"))
    )
    one, _ = sides_of(mono_batch([(("th", 2), "web")]))
    assert (forth[0], forth[1]) == (back[1], back[0])
    assert forth[1] == one


def test_a_row_that_shares_no_sentence_is_drawn_as_if_alone() -> None:
    links = [(("en", 2 * n), ("th", 2 * n + 1), "web") for n in range(40)]
    together = kept_of(pair_batch(links), config=CONFIG).column("split").to_pylist()
    alone = [kept_of(pair_batch([link]), config=CONFIG)["split"][0].as_py() for link in links]
    assert together == alone
    assert len(set(alone)) == 3


@pytest.mark.parametrize("extra", [0, 1])
def test_what_a_hub_connects_is_for_training_if_it_is_too_much(extra: int) -> None:
    config = SplitConfig(valid=0.49, test=0.5)
    n = MAX_COMPONENT_ROWS + extra
    hub = pair_batch([(("en", 0), (LANGS[1 + i % 2], 1 + i), "web") for i in range(n)])
    [(kept, rejects, counters)] = assigned(hub, config=config)
    assert rejects.num_rows == 0
    splits = set(kept.column("split").to_pylist())
    assert len(splits) == 1
    if extra:
        assert splits == {"train"}
        assert counters == {"en-th": {LARGE: n // 2 + 1}, "en-he": {LARGE: n // 2}}
    else:
        assert splits != {"train"}
        assert counters == {}
