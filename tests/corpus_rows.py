"""Rows of pairs and of sentences for tests."""

from collections.abc import Iterable

import pyarrow as pa

from bitextile.kernels.text.normalise import normalise_mono, normalise_pairs
from bitextile.schema.kinds import MONO, PAIRS


def pair_rows(sides: Iterable[tuple[str, str]]) -> pa.RecordBatch:
    fixed = {"pair_id": "", "src_lang": "ar", "tgt_lang": "en", "corpus": "c", "file": "f"}
    fixed |= {"split": ""}
    rows = [fixed | {"src": s, "tgt": t, "line": n + 1} for n, (s, t) in enumerate(sides)]
    return normalise_pairs(pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema))


def mono_rows(texts: Iterable[str]) -> pa.RecordBatch:
    fixed = dict.fromkeys(MONO.schema.names, "")
    rows = [fixed | {"lang": "ar", "text": t, "line": n + 1} for n, t in enumerate(texts)]
    return normalise_mono(pa.RecordBatch.from_pylist(rows, schema=MONO.schema))
