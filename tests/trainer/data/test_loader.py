"""The loader gives the same batches from any number of processes, and their errors as they are."""

import multiprocessing
import threading
from dataclasses import fields, is_dataclass

import pytest
import torch

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import DatasetError
from bitextile.trainer.data import streams
from bitextile.trainer.data.loader import _received, lost_workers_told, steps
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.train.pretrain import open_pretraining, pretrain


@pytest.fixture
def mixed(config, datasets):
    data = [
        {"objective": "weam", "dataset": datasets["aligned"]},
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "moco", "dataset": datasets["pairs"], "queue": 16},
    ]
    return lambda **more: config(data=data, grad_accumulation=4, batch_tokens=128, **more)


def plain(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.tolist())
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def first_steps(config, n: int, workers: int) -> list:
    state = open_pretraining(config)
    batches = steps(state.streams, state.collation, workers=workers)
    try:
        return [plain(next(batches)) for _ in range(n)]
    finally:
        batches.close()


def test_any_number_of_workers_gives_the_same_batches(mixed):
    alone = first_steps(mixed(), 5, 0)
    assert [len(step) for step in alone] == [4] * 5
    assert [b["stream"] for b in alone[0]] == [0, 1, 2, 3]
    for workers in (1, 2):
        assert first_steps(mixed(), 5, workers) == alone


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_stream_arrives_as_it_is(config, make_dataset, tmp_path, workers):
    path = make_dataset(tmp_path / "aligned", "aligned", shards=1)
    state = open_pretraining(config(data=[{"objective": "weam", "dataset": path}]))
    shard = tmp_path / "aligned" / open_dataset(path).shards(None)[0].path
    content = bytearray(shard.read_bytes())
    # Pages, not the footer, which the stream has read already.
    content[4:2000] = bytes(1996)
    shard.write_bytes(content)
    batches = steps(state.streams, state.collation, workers=workers)
    with pytest.raises(DatasetError, match=r"part-00000-of-00001\.parquet"):
        next(batches)
    # Though the error's traceback still knows them: at exit Python would wait for them for ever.
    assert multiprocessing.active_children() == []


def test_a_run_in_a_thread_of_its_own_has_workers_too(mixed, tmp_path):
    done = []
    thread = threading.Thread(
        target=lambda: done.append(pretrain(mixed(workers=1, steps=2), str(tmp_path / "run")))
    )
    thread.start()
    thread.join(60)
    assert [summary.steps for summary in done] == [2]


def test_resuming_reads_as_much_at_any_position(config, make_dataset, tmp_path, monkeypatch):
    # Row groups that are read until the first batch is there, behind 1 step and behind 40.
    data = make_dataset(tmp_path / "pairs", "pairs", rows=300, shards=12)
    read: list[int] = []
    original = streams.DatasetStream._read

    def counted(self, group):
        table = original(self, group)
        read.append(len(table))
        return table

    monkeypatch.setattr(streams.DatasetStream, "_read", counted)
    costs = []
    for behind in (1, 10, 40):
        state = open_pretraining(config(data=[{"objective": "tlm", "dataset": data}]))
        (stream,) = state.streams
        for _ in range(behind):
            stream.next()
        fresh = open_pretraining(config(data=[{"objective": "tlm", "dataset": data}])).streams[0]
        fresh.restore(stream.state())
        read.clear()
        fresh.next()
        costs.append(sum(read))
    rows = open_dataset(data).manifest.rows
    assert rows > 200
    # A chunk of 256 rows may begin anywhere in a window: one window more or less.
    assert max(costs) - min(costs) <= 2 * max(read)


def test_more_streams_than_row_groups_share_the_rows(config, make_dataset, tmp_path):
    data = make_dataset(tmp_path / "mono", "mono", rows=60, shards=1)
    state = open_pretraining(
        config(data=[{"objective": "mlm", "dataset": data}], grad_accumulation=7, batch_tokens=64)
    )
    # One row group among seven streams: rows are shared one by one, not by groups.
    seen: list[str] = []
    for stream in state.streams:
        examples = [e for _ in range(12) for e in stream.next().examples]
        mine = {e.record for e in examples if e.epoch == 0}
        assert mine
        assert not mine & set(seen)
        seen += mine
    table = open_dataset(data).table(columns=["text_id", "split"])
    wanted = [i for i, s in zip(*(c.to_pylist() for c in table.columns)) if s == "train"]
    assert sorted(seen) == sorted(wanted)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset by peer"), EOFError("ended")])
def test_a_socket_that_ends_is_a_worker_that_is_gone(error):
    def broken():
        yield from ()
        raise error

    told = pytest.raises(TrainingError, match="a loader worker was killed by the system")
    with told, lost_workers_told():
        _received(broken())
