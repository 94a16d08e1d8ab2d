"""The rows of a fine-tuning in a seeded order, from any position on."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bitextile.trainer.data.order import Order
from bitextile.trainer.data.streams import StreamRows


@dataclass
class TaskStream:
    """All rows to learn from, in a seeded order per epoch, from any position on.

    Attributes:
        rows: [n] those of the task with its targets.
        seed: of the order.
        key: the name of the stream.
    """

    rows: pa.Table
    seed: int
    key: str = "task"
    _orders: dict[int, np.ndarray] = field(init=False, default_factory=dict, repr=False)

    def take(self, position: int, count: int, *, offset: int, stride: int) -> StreamRows:
        """Returns the next rows of every `stride`-th, as `DatasetStream.take` does."""
        own = position + np.arange(count)
        epochs, places = np.divmod(offset + own * stride, len(self.rows))
        chosen = np.zeros(count, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = self._order(int(epoch))[places[here]]
        return StreamRows(self.rows.take(pa.array(chosen)), epochs, own + 1)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            order = Order((len(self.rows),), self.seed, f"finetune/{self.key}")
            # One row group, so one window: the whole epoch.
            # The epoch before is kept too: strides of one step may lie on both sides of its end.
            last = dict([*self._orders.items()][-1:])
            self._orders = last | {epoch: order.window(epoch, 0).order}
        return self._orders[epoch]
