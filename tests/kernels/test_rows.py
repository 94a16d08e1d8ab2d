"""What kernels take for rows: a batch, a table, a DataFrame, all with the same result."""

import pickle

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.filters.rules import FilterConfig, filter_rows
from bitextile.kernels.rows import as_batch
from bitextile.schema.errors import InputError, SchemaError
from bitextile.schema.kinds import ALIGNED, KINDS, PAIRS

pandas = pytest.importorskip("pandas")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_batches_tables_and_frames_are_one(data, aligned_batches):
    batch = data.draw(aligned_batches)
    table = pa.Table.from_batches([batch.slice(0, 2), batch.slice(2)])
    assert as_batch(batch) is batch
    assert as_batch(table) == batch
    assert as_batch(batch.to_pandas()) == batch
    config = ExchangeConfig(variants=2)
    results = [exchange(rows, config=config) for rows in (batch, table, batch.to_pandas())]
    assert results[0] == results[1] == results[2]


def test_a_frame_is_of_the_kind_its_columns_are_those_of(many_aligned):
    pairs = many_aligned.select(PAIRS.schema.names).to_pandas()
    kept = filter_rows(pairs, kind=PAIRS, config=FilterConfig()).kept
    assert kept.schema == PAIRS.schema
    reordered = many_aligned.to_pandas()[ALIGNED.schema.names[::-1]]
    assert as_batch(reordered) == many_aligned
    for kind in KINDS.values():
        empty = kind.schema.empty_table()
        assert as_batch(empty.to_pandas()).schema.names == kind.schema.names
        assert as_batch(empty).num_rows == 0


def test_labels_of_task_data_stay():
    kind = KINDS["codeswitch"]
    frame = kind.schema.empty_table().to_pandas().assign(label=pandas.Series([], dtype="int64"))
    assert as_batch(frame).schema.names == [*kind.schema.names, "label"]


def test_other_rows_are_refused_with_what_to_do(many_aligned):
    with pytest.raises(InputError, match="rows are list, expected a pyarrow RecordBatch"):
        as_batch([{"a": 1}])
    with pytest.raises(SchemaError, match="columns src, tgt, which are those of no dataset kind"):
        as_batch(pandas.DataFrame({"src": ["a"], "tgt": ["b"]}))
    frame = many_aligned.slice(0, 2).to_pandas()
    frame["line"] = ["one", "two"]
    with pytest.raises(SchemaError, match="do not fit kind aligned"):
        as_batch(frame)


def test_kernels_pickle_as_beam_sends_them():
    assert pickle.loads(pickle.dumps(exchange)) is exchange  # noqa: S301 - our own bytes
    assert "Swaps linked words" in exchange.__doc__
