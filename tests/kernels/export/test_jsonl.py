import json
import math

import pyarrow as pa

from bitextile.kernels.export.jsonl import jsonl_lines
from bitextile.schema.kinds import ALIGNED


def test_every_value_reads_back(batch):
    lines = jsonl_lines("de-en", batch)["de-en.jsonl"].to_pylist()
    rows = [json.loads(line) for line in lines]
    assert pa.RecordBatch.from_pylist(rows, ALIGNED.schema).equals(batch)
    assert '"score": 0.25}' in lines[0]


def test_a_score_that_is_no_number_is_null(batch):
    rows = batch.slice(0, 1).to_pylist()
    rows[0]["align_score"] = math.nan
    lines = jsonl_lines("de-en", pa.RecordBatch.from_pylist(rows, ALIGNED.schema))
    assert json.loads(lines["de-en.jsonl"][0].as_py())["align_score"] is None
