"""Rows of kind pairs, for tests."""

from collections.abc import Sequence

import pyarrow as pa

from bitextile.schema.ids import pair_ids
from bitextile.schema.kinds import PAIRS


def pairs_batch(src_lang: str, tgt_lang: str, texts: Sequence[tuple[str, str]]) -> pa.RecordBatch:
    """Makes a batch of one language pair in one direction."""
    src, tgt = (pa.array([pair[k] for pair in texts], pa.string()) for k in (0, 1))
    n = len(texts)
    constant = {"src_lang": src_lang, "tgt_lang": tgt_lang, "corpus": "c", "file": "f"}
    columns = {name: pa.array([value] * n, pa.string()) for name, value in constant.items()}
    columns |= {
        "pair_id": pair_ids(src_lang, src, tgt_lang, tgt),
        "src": src,
        "tgt": tgt,
        "line": pa.array(range(1, n + 1), PAIRS.schema.field("line").type),
        "split": pa.array(["train"] * n),
    }
    return pa.RecordBatch.from_pydict(columns, schema=PAIRS.schema)
