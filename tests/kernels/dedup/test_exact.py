"""De-duplication: one row of each id stays, and which one does not depend on any order."""

import collections

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.dedup.exact import Duplicates, drop_duplicates
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

ROW = st.fixed_dictionaries(
    {
        "text_id": st.sampled_from(["a" * 32, "b" * 32, "c" * 32]),
        "corpus": st.sampled_from(["books", "web", "כתבים"]),
        "file": st.sampled_from(["f1", "f2"]),
        "line": st.integers(1, 3),
        "split": st.sampled_from(["train", "test", "valid", ""]),
    }
)
RANKS = st.permutations(["books", "web", "כתבים"]).flatmap(
    lambda names: st.integers(0, 3).map(lambda n: names[:n])
)


def batch_of(rows: list[dict]) -> pa.RecordBatch:
    full = [row | {"lang": "he", "text": "שלום"} for row in rows]
    return pa.RecordBatch.from_pylist(full, schema=MONO.schema)


HELD_OUT = {"test": 2, "valid": 1}


def key(row: dict, corpora: list[str]) -> tuple:
    rank = corpora.index(row["corpus"]) if row["corpus"] in corpora else len(corpora)
    return (
        -HELD_OUT.get(row["split"], 0),
        rank,
        row["corpus"],
        row["file"],
        row["line"],
        row["split"],
    )


@settings(max_examples=150)
@given(st.lists(ROW, max_size=10), RANKS, st.randoms(use_true_random=False))
def test_the_first_by_corpus_file_and_line_stays_in_any_order(rows, corpora, shuffle) -> None:
    kept, rejects = drop_duplicates(batch_of(rows), corpora=corpora)
    best: dict[str, dict] = {}
    for row in rows:
        best[row["text_id"]] = min(
            best.get(row["text_id"], row), row, key=lambda r: key(r, corpora)
        )
    got = {
        r["text_id"]: {k: r[k] for k in ("corpus", "file", "line", "split")}
        for r in kept.to_pylist()
    }
    assert got == {
        i: {k: r[k] for k in ("corpus", "file", "line", "split")} for i, r in best.items()
    }
    assert kept.num_rows == len(best)
    assert kept.num_rows + rejects.num_rows == len(rows)
    assert (kept.schema, rejects.schema) == (MONO.schema, REJECTS.schema)
    shuffled = list(rows)
    shuffle.shuffle(shuffled)
    again, others = drop_duplicates(batch_of(shuffled), corpora=corpora)
    assert again.sort_by("text_id").equals(kept.sort_by("text_id"))
    places = ["id", "corpus", "file", "line"]
    assert sorted(map(str, others.select(places).to_pylist())) == sorted(
        map(str, rejects.select(places).to_pylist())
    )


@given(st.lists(ROW, max_size=10))
def test_each_reject_tells_the_rule_its_place_and_how_many_share_its_id(rows) -> None:
    kept, rejects = drop_duplicates(batch_of(rows))
    copies = collections.Counter(row["text_id"] for row in rows)
    stays = {row["text_id"]: row for row in kept.to_pylist()}
    for row in rejects.to_pylist():
        winner = stays[row["id"]]
        if row["rule"] == "held_out/1":
            assert winner["split"] in HELD_OUT
            assert row["detail"] == f"stands in corpus {winner['corpus']} ({winner['split']})"
            assert row["value"] == 1
        else:
            assert (row["rule"], row["detail"]) == ("duplicate/1", "")
            assert row["value"] == copies[row["id"]] > 1
        assert row["tgt"] is None
    read = collections.Counter((r["text_id"], r["corpus"], r["file"], r["line"]) for r in rows)
    out = collections.Counter(
        (r.get("text_id") or r["id"], r["corpus"], r["file"], r["line"])
        for r in [*kept.to_pylist(), *rejects.to_pylist()]
    )
    assert out == read


@settings(max_examples=150)
@given(st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=5), RANKS)
def test_rows_in_parts_are_kept_and_rejected_as_they_are_in_one_batch(parts, corpora) -> None:
    batches = [batch_of(rows) for rows in parts]
    duplicates = Duplicates(iter(batches), corpora=corpora)
    told = [duplicates.drop(number, batch) for number, batch in enumerate(batches)]
    whole = drop_duplicates(batch_of([row for rows in parts for row in rows]), corpora=corpora)
    # Equal rows of one place cannot be told apart, so what is kept and rejected is compared.
    for side in (0, 1):
        got = [row for part in told for row in part[side].to_pylist()]
        assert sorted(map(str, got)) == sorted(map(str, whole[side].to_pylist()))
    for batch, (kept, rejects) in zip(batches, told):
        assert kept.num_rows + rejects.num_rows == batch.num_rows


@given(st.lists(ROW, max_size=10))
def test_twice_is_once(rows) -> None:
    kept, _ = drop_duplicates(batch_of(rows))
    again, rejects = drop_duplicates(kept)
    assert again.equals(kept)
    assert rejects.num_rows == 0


def test_a_pair_and_its_reverse_at_one_place_give_one_row_whichever_comes_first() -> None:
    one = dict.fromkeys(PAIRS.schema.names, "") | {"pair_id": "d" * 32, "line": 1}
    forth = one | {"src_lang": "de", "tgt_lang": "zh", "src": "Hund", "tgt": "狗"}
    back = one | {"src_lang": "zh", "tgt_lang": "de", "src": "狗", "tgt": "Hund"}
    kept = [
        drop_duplicates(pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema)).kept.to_pylist()
        for rows in ([forth, back], [back, forth])
    ]
    assert kept[0] == kept[1] == [forth]


@given(st.lists(ROW, max_size=10))
def test_who_loses_to_a_held_out_row_is_told_apart_from_who_loses_to_its_like(rows) -> None:
    kept, rejects = drop_duplicates(batch_of(rows))
    best = {row["text_id"]: HELD_OUT.get(row["split"], 0) for row in kept.to_pylist()}
    lost = sum(HELD_OUT.get(row["split"], 0) < best[row["text_id"]] for row in rows)
    assert rejects.column("rule").to_pylist().count("held_out/1") == lost


@pytest.mark.parametrize("corpora", [["crawl", "gold"], ["gold", "crawl"], []])
@pytest.mark.parametrize("split", ["test", "valid"])
@pytest.mark.parametrize("languages", [("de", "zh"), ("zh", "de")])
def test_a_held_out_pair_wins_in_any_order_and_direction(corpora, split, languages) -> None:
    texts = {"de": "Hund", "zh": "狗"}
    one = {"pair_id": "d" * 32, "file": "f"}
    sides = dict(zip(("src_lang", "tgt_lang"), languages))
    sides |= {"src": texts[languages[0]], "tgt": texts[languages[1]]}
    gold = one | {"corpus": "gold", "line": 9, "split": split, **sides}
    crawl = one | {"corpus": "crawl", "line": 1, "src_lang": "de", "tgt_lang": "zh"}
    crawl |= {"src": "Hund", "tgt": "狗", "split": "train"}
    drawn = crawl | {"line": 2, "split": ""}
    batch = pa.RecordBatch.from_pylist([crawl, gold, drawn], schema=PAIRS.schema)
    kept, rejects = drop_duplicates(batch, corpora=corpora)
    assert kept.to_pylist() == [gold]
    wanted = ["line", "rule", "value", "detail"]
    assert [tuple(row.values()) for row in rejects.select(wanted).to_pylist()] == [
        (line, "held_out/1", 2.0, f"stands in corpus gold ({split})") for line in (1, 2)
    ]


def test_kept_rows_stay_in_their_order() -> None:
    ids = ["c" * 32, "a" * 32, "b" * 32, "a" * 32]
    row = {"corpus": "w", "file": "f", "split": ""}
    kept, _ = drop_duplicates(
        batch_of([row | {"text_id": i, "line": n} for n, i in enumerate(ids)])
    )
    assert kept.column("text_id").to_pylist() == ids[:3]
