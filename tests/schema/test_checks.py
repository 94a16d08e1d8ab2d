"""Row checks against a slow obvious version, on whole batches and on slices of larger ones."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.schema.checks import check_rows
from bitextile.schema.errors import RowError
from bitextile.schema.kinds import ALIGNED, CANDIDATES, CODESWITCH, EXCHANGE

# Code points of one to four bytes, so that an offset in bytes or UTF-16 units would be wrong.
TEXTS = ["", "ab", "Größe", "שלום", "犬が走る。", "👩\u200d🚒 e\u0301"]
OFFSET = st.integers(-1, 6)
SPAN = st.fixed_dictionaries({"start": OFFSET, "end": OFFSET})
LINK = st.fixed_dictionaries(
    {"src": st.integers(-1, 3), "tgt": st.integers(-1, 3), "score": st.just(0.5)}
)


def words(text: str) -> list[dict[str, int]]:
    return [{"start": i, "end": i + 1} for i in range(len(text))]


def row(number: int, **columns) -> dict:
    base = dict.fromkeys(["src_lang", "tgt_lang", "corpus", "file", "split", "src", "tgt"], "")
    base |= {"pair_id": f"{number:032x}", "line": 1, "align_score": -0.5, "links": []}
    base |= {"src_spans": [], "tgt_spans": []}
    return base | columns


@st.composite
def drawn_row(draw) -> dict:
    src, tgt = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(TEXTS))
    spans = st.lists(SPAN, max_size=3)
    return {
        "src": src,
        "tgt": tgt,
        "src_spans": draw(st.just(words(src)) | spans),
        "tgt_spans": draw(st.just(words(tgt)) | spans),
        "links": draw(st.lists(LINK, max_size=3)),
    }


def spans_are_right(spans: list[dict], text: str) -> bool:
    inside = all(0 <= s["start"] < s["end"] <= len(text) for s in spans)
    return inside and all(a["end"] <= b["start"] for a, b in itertools.pairwise(spans))


def is_right(row: dict) -> bool:
    links = [(link["src"], link["tgt"]) for link in row["links"]]
    return (
        spans_are_right(row["src_spans"], row["src"])
        and spans_are_right(row["tgt_spans"], row["tgt"])
        and all(0 <= i < len(row["src_spans"]) for i, _ in links)
        and all(0 <= j < len(row["tgt_spans"]) for _, j in links)
        and all(a < b for a, b in itertools.pairwise(links))
    )


@settings(max_examples=400)
@given(st.lists(drawn_row(), min_size=1, max_size=3), st.integers(0, 2), st.booleans())
def test_a_batch_passes_if_and_only_if_every_row_is_right(drawn, before: int, after: bool) -> None:
    # Bad rows around the slice must not count, and must not shift the check of those inside.
    bad = row(
        0,
        src="ab",
        src_spans=[{"start": 0, "end": 9}] * 2,
        links=[{"src": 7, "tgt": 7, "score": 1}],
    )
    inside = [row(n + 1, **columns) for n, columns in enumerate(drawn)]
    batch = pa.RecordBatch.from_pylist(
        [bad] * before + inside + [bad] * after, schema=ALIGNED.schema
    )
    part = batch.slice(before, len(inside))
    wrong = [r["pair_id"] for r in inside if not is_right(r)]
    if not wrong:
        check_rows(part, ALIGNED, "part-1")
        return
    with pytest.raises(RowError, match=r"^part-1: .*in the row with pair_id") as caught:
        check_rows(part, ALIGNED, "part-1")
    assert any(name in str(caught.value) for name in wrong)


def test_the_number_of_bad_rows_is_told() -> None:
    bad = [row(n, src="ab", src_spans=[{"start": 1, "end": 3}]) for n in range(3)]
    batch = pa.RecordBatch.from_pylist([row(9), *bad], schema=ALIGNED.schema)
    with pytest.raises(RowError, match=rf"outside the text.*'{0:032x}' \(3 such rows\)"):
        check_rows(batch, ALIGNED, "f")


def test_exchanged_links_stay_inside_the_spans() -> None:
    one = {"src": "ab", "tgt": "כד", "src_spans": words("ab"), "tgt_spans": words("כד")}
    extra = {"variant": 0, "src_exchanged": "", "tgt_exchanged": ""}
    for exchanged, right in (([(1, 0)], True), ([(2, 0)], False), ([(0, 2)], False)):
        links = [{"src": i, "tgt": j} for i, j in exchanged]
        batch = pa.RecordBatch.from_pylist(
            [row(1, **one, **extra, exchanged=links)], schema=EXCHANGE.schema
        )
        if right:
            check_rows(batch, EXCHANGE, "f")
            continue
        with pytest.raises(RowError, match=r"exchanged: a (src|tgt) index lies outside"):
            check_rows(batch, EXCHANGE, "f")


@pytest.mark.parametrize(
    ("start", "end", "right"),
    [(0, 1, True), (2, 3, True), (2, 4, False), (1, 1, False), (-1, 1, False)],
)
def test_replacements_lie_in_the_switched_text(start: int, end: int, right: bool) -> None:
    replacement = {"lang": "zh", "original": "dog", "origin": "link", "score": 1.0}
    columns = dict.fromkeys(CODESWITCH.schema.names, "") | {"text": "犬 א", "variant": 0}
    columns["replacements"] = [replacement | {"start": start, "end": end}]
    batch = pa.RecordBatch.from_pylist([columns], schema=CODESWITCH.schema)
    if right:
        check_rows(batch, CODESWITCH, "f")
        return
    with pytest.raises(RowError, match="replacements: a span lies outside"):
        check_rows(batch, CODESWITCH, "f")


def test_every_word_has_its_candidates() -> None:
    columns = {"text_id": "0" * 32, "lang": "th", "text": "แมว", "spans": words("แมว")}
    for n, right in ((3, True), (2, False)):
        lists = {"candidates": [[{"text": "cat", "lang": "en", "score": 0.5}]] * n}
        batch = pa.RecordBatch.from_pylist([columns | lists], schema=CANDIDATES.schema)
        if right:
            check_rows(batch, CANDIDATES, "f")
            continue
        with pytest.raises(RowError, match="candidates and spans differ in number"):
            check_rows(batch, CANDIDATES, "f")


@pytest.mark.parametrize("column", ALIGNED.schema.names)
def test_a_null_in_any_column_is_named(column: str) -> None:
    batch = pa.RecordBatch.from_pylist([row(1), row(2, **{column: None})], schema=ALIGNED.schema)
    with pytest.raises(RowError, match=rf"f: {column} is null in the row with"):
        check_rows(batch, ALIGNED, "f")


@pytest.mark.parametrize("nested", ["start", "end"])
def test_a_null_inside_a_span_is_refused(nested: str) -> None:
    span = {"start": 0, "end": 1} | {nested: None}
    batch = pa.RecordBatch.from_pylist([row(1, src="ab", src_spans=[span])], schema=ALIGNED.schema)
    with pytest.raises(RowError, match="src_spans: a null inside"):
        check_rows(batch, ALIGNED, "f")


def test_no_rows_are_right() -> None:
    check_rows(pa.RecordBatch.from_pylist([], schema=ALIGNED.schema), ALIGNED, "f")
