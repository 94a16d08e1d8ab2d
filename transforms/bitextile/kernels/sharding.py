"""Rows split by language pair and by a hash of their id: what every grouping starts from."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, U64
from bitextile.kernels.randomness import bits, hash64
from bitextile.schema.ids import language_key, stable_id
from bitextile.schema.kinds import Kind


def split_by_language(batch: pa.RecordBatch, kind: Kind) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the rows of each language pair or language ("de-en", "de"), sorted by it.

    Args:
        batch: rows of `kind`.
        kind: tells which columns hold languages.
    """
    languages = [batch.column(c) for c in kind.languages]
    codes, names = _codes(languages)
    if len(names) == 1:
        yield names[0], batch
        return
    for key in sorted(set(names)):
        wanted = [code for code, name in enumerate(names) if name == key]
        yield key, batch.filter(pa.array(np.isin(codes, wanted)))


def _codes(languages: list[pa.Array]) -> tuple[I64, list[str]]:
    """Returns for each row a number, and the language pair or language of each number."""
    # One string a row, so that dictionary_encode finds the distinct pairs in one pass; U+001F
    # stands in no tag. "de, en" and "en, de" are two codes of one name.
    joined = pc.binary_join_element_wise(*languages, "\x1f") if len(languages) > 1 else languages[0]
    encoded = joined.dictionary_encode()
    names = [language_key(name.split("\x1f")) for name in encoded.dictionary.to_pylist()]
    return encoded.indices.to_numpy(zero_copy_only=False), names


def record_hash(batch: pa.RecordBatch, kind: Kind) -> U64:
    """Returns 64 bits for each row, taken over all its id columns.

    Not over the first alone: the variants of a pair and the rejects of all empty lines share it,
    and would crowd one shard.
    """
    first, *rest = kind.id_columns
    # Ids are hashes already; other columns (a lexicon's words, a reject's rule) must become one
    # first.
    if first.endswith("id") and all(pa.types.is_integer(batch.column(c).type) for c in rest):
        hashes = hash64(batch.column(first))
        for column in rest:
            place = batch.column(column).to_numpy()
            hashes = bits(hashes, seed=0, operation=f"record/{column}", position=place)
        return hashes
    rows = zip(*(batch.column(c).to_pylist() for c in kind.id_columns), strict=True)
    return hash64(pa.array([stable_id(*map(str, row)) for row in rows], pa.string()))


def split_by_bucket(
    batch: pa.RecordBatch, hashes: U64, n_buckets: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields the rows of each bucket that has any, buckets ascending, row order kept.

    Args:
        batch: [n] rows.
        hashes: [n] of `record_hash`; a bucket is the hash, mixed, modulo `n_buckets`.
        n_buckets: at least 1.
    """
    if n_buckets == 1:
        if batch.num_rows:
            yield 0, batch
        return
    mixed = bits(hashes, seed=0, operation="shard")
    bucket = (mixed % np.uint64(n_buckets)).astype(np.int64)
    # bucket [1 0 1 2]   order [1 0 2 3]   edges [0 1 3 4]: bucket 1 is rows 1 to 2 of `ordered`
    # One sort and n slices without a copy, where n filters would read the batch n times.
    order = np.argsort(bucket, kind="stable")
    ordered = batch.take(pa.array(order))
    edges = np.searchsorted(bucket[order], np.arange(n_buckets + 1))
    for index, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist())):
        if high > low:
            yield index, ordered.slice(low, high - low)


def n_shards(
    rows: int, max_shard_rows: int, *, size: int = 0, max_shard_bytes: int = 1 << 62
) -> int:
    """Returns how many shards hold `rows` so that none exceeds `max_shard_rows`.

    Rows fall into shards by hash, so a shard's size varies by the square root of its mean; six of
    those are left as room.

    Args:
        rows: of all shards.
        max_shard_rows: of one.
        size: bytes of all shards, by `row_bytes`.
        max_shard_bytes: of one in the mean; more shards than rows are never made.

    >>> n_shards(0, 500_000), n_shards(490_000, 500_000), n_shards(500_000, 500_000)
    (1, 1, 2)
    >>> n_shards(1_000, 500_000, size=10**9, max_shard_bytes=10**8)
    10
    """
    # The largest m with m + 6 sqrt(m) <= max_shard_rows, solved for sqrt(m).
    mean = max((np.sqrt(9.0 + max_shard_rows) - 3.0) ** 2, 1.0)
    by_rows = max(1, int(np.ceil(rows / mean)))
    return max(by_rows, min(rows, -(-size // max_shard_bytes)))


def row_bytes(batch: pa.RecordBatch) -> int:
    """Returns the bytes of a batch's values; the same however rows are cut into batches.

    >>> row_bytes(pa.RecordBatch.from_pydict({"text": ["犬", None], "tokens": [["a", "b"], []]}))
    5
    """
    return sum(map(_value_bytes, batch.columns))


def _value_bytes(values: pa.Array) -> int:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return pc.sum(pc.binary_length(values)).as_py() or 0
    if pa.types.is_list(values.type):
        return _value_bytes(values.flatten())
    if pa.types.is_struct(values.type):
        return sum(map(_value_bytes, values.flatten()))
    width = values.type.bit_width if pa.types.is_primitive(values.type) else 32
    return len(values) * max(1, width // 8)
