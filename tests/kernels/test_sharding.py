"""Partition: every row in one key and one bucket, by what it is and not where it stood."""

import collections

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.randomness import hash64
from bitextile.kernels.sharding import (
    n_shards,
    record_hash,
    row_bytes,
    split_by_bucket,
    split_by_language,
)
from bitextile.schema.ids import language_key, text_ids
from bitextile.schema.kinds import EXCHANGE, LEXICON, MONO, PAIRS, REJECTS

LANG = st.sampled_from(["de", "en", "ar", "zh-Hant"])


def frame(columns: dict[str, list], n: int) -> pa.RecordBatch:
    """Returns rows that hold the given columns only, numbered."""
    return pa.RecordBatch.from_pydict(columns | {"n": list(range(n))})


@given(st.lists(st.tuples(LANG, LANG), max_size=12))
def test_every_row_is_under_the_key_of_its_languages(languages) -> None:
    src, tgt = [a for a, _ in languages], [b for _, b in languages]
    batch = frame(
        {"src_lang": pa.array(src, pa.string()), "tgt_lang": pa.array(tgt, pa.string())}, len(src)
    )
    found = list(split_by_language(batch, PAIRS))
    assert [key for key, _ in found] == sorted({language_key(pair) for pair in languages})
    for key, rows in found:
        numbers = rows.column("n").to_pylist()
        assert numbers == [n for n, pair in enumerate(languages) if language_key(pair) == key]
    assert sum(rows.num_rows for _, rows in found) == len(languages)


def test_one_language_is_its_own_key() -> None:
    batch = frame({"lang": ["zh", "ar", "zh"]}, 3)
    assert [(k, r.column("n").to_pylist()) for k, r in split_by_language(batch, MONO)] == [
        ("ar", [1]),
        ("zh", [0, 2]),
    ]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.integers(1, 9), st.integers(0, 40))
def test_every_row_is_in_one_bucket_chosen_by_its_hash_alone(hashes, n: int, cut: int) -> None:
    keys = np.array(hashes, np.uint64)
    batch = pa.RecordBatch.from_pydict({"h": pa.array(keys), "n": list(range(len(keys)))})

    def dealt(part: pa.RecordBatch) -> dict[int, list[int]]:
        buckets = list(split_by_bucket(part, part.column("h").to_numpy(), n))
        assert [b for b, _ in buckets] == sorted({b for b, _ in buckets})
        assert all(0 <= b < n for b, _ in buckets)
        assert all(rows.num_rows for _, rows in buckets)
        return {b: rows.column("n").to_pylist() for b, rows in buckets}

    whole = dealt(batch)
    assert sorted(i for rows in whole.values() for i in rows) == list(range(len(keys)))
    assert all(rows == sorted(rows) for rows in whole.values())
    parts = collections.defaultdict(list)
    for part in (batch.slice(0, cut), batch.slice(cut)):
        for bucket, rows in dealt(part).items():
            parts[bucket] += rows
    assert dict(parts) == whole


def test_buckets_are_even_even_where_hashes_are_not() -> None:
    # Ids that are counters, as a user's own might be: the hash is mixed before the modulus.
    keys = np.arange(64_000, dtype=np.uint64) * np.uint64(64)
    batch = pa.RecordBatch.from_pydict({"h": pa.array(keys)})
    sizes = [rows.num_rows for _, rows in split_by_bucket(batch, keys, 64)]
    assert len(sizes) == 64
    assert max(abs(size - 1000) for size in sizes) < 5 * np.sqrt(1000)


@pytest.mark.parametrize("max_rows", [500, 1_000, 5_000])
@pytest.mark.parametrize("rows", [499, 1_000, 20_000])
def test_no_shard_holds_more_rows_than_allowed(max_rows: int, rows: int) -> None:
    ids = text_ids("ar", pa.array([f"{max_rows} {i}" for i in range(rows)]))
    batch = pa.RecordBatch.from_pydict({"text_id": ids})
    n = n_shards(rows, max_rows)
    buckets = split_by_bucket(batch, record_hash(batch, MONO), n)
    assert max(part.num_rows for _, part in buckets) <= max_rows


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_more_rows_never_need_fewer_shards_and_the_mean_leaves_room(rows: int, limit: int) -> None:
    n = n_shards(rows, limit)
    assert 1 <= n <= n_shards(rows + 1, limit)
    assert rows / n <= limit
    if limit > 100:
        mean = rows / n
        assert mean + 6 * np.sqrt(mean) <= limit + 1e-6


@given(st.integers(1, 10**6), st.integers(0, 10**12), st.integers(10**6, 10**9))
def test_long_rows_make_more_shards_but_no_empty_ones(rows: int, size: int, limit: int) -> None:
    n = n_shards(rows, 500_000, size=size, max_shard_bytes=limit)
    assert n_shards(rows, 500_000) <= n <= max(rows, n_shards(rows, 500_000))
    assert size / n <= limit or n == rows


NESTED = pa.RecordBatch.from_pydict(
    {
        "text": ["犬", "dog", None, "", "ab" * 99],
        "spans": [[{"start": 0, "end": 1}] * n for n in range(5)],
        "tokens": [["a", "犬犬"], [], ["b"], None, ["", "c"]],
        "flag": [True, False, True, True, False],
        "score": pa.array([1, 2, 3, 4, 5], pa.float32()),
    }
)


@given(st.integers(0, 5), st.integers(0, 5))
def test_bytes_of_rows_do_not_depend_on_the_cut(a: int, b: int) -> None:
    low, high = sorted((a, b))
    parts = (NESTED.slice(0, low), NESTED.slice(low, high - low), NESTED.slice(high))
    # Texts 3 + 3 + 198, spans 10 of two int64, tokens 1 + 6 + 1 + 1, flags 5, scores 5 of 4.
    assert sum(map(row_bytes, parts)) == 204 + 160 + 9 + 5 + 20


def test_the_hash_is_that_of_the_id() -> None:
    ids = text_ids("de", pa.array(["a", "b", "a"]))
    batch = pa.RecordBatch.from_pydict({"text_id": ids})
    assert record_hash(batch, MONO).tolist() == hash64(ids).tolist()


def test_variants_of_a_pair_do_not_crowd_one_shard() -> None:
    # Were they together, shards would vary with the number of pairs, not of rows.
    n = 2_000
    batch = pa.RecordBatch.from_pydict(
        {"pair_id": ["ab" * 16] * n, "variant": pa.array(range(n), pa.int16())}
    )
    sizes = [part.num_rows for _, part in split_by_bucket(batch, record_hash(batch, EXCHANGE), 4)]
    assert len(sizes) == 4
    assert max(sizes) < 600


def test_rows_without_an_id_are_hashed_over_what_identifies_them() -> None:
    words = {"src_lang": ["de"] * 3, "tgt_lang": ["zh"] * 3, "src": ["Hund"] * 3}
    batch = pa.RecordBatch.from_pydict(words | {"tgt": ["狗", "犬", "狗"]})
    a, b, c = record_hash(batch, LEXICON).tolist()
    assert a == c != b


def test_rejects_of_one_id_do_not_all_fall_into_one_shard() -> None:
    # A corpus with a million empty lines has a million rejects with the id of the empty text.
    n = 2_000
    fixed = {name: [""] * n for name in REJECTS.schema.names if name not in ("line", "value")}
    columns = fixed | {"id": ["ab" * 16] * n, "line": list(range(n)), "value": [0.0] * n}
    batch = pa.RecordBatch.from_pydict(columns, schema=REJECTS.schema)
    sizes = [part.num_rows for _, part in split_by_bucket(batch, record_hash(batch, REJECTS), 4)]
    assert len(sizes) == 4
    assert max(sizes) < 600
