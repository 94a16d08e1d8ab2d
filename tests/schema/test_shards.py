"""Shards: equal rows give equal bytes, whatever order and pieces they arrive in."""

import hashlib
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.errors import DatasetError, RowError, SchemaError
from bitextile.schema.kinds import LEXICON, MONO, REJECTS
from bitextile.schema.shards import (
    ROW_GROUP_ROWS,
    check_content,
    check_presence,
    read_shard,
    reject_path,
    shard_key,
    shard_path,
    write_shard,
)

PATH = shard_path("ar", 0, 1)
TEXTS = ["كلب", "犬が走る。", "e\u0301", "👩\u200d🚒", "", "\u0378"]


def rows(numbers) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "text_id": hashlib.md5(str(n).encode()).hexdigest(),
                "lang": "ar",
                "text": TEXTS[n % len(TEXTS)] + str(n),
                "corpus": "c",
                "file": "f",
                "line": n + 1,
                "split": "train",
            }
            for n in numbers
        ],
        MONO.schema,
    )


def test_paths_are_those_of_the_contract() -> None:
    assert shard_path("de-en", 3, 12) == "data/de-en/part-00003-of-00012.parquet"
    assert reject_path(0, 1) == "rejects/part-00000-of-00001.parquet"


def test_a_shard_knows_its_key(tmp_path) -> None:
    assert shard_key(write_shard(str(tmp_path), PATH, rows(range(2)), MONO)) == "ar"


@settings(max_examples=20)
@given(st.permutations(range(12)), st.lists(st.integers(0, 12), max_size=3))
def test_order_and_pieces_of_the_rows_change_no_byte(tmp_path_factory, order, cuts) -> None:
    folder = tmp_path_factory.mktemp("shards")
    expected = write_shard(str(folder), PATH, rows(range(12)), MONO)
    content = (folder / PATH).read_bytes()
    edges = [0, *sorted(cuts), 12]
    pieces = [rows(order).slice(a, b - a) for a, b in itertools.pairwise(edges)]
    assert write_shard(str(folder), PATH, pa.concat_tables(pieces), MONO) == expected
    assert (folder / PATH).read_bytes() == content


def test_the_entry_describes_the_file_and_no_other_file_is_left(tmp_path) -> None:
    shard = write_shard(str(tmp_path), PATH, rows(range(5)), MONO)
    content = (tmp_path / PATH).read_bytes()
    assert (shard.rows, shard.bytes) == (5, len(content))
    assert shard.sha256 == hashlib.sha256(content).hexdigest()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / PATH]
    check_presence(str(tmp_path), shard)
    check_content(str(tmp_path), shard)


def test_rows_come_back_sorted_by_id_in_row_groups_of_fixed_size(tmp_path) -> None:
    n = ROW_GROUP_ROWS + 1
    shard = write_shard(str(tmp_path), PATH, rows(range(n)), MONO)
    batches = list(read_shard(str(tmp_path), shard, MONO, columns=None, batch_rows=5_000))
    assert max(batch.num_rows for batch in batches) <= 5_000
    read = pa.Table.from_batches(batches)
    assert read == rows(range(n)).sort_by("text_id")
    assert read.schema == MONO.schema
    file = pq.ParquetFile(tmp_path / PATH).metadata
    assert [file.row_group(i).num_rows for i in range(file.num_row_groups)] == [ROW_GROUP_ROWS, 1]
    assert file.row_group(0).column(2).compression == "ZSTD"


def test_some_columns_come_in_the_order_asked_for(tmp_path) -> None:
    shard = write_shard(str(tmp_path), PATH, rows(range(3)), MONO)
    [batch] = read_shard(str(tmp_path), shard, MONO, columns=["line", "text"], batch_rows=9)
    assert batch.schema.names == ["line", "text"]
    assert sorted(batch.column("line").to_pylist()) == [1, 2, 3]


def test_an_id_twice_is_refused_and_named_and_leaves_nothing(tmp_path) -> None:
    with pytest.raises(RowError, match=rf"{PATH}: duplicate id text_id '{'[0-9a-f]' * 32}';"):
        write_shard(str(tmp_path), PATH, rows([1, 2, 1]), MONO)
    assert not list(tmp_path.rglob("*.parquet*"))


def test_ids_of_several_columns_are_compared_in_all_of_them(tmp_path) -> None:
    entry = {"src_lang": "de", "tgt_lang": "zh", "src": "hund", "count": 3}
    entry |= {"p_tgt_given_src": 0.5, "p_src_given_tgt": 0.5}
    two = pa.Table.from_pylist([entry | {"tgt": t} for t in ("狗", "犬")], LEXICON.schema)
    assert write_shard(str(tmp_path), PATH, two, LEXICON).rows == 2
    with pytest.raises(RowError, match=r"duplicate id src_lang .*, src 'hund', tgt '犬'"):
        write_shard(str(tmp_path), PATH, pa.concat_tables([two, two]), LEXICON)


def test_rejects_may_share_an_id(tmp_path) -> None:
    reject = dict.fromkeys(REJECTS.schema.names, "") | {"value": 0.0, "line": 1}
    table = pa.Table.from_pylist([reject, reject], REJECTS.schema)
    assert write_shard(str(tmp_path), reject_path(0, 1), table, REJECTS).rows == 2


def test_another_schema_and_a_null_are_refused_before_a_byte_is_written(tmp_path) -> None:
    with pytest.raises(SchemaError, match="column 0 is 'lang', expected 'text_id'"):
        write_shard(str(tmp_path), PATH, rows([1]).drop_columns("text_id"), MONO)
    holed = rows([1, 2]).to_pylist()
    holed[1]["text"] = None
    with pytest.raises(
        RowError, match=f"text is null in the row with text_id .{holed[1]['text_id']}"
    ):
        write_shard(str(tmp_path), PATH, pa.Table.from_pylist(holed, MONO.schema), MONO)
    assert not list(tmp_path.rglob("*.parquet*"))


def test_a_file_that_is_no_parquet_is_named(tmp_path) -> None:
    shard = write_shard(str(tmp_path), PATH, rows([1]), MONO)
    (tmp_path / PATH).write_bytes(b"PAR1 this is not one PAR1")
    with pytest.raises(DatasetError, match=rf"{PATH}: not readable as Parquet .*verify"):
        list(read_shard(str(tmp_path), shard, MONO, columns=None, batch_rows=9))
    with pytest.raises(DatasetError, match="the manifest says"):
        check_presence(str(tmp_path), shard)
    with pytest.raises(DatasetError, match="a byte was changed"):
        check_content(str(tmp_path), shard)
