"""The mixture keeps its weights, its budget, and its sequence wherever it is resumed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.data import mixture
from bitextile.trainer.data.mixture import MicroBatchStream, entry_of
from bitextile.trainer.data.streams import DatasetStream
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.objective import DatasetEntry
from bitextile.trainer.objectives.tlm import Tlm


@pytest.fixture(scope="module")
def entries(datasets):
    def entry(objective, kind, weight):
        dataset = open_dataset(datasets[kind])
        columns = objective.columns(dataset.kind)
        streams = tuple(DatasetStream(dataset, k, columns, 5, "train") for k in dataset.keys)
        return DatasetEntry(objective, dataset, weight, streams, 0.5)

    return (entry(Mlm(64), "mono", 1.0), entry(Tlm(64), "pairs", 3.0))


def stream(entries, tokenizer, index=0, count=1) -> MicroBatchStream:
    return MicroBatchStream(entries, tokenizer, index, count, batch_tokens=150, seed=5)


def sequence(batches) -> list[tuple]:
    return [(b.entry, e.record, e.epoch) for b in batches for e in b.examples]


@given(st.lists(st.floats(0.05, 5), min_size=1, max_size=5), st.integers(0, 10_000))
def test_shares_are_met_at_any_time(weights, start):
    n = 400
    counts = Counter(entry_of(i, weights) for i in range(start, start + n))
    for i, weight in enumerate(weights):
        # A random choice would often miss it: sigma of a share of one half is 0.025 over 400.
        assert counts[i] / n == pytest.approx(weight / sum(weights), abs=0.03)


def test_a_stream_keeps_weights_and_budget(entries, tokenizer):
    reader = stream(entries, tokenizer)
    batches = [reader.next() for _ in range(80)]
    assert Counter(b.entry for b in batches)[1] == pytest.approx(60, abs=2)
    sizes = [sum(e.n_tokens for e in b.examples) for b in batches]
    assert max(sizes) <= 150
    assert min(sizes) > 100


def test_an_epoch_of_an_entry_has_each_row_once(entries, tokenizer):
    reader = stream(entries, tokenizer)
    seen = Counter(
        (e.epoch, e.record)
        for _ in range(60)
        for b in [reader.next()]
        if b.entry
        for e in b.examples
    )
    table = open_dataset(entries[1].dataset.path).table()
    ids = {
        i
        for i, s in zip(*(table.column(c).to_pylist() for c in ("pair_id", "split")))
        if s == "train"
    }
    # Sixty micro-batches are more than an epoch; the second one may have begun.
    assert {r for epoch, r in seen if epoch == 0} == ids
    assert set(seen.values()) == {1}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 40), st.integers(1, 3))
def test_a_restored_stream_goes_on_with_the_same_sequence(entries, tokenizer, behind, count):
    whole = stream(entries, tokenizer, count - 1, count)
    for _ in range(behind):
        whole.next()
    state = whole.state()
    other = stream(entries, tokenizer, count - 1, count)
    other.restore(state)
    assert other.state() == state
    want, got = ([r.next() for _ in range(6)] for r in (whole, other))
    assert sequence(got) == sequence(want)
    assert all(
        np.array_equal(i.tokens, j.tokens)
        for x, y in zip(got, want)
        for a, b in zip(x.examples, y.examples)
        for i, j in zip(a.inputs, b.inputs, strict=True)
    )


def test_the_sequence_does_not_depend_on_how_much_is_read_ahead(entries, tokenizer, monkeypatch):
    one = stream(entries, tokenizer)
    want = sequence([one.next() for _ in range(30)])
    # Several reads for each batch, in place of one for many.
    monkeypatch.setattr(mixture, "CHUNK", 3)
    two = stream(entries, tokenizer)
    assert sequence([two.next() for _ in range(30)]) == want


def test_streams_share_the_rows_of_an_epoch(entries, tokenizer):
    seen: Counter = Counter()
    for index in range(3):
        reader = stream(entries, tokenizer, index, 3)
        batches = [reader.next() for _ in range(20)]
        seen += Counter(e.record for b in batches for e in b.examples if b.entry and not e.epoch)
    assert set(seen.values()) == {1}
