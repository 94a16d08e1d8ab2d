"""The stream of a task: every row once per epoch, alike from any position and for any stride."""

import numpy as np
import pyarrow as pa
import pytest

from bitextile.trainer.finetune.stream import TaskStream

# Seven rows, which neither two nor three strides divide: epochs end inside of a step.
ROWS = pa.table({"record": [f"{i}" for i in range(7)]})


def taken(stream: TaskStream, position: int, count: int, offset: int, stride: int) -> list[str]:
    return stream.take(position, count, offset=offset, stride=stride).table["record"].to_pylist()


def test_an_epoch_has_every_row_once_and_another_order():
    stream = TaskStream(ROWS, seed=0)
    rows = stream.take(0, 21, offset=0, stride=1)
    assert rows.epochs.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert rows.after.tolist() == list(range(1, 22))
    epochs = np.array(rows.table["record"].to_pylist()).reshape(3, 7)
    assert all(sorted(epoch) == ROWS["record"].to_pylist() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert taken(TaskStream(ROWS, seed=1), 0, 7, 0, 1) != epochs[0].tolist()


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_strides_share_one_sequence_and_go_on_from_anywhere(stride):
    whole = taken(TaskStream(ROWS, seed=0), 0, 24, 0, 1)
    stream = TaskStream(ROWS, seed=0)
    for offset in range(stride):
        count = 24 // stride
        assert taken(stream, 0, count, offset, stride) == whole[offset::stride]
        # A new stream, as after a restart, from the middle on.
        later = taken(TaskStream(ROWS, seed=0), 3, count - 3, offset, stride)
        assert later == whole[offset::stride][3:]
