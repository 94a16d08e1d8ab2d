import pyarrow as pa
import pytest

from bitextile.schema.kinds import ALIGNED
from export_rows import aligned_row

PAIRS_BY_HAND = [
    ("de", "en", "Der Hund schläft .", "The dog sleeps .", [(0, 0), (1, 1), (2, 2), (3, 3)]),
    ("en", "de", "I have eaten it", "Ich habe es gegessen", [(0, 0), (1, 1), (2, 3), (3, 2)]),
    ("de", "en", "Tja …", "Well …", []),
]


@pytest.fixture
def batch() -> pa.RecordBatch:
    """Pairs of one key, one of them the other way round, one without links."""
    rows = [aligned_row(*pair, line=line) for line, pair in enumerate(PAIRS_BY_HAND, 1)]
    return pa.RecordBatch.from_pylist(rows, ALIGNED.schema)
