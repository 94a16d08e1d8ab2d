"""The coder: what goes in comes out, and of a slice only the slice travels."""

import pyarrow as pa
import pytest
from apache_beam.coders import registry
from hypothesis import given
from hypothesis import strategies as st

from bitextile.schema.kinds import ALIGNED, KINDS, Kind
from bitextile.transforms.coders import RecordBatchCoder

CODER = RecordBatchCoder()
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("e\u0301\u200dא犬\u0378"))


def aligned(n: int) -> pa.RecordBatch:
    row = dict.fromkeys(ALIGNED.schema.names, "犬") | {"line": 1, "align_score": -0.5}
    spans = [{"start": 0, "end": 1}]
    row |= {"src_spans": spans, "tgt_spans": spans, "links": [{"src": 0, "tgt": 0, "score": 0.5}]}
    rows = [row | {"pair_id": f"{i:032x}", "links": row["links"] * (i % 2)} for i in range(n)]
    return pa.RecordBatch.from_pylist(rows, schema=ALIGNED.schema)


@given(st.lists(st.none() | TEXT, max_size=8), st.integers(0, 8), st.integers(0, 8))
def test_a_slice_comes_back_as_it_was(texts, start: int, length: int) -> None:
    columns = {"text": pa.array(texts, pa.string()), "n": pa.array(range(len(texts)), pa.int64())}
    batch = pa.RecordBatch.from_pydict(columns).slice(start, length)
    back = CODER.decode(CODER.encode(batch))
    assert back.equals(batch)
    assert back.schema == batch.schema
    back.validate(full=True)


@given(st.integers(0, 12), st.integers(0, 12))
def test_spans_and_links_of_a_slice_come_back(start: int, length: int) -> None:
    batch = aligned(12).slice(start, length)
    assert CODER.decode(CODER.encode(batch)).to_pylist() == batch.to_pylist()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_schema_travels_even_without_rows(kind: Kind) -> None:
    empty = pa.RecordBatch.from_pylist([], schema=kind.schema)
    assert CODER.decode(CODER.encode(empty)).schema == kind.schema


def test_the_bytes_of_a_slice_are_those_of_the_slice() -> None:
    batch = aligned(40_000)
    whole, ten = len(CODER.encode(batch)), len(CODER.encode(batch.slice(9_000, 10)))
    alone = len(CODER.encode(aligned(10)))
    assert ten <= 1.2 * alone
    assert ten < whole / 50


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 3000])
def test_columns_of_one_value_come_back_and_take_no_room(rows: int) -> None:
    batch = aligned(rows).select(["pair_id", "src", "tgt", "line"])
    batch = batch.replace_schema_metadata({"kind": "aligned"})
    encoded = CODER.encode(batch)
    assert CODER.decode(encoded).equals(batch, check_metadata=True)
    alone = len(CODER.encode(batch.select(["pair_id"])))
    assert len(encoded) < alone + 2_000


@pytest.mark.parametrize("last", ["犬", "cat", None, ""])
@pytest.mark.parametrize("first", ["犬", None, ""])
def test_a_column_of_which_one_value_differs_comes_back(first, last) -> None:
    texts = pa.array([first, *["犬"] * 500, last], pa.string())
    marked = pa.field("a", pa.string(), metadata={"k": "v"})
    encoded = texts.dictionary_encode()
    batch = pa.RecordBatch.from_arrays(
        [texts, encoded, pa.nulls(502)],
        schema=pa.schema([marked, ("b", encoded.type), ("c", pa.null())]),
    )
    back = CODER.decode(CODER.encode(batch))
    assert back.equals(batch)
    assert back.schema.equals(batch.schema)


def test_beam_finds_the_coder_by_the_type() -> None:
    assert isinstance(registry.get_coder(pa.RecordBatch), RecordBatchCoder)
    assert CODER.to_type_hint() is pa.RecordBatch
    assert not CODER.is_deterministic()


def test_what_was_encoded_outlives_the_bytes_it_came_from() -> None:
    encoded = bytearray(CODER.encode(aligned(3)))
    batch = CODER.decode(bytes(encoded))
    encoded[:] = b"\0" * len(encoded)
    assert batch.to_pylist() == aligned(3).to_pylist()
