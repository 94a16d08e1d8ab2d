"""Rows of kinds pairs and aligned, for tests."""

from collections.abc import Sequence

import pyarrow as pa

from bitextile.schema.ids import pair_ids, stable_id
from bitextile.schema.kinds import ALIGNED, PAIRS


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


def linked_words(
    *pairs: tuple[str, str], src_lang: str = "de", tgt_lang: str = "zh"
) -> pa.RecordBatch:
    """Makes rows of kind aligned with one word a side, linked."""
    fixed = {"src_lang": src_lang, "tgt_lang": tgt_lang, "corpus": "c", "file": "f"}
    fixed |= {"split": "train", "align_score": 0.0}
    return pa.RecordBatch.from_pylist(
        [
            fixed
            | {"pair_id": stable_id(src, tgt, str(n)), "src": src, "tgt": tgt, "line": n}
            | {"src_spans": [{"start": 0, "end": len(src)}]}
            | {"tgt_spans": [{"start": 0, "end": len(tgt)}]}
            | {"links": [{"src": 0, "tgt": 0, "score": 1.0}]}
            for n, (src, tgt) in enumerate(pairs, 1)
        ],
        schema=ALIGNED.schema,
    )
