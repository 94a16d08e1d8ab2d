"""Ingest, step by step: files to rows, and what is kept of them, the same on any batching."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.filters.rules import FilterConfig
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.splits import SplitConfig
from bitextile.schema.kinds import MONO, PAIRS
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.ingest import (
    AssignSplits,
    DropDuplicates,
    Filter,
    Normalise,
    ReadCorpora,
)

PLACE = {"corpus": "c", "file": "f", "split": "", "line": 1}


def pairs(*sides: tuple[str, str], **fields) -> pa.RecordBatch:
    row = PLACE | {"pair_id": "", "src_lang": "de", "tgt_lang": "zh"} | fields
    rows = [row | {"src": s, "tgt": t, "line": n} for n, (s, t) in enumerate(sides, start=1)]
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS.schema)


def mono(*texts: str, **fields) -> pa.RecordBatch:
    rows = [PLACE | {"text_id": "", "lang": "ar", "text": t} | fields for t in texts]
    return pa.RecordBatch.from_pylist(rows, schema=MONO.schema)


def rows(*columns: str):
    return beam.FlatMap(
        lambda batch: list(zip(*(batch.column(c).to_pylist() for c in columns), strict=True))
    )


def text_source(folder, name: str, content: bytes, **fields) -> CorpusSource:
    (folder / name).write_bytes(content)
    fields = {"corpus": "c", "languages": ("ar",), "format": "lines"} | fields
    return CorpusSource(files=(str(folder / name),), names=(name,), **fields)


def test_corpora_become_rows_rejects_and_a_count(pipeline, tmp_path) -> None:
    sources = (
        text_source(tmp_path, "a.txt", "واحد\nاثنان\n".encode()),
        text_source(tmp_path, "b.txt", b"\xff\n\nlast", languages=("en",), corpus="d"),
        text_source(tmp_path, "empty.txt", b""),
    )
    with pipeline() as root:
        read = root | ReadCorpora(sources)
        assert isinstance(read, TrackedRows)
        assert read.rejects[0].element_type is pa.RecordBatch
        kept = read.kept | "Kept" >> rows("lang", "text", "file", "line", "corpus")
        dropped = read.rejects[0] | "Dropped" >> rows("rule", "file", "line")
        assert_that(
            kept,
            equal_to(
                [
                    ("ar", "واحد", "a.txt", 1, "c"),
                    ("ar", "اثنان", "a.txt", 2, "c"),
                    ("en", "", "b.txt", 2, "d"),
                    ("en", "last", "b.txt", 3, "d"),
                ]
            ),
            label="kept",
        )
        assert_that(dropped, equal_to([("invalid_utf8/1", "b.txt", 1)]), label="dropped")
        assert_that(read.read | beam.CombineGlobally(sum), equal_to([5]), label="read")


def test_normalising_takes_ids_over_the_text() -> None:
    [batch] = [pairs(("e\u0301", " 猫\u3000猫 "))] | Normalise()
    assert batch.select(["src", "tgt"]).to_pylist() == [{"src": "é", "tgt": "猫 猫"}]
    [other] = [mono("\ufeffقط")] | Normalise(MONO)
    assert other.column("text").to_pylist() == ["قط"]
    assert {len(i) for b in (batch, other) for i in b.column(0).to_pylist()} == {32}


def test_filters_drop_pairs_and_sentences_by_their_rules(pipeline) -> None:
    with pipeline() as root:
        both = root | "Pairs" >> beam.Create([pairs(("Hund", "狗"), ("", "狗"), ("a " * 40, "狗"))])
        filtered = both | Filter(FilterConfig(max_words=30))
        one = root | "Mono" >> beam.Create([mono("قط", "", "a " * 40)])
        single = one | "FilterMono" >> Filter(FilterConfig(max_words=30), MONO)
        assert isinstance(filtered, TrackedRows)
        assert_that(filtered.kept | "K" >> rows("src"), equal_to([("Hund",)]), label="pairs")
        expected = [("empty/1", 2), ("too_long/1", 3)]
        assert_that(
            filtered.rejects[0] | "R" >> rows("rule", "line"), equal_to(expected), label="rules"
        )
        assert_that(single.kept | "K1" >> rows("text"), equal_to([("قط",)]), label="mono")
        rules = single.rejects[0] | "R1" >> rows("rule")
        assert_that(rules, equal_to([("empty/1",), ("too_long/1",)]), label="mono rules")


@pytest.mark.parametrize("reverse", [False, True])
def test_duplicates_meet_across_batches_corpora_and_directions(pipeline, reverse: bool) -> None:
    batches = [
        pairs(("Hund", "狗"), ("Katze", "猫"), corpus="web"),
        pairs(("Hund", "狗"), ("Hund", "狗"), corpus="books"),
        pairs(("猫", "Katze"), src_lang="zh", tgt_lang="de", corpus="books"),
    ]
    with pipeline() as root:
        out = (
            root
            | beam.Create(batches[::-1] if reverse else batches)
            | Normalise()
            | DropDuplicates(("web", "books"))
        )
        assert_that(
            out.kept | "Kept" >> rows("corpus", "src", "line"),
            equal_to([("web", "Hund", 1), ("web", "Katze", 2)]),
            label="kept",
        )
        assert_that(
            out.rejects[0] | "Dropped" >> rows("rule", "corpus", "line", "value"),
            equal_to(
                [
                    ("duplicate/1", "books", 1, 3.0),
                    ("duplicate/1", "books", 2, 3.0),
                    ("duplicate/1", "books", 1, 2.0),
                ]
            ),
            label="dropped",
        )


def test_the_same_text_in_two_languages_is_no_duplicate(pipeline) -> None:
    with pipeline() as root:
        out = (
            root
            | beam.Create([mono("Hotel", lang="de"), mono("Hotel", lang="fr")])
            | Normalise(MONO)
            | DropDuplicates(kind=MONO)
        )
        assert_that(out.kept | rows("lang"), equal_to([("de",), ("fr",)]))


def test_duplicates_come_in_batches_of_the_usual_size(pipeline) -> None:
    batches = [mono(*(f"جملة {n}" for n in range(first, first + 4096))) for first in (0, 9, 99)]
    with pipeline() as root:
        out = root | beam.Create(batches) | Normalise(MONO) | DropDuplicates(kind=MONO)
        sizes = out.kept | "Sizes" >> beam.Map(lambda batch: batch.num_rows)
        assert_that(sizes | beam.CombineGlobally(sum), equal_to([4096 + 99]), label="kept")
        dropped = out.rejects[0] | beam.Map(lambda batch: batch.num_rows)
        assert_that(
            dropped | "SumDropped" >> beam.CombineGlobally(sum),
            equal_to([2 * 4096 - 99]),
            label="rejects",
        )


def test_splits_are_drawn_where_none_is_given(pipeline) -> None:
    with pipeline() as root:
        batches = [mono(*(f"جملة {i}" for i in range(200))), mono("قط", split="test")]
        rows_in = root | beam.Create(batches) | Normalise(MONO)
        out = {"mono": rows_in} | AssignSplits(SplitConfig(valid=0.3, test=0.3))
        assert isinstance(out["mono"], TrackedRows)
        splits = out["mono"].kept | rows("text", "split")
        assert_that(
            splits | "Splits" >> beam.Values() | beam.Distinct(),
            equal_to(["train", "valid", "test"]),
            label="drawn",
        )
        cats = splits | beam.Filter(lambda row: row[0] == "قط")
        assert_that(cats, equal_to([("قط", "test")]), label="given")


@pytest.mark.parametrize("reverse", [False, True])
def test_what_shares_a_sentence_with_a_held_out_pair_is_rejected_in_every_kind(
    pipeline, reverse: bool
) -> None:
    batches = [
        pairs(("Hund", "狗"), corpus="gold", split="test"),
        pairs(("Hund", "犬"), ("Katze", "猫"), tgt_lang="ja", corpus="web"),
    ]
    with pipeline() as root:
        both = root | "P" >> beam.Create(batches[:: -1 if reverse else 1]) | "NP" >> Normalise()
        sentences = root | "M" >> beam.Create([mono("Hund", "Katze", "Maus", lang="de")])
        sentences = sentences | "NM" >> Normalise(MONO)
        out = {"pairs": both, "mono": sentences} | AssignSplits(SplitConfig(valid=0, test=0))
        kept = out["pairs"].kept | "K" >> rows("src", "tgt", "split")
        expected = [("Hund", "狗", "test"), ("Katze", "猫", "train")]
        assert_that(kept, equal_to(expected), label="pairs")
        kept = out["mono"].kept | "KM" >> rows("text", "split")
        assert_that(kept, equal_to([("Katze", "train"), ("Maus", "train")]), label="mono")
        for name, tgt in (("pairs", "犬"), ("mono", None)):
            dropped = out[name].rejects[0] | f"R{name}" >> rows("rule", "src", "tgt", "detail")
            detail = "shares a sentence with corpus gold (test)"
            assert_that(
                dropped, equal_to([("held_out/1", "Hund", tgt, detail)]), label=f"rejects {name}"
            )
