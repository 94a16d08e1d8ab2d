"""Shards are plain Parquet: pandas, DuckDB, polars and datasets read the rows that were written."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from bitextile.schema.ids import pair_ids
from bitextile.schema.kinds import ALIGNED
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.write import WriteDataset

SENTENCES = [
    ("Der Hund läuft.", "狗在跑。"),
    ("Eine Katze", "👩\u200d🚒"),
    ("e\u0301 ü", "一只猫"),
    ("", ""),
]


def spans(text: str) -> list[dict[str, int]]:
    return [{"start": i, "end": i + 1} for i in range(len(text))]


def rows_to_write(n: int) -> list[dict]:
    """Returns aligned rows with lists of structs of every length, also empty."""
    rows = []
    for i in range(n):
        src, tgt = SENTENCES[i % len(SENTENCES)]
        src = f"{src}{i}" if src else ""
        [pair_id] = pair_ids("de", pa.array([f"{i} {src}"]), "zh", pa.array([tgt])).to_pylist()
        links = [
            {"src": j, "tgt": j, "score": 0.5 + j / 64} for j in range(min(len(src), len(tgt)))
        ]
        rows.append(
            {"pair_id": pair_id, "src_lang": "de", "tgt_lang": "zh", "src": src, "tgt": tgt}
            | {"corpus": "hand", "file": "hand.tsv", "line": i + 1, "split": "train"}
            | {"src_spans": spans(src), "tgt_spans": spans(tgt)}
            | {"links": links, "align_score": -i / 8}
        )
    return rows


ROWS = rows_to_write(40)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[str]:
    """The files of an aligned dataset of several shards, as the writer makes them."""
    folder = tmp_path_factory.mktemp("aligned")
    with beam.Pipeline(runner=FnApiRunner()) as root:
        batch = pa.RecordBatch.from_pylist(ROWS, schema=ALIGNED.schema)
        read = root | "Read" >> beam.Create([len(ROWS)])
        rows = TrackedRows(root | "Rows" >> beam.Create([batch]), (), read)
        _ = rows | WriteDataset(str(folder), ALIGNED, max_shard_rows=30)
    found = sorted(str(path) for path in folder.glob("data/*/*.parquet"))
    assert len(found) > 2
    return found


def plain(value):
    """Returns a value of any of these libraries as Python's own."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [plain(item) for item in value] if isinstance(value, list) else value


def same(rows: list[dict]) -> bool:
    by_id = {row["pair_id"]: {key: plain(value) for key, value in row.items()} for row in rows}
    assert len(by_id) == len(rows)
    assert not any(
        isinstance(v, float) and math.isnan(v) for r in by_id.values() for v in r.values()
    )
    return by_id == {row["pair_id"]: row for row in ROWS}


def test_pandas(shards: list[str]) -> None:
    frame = pd.concat([pd.read_parquet(path) for path in shards])
    assert list(frame.columns) == ALIGNED.schema.names
    assert same(frame.to_dict("records"))


def test_duckdb(shards: list[str]) -> None:
    folder = Path(shards[0]).parent
    with duckdb.connect() as connection:
        found = connection.execute(f"select * from read_parquet('{folder}/*.parquet')")
        names = [column[0] for column in found.description]
        assert same([dict(zip(names, row)) for row in found.fetchall()])
        query = (
            f"select sum(len(links)), max(links[1].score) from read_parquet('{folder}/*.parquet')"
        )
        [(links, score)] = connection.execute(query).fetchall()
    assert links == sum(len(row["links"]) for row in ROWS)
    assert score == 0.5


def test_polars(shards: list[str]) -> None:
    frame = pl.read_parquet(str(Path(shards[0]).parent / "*.parquet"))
    assert frame.columns == ALIGNED.schema.names
    assert frame.schema["line"] == pl.Int64
    assert same(frame.to_dicts())


_LOAD = """
import json, sys
from datasets import load_dataset
rows = load_dataset("parquet", data_files=sys.argv[1:], split="train")
print(json.dumps([rows.column_names, rows.to_list()]))
"""


def test_datasets(shards: list[str], tmp_path) -> None:
    # In a process of its own: the library reads its environment when it is imported.
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path), "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", _LOAD, *shards]
    done = subprocess.run(
        command, env=os.environ | offline, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    names, rows = json.loads(done.stdout)
    assert names == ALIGNED.schema.names
    assert same(rows)
