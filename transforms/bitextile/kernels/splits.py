"""Which split a row belongs to: a function of its id, so the same in any corpus or order."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import replace_columns
from bitextile.kernels.randomness import hash64, uniform
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import SPLITS


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of the rows held out."""

    valid: float = 0.01
    """Share of rows for validation. 0.01 leaves enough to measure a loss by."""
    test: float = 0.01
    """Share of rows for test."""
    seed: int = 0
    """Seed of the draw; another one gives another split."""

    def __post_init__(self) -> None:
        # Asked for what is right, so that a NaN is refused too.
        if not (self.valid >= 0 and self.test >= 0 and self.valid + self.test < 1):
            raise ConfigError(
                f"splits: valid {self.valid} and test {self.test}; "
                "expected shares of at least 0 that leave something to train on"
            )


def assign_splits(batch: pa.RecordBatch, *, config: SplitConfig) -> pa.RecordBatch:
    """Returns the batch with its empty `split` cells drawn by id; others stay as they are.

    Args:
        batch: PAIRS or MONO rows.
        config: the shares.
    """
    # one draw a row:   0 |-- valid --|-- test --|-------- train --------| 1
    # Of the id alone, so the two sides of a pair, and its copies in other corpora, share a split; a
    # larger `valid` keeps the rows it had.
    ids = batch.column(batch.schema.names[0])
    draw = uniform(hash64(ids), seed=config.seed, operation="split")
    drawn = np.select(
        [draw < config.valid, draw < config.valid + config.test], [SPLITS[1], SPLITS[2]], SPLITS[0]
    )
    given = batch.column("split")
    free = pc.equal(given, "")
    split = pc.if_else(free, pa.array(drawn.tolist(), pa.string()), given)
    return replace_columns(batch, {"split": split})
