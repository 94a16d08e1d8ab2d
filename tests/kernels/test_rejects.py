"""Kept and rejected rows are the rows read, each once, with its own value and detail."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.rejects import join, reject_rows, split_rejects
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import SchemaError
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

TEXTS = ["Ein Hund läuft.", "كلب يركض.", "一只狗在跑。", "犬が走る。", "หมาวิ่ง", "Собака бежит."]


def mono(n: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [
            {
                "text_id": f"{i:032x}",
                "lang": "und",
                "text": TEXTS[i % 6],
                "corpus": "c",
                "file": "f.txt",
                "line": i + 1,
                "split": "train",
            }
            for i in range(n)
        ],
        schema=MONO.schema,
    )


def pairs(n: int) -> pa.RecordBatch:
    rows = [
        {"pair_id": r.pop("text_id"), "src_lang": "de", "tgt_lang": "ar"}
        | {"src": r["text"], "tgt": TEXTS[1]}
        | r
        for r in mono(n).to_pylist()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema)


@given(st.lists(st.booleans(), max_size=20), st.sampled_from([mono, pairs]))
def test_kept_and_rejected_are_the_rows_read(keep: list[bool], rows) -> None:
    batch = rows(len(keep))
    value = np.arange(len(keep)) * 0.5
    detail = [f"row {i}" for i in range(len(keep))]
    kept, rejects = split_rejects(
        batch, np.array(keep, bool), rule="r/1", value=value, detail=detail
    )
    assert kept.schema == batch.schema
    assert rejects.schema == REJECTS.schema
    check_rows(rejects, REJECTS, "rejects")
    dropped = [i for i, k in enumerate(keep) if not k]
    assert kept["line"].to_pylist() == [i + 1 for i, k in enumerate(keep) if k]
    assert rejects["line"].to_pylist() == [i + 1 for i in dropped]
    assert rejects["value"].to_pylist() == [i * 0.5 for i in dropped]
    assert rejects["detail"].to_pylist() == [f"row {i}" for i in dropped]


def test_a_pair_keeps_both_sides_and_a_sentence_has_no_target() -> None:
    pair = reject_rows(pairs(1), rule="r/1", value=3).to_pylist()[0]
    assert (pair["src_lang"], pair["tgt_lang"]) == ("de", "ar")
    assert (pair["src"], pair["tgt"], pair["value"]) == (TEXTS[0], TEXTS[1], 3.0)
    sentence = reject_rows(mono(1), rule="r/1", value=np.array([2.0])).to_pylist()[0]
    assert (sentence["tgt_lang"], sentence["tgt"], sentence["src"]) == (None, None, TEXTS[0])


def test_a_generated_pair_is_known_by_its_sentence() -> None:
    rows = [{"text_id": r.pop("pair_id")} | r for r in pairs(2).to_pylist()]
    reject = reject_rows(pa.RecordBatch.from_pylist(rows[1:]), rule="r/1", value=0.0).to_pylist()[0]
    assert (reject["id"], reject["src"], reject["tgt"]) == (f"{1:032x}", TEXTS[1], TEXTS[1])
    assert (reject["src_lang"], reject["tgt_lang"], reject["line"]) == ("de", "ar", 2)


def test_other_rows_are_refused_with_what_was_expected() -> None:
    with pytest.raises(SchemaError, match="columns x; expected those of kind pairs"):
        reject_rows(pa.RecordBatch.from_pylist([{"x": 1}]), rule="r/1", value=0.0)


def test_join_keeps_the_order_and_joins_nothing_to_an_empty_batch() -> None:
    parts = [reject_rows(mono(n), rule=f"r/{n}", value=0.0) for n in (2, 0, 1)]
    assert join(parts)["rule"].to_pylist() == ["r/2", "r/2", "r/1"]
    assert join([]).schema == REJECTS.schema
