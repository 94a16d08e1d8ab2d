"""Marks of exchanged and switched words, by the offsets that the kernel gives."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.drawing.marked_text import exchanged_texts, switched_text
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.text.truecase import casing_of
from bitextile.schema.errors import RowError
from bitextile.schema.kinds import ALIGNED
from report_rows import aligned_row, exchange_row


def text_of(line) -> str:
    return "".join(run.text for run in line.runs)


def marks_of(line) -> list[tuple[str, str]]:
    return [(p.text, p.original) for p in line.runs if p.original is not None]


def exchanged(row: dict, **config) -> list[dict]:
    """Returns what the kernel makes of a row of kind aligned."""
    batch = pa.RecordBatch.from_pylist([row], ALIGNED.schema)
    casing = casing_of([batch])
    made = exchange(batch, config=ExchangeConfig(rate=1.0, **config), casing=casing).kept
    return made.to_pylist()


def test_exchanged_words_are_marked_with_what_they_replaced() -> None:
    row = aligned_row("zh", "de", "我|爱|北京|。", "Ich liebe Peking|.", "1-1 2-2")
    [made] = exchanged(row)
    src, tgt = exchanged_texts(made)
    assert (text_of(src), marks_of(src)) == (
        made["src_exchanged"],
        [("liebe", "爱"), ("Peking", "北京")],
    )
    assert (text_of(tgt), marks_of(tgt)) == (
        made["tgt_exchanged"],
        [("爱", "liebe"), ("北京", "Peking")],
    )
    [first, _] = [run for run in src.runs if run.original]
    assert first.lang == "de"
    assert f"{made['links'][0]['score']:.2f}" in first.title


def test_crossing_links_and_groups_are_marked_where_they_stand() -> None:
    row = aligned_row("fr", "de", "Une maison rouge", "Ein rotes Haus", "0-0 1-2 2-1")
    [made] = exchanged(row)
    src, tgt = exchanged_texts(made)
    assert marks_of(src) == [("Ein", "Une"), ("Haus", "maison"), ("rotes", "rouge")]
    assert marks_of(tgt) == [("Une", "Ein"), ("rouge", "rotes"), ("maison", "Haus")]
    row = aligned_row("de", "fr", "Kartoffeln essen", "manger pommes de terre", "0-1 0-2 0-3 1-0")
    [made] = exchanged(row, many_to_many=True)
    src, tgt = exchanged_texts(made)
    assert marks_of(src) == [("pommes de terre", "Kartoffeln"), ("manger", "essen")]
    assert marks_of(tgt) == [("essen", "manger"), ("Kartoffeln", "pommes de terre")]


def test_an_exchange_that_does_not_add_up_is_an_error() -> None:
    row = aligned_row("de", "fr", "Ein Haus", "Une maison", "0-0 1-1")
    row = exchange_row(row, [(1, 1)], "Etwas ganz anderes", "Une Haus")
    with pytest.raises(RowError, match="does not give the exchanged"):
        exchanged_texts(row)


LETTERS = st.text("abcdefgäöé猫魚", min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LETTERS, LETTERS, st.booleans()), min_size=1, max_size=9))
def test_marks_cover_the_text_and_what_was_exchanged(words) -> None:
    linked = " ".join(f"{i}-{i}" for i, word in enumerate(words) if word[2])
    src, tgt = (" ".join(word[side] for word in words) for side in (0, 1))
    for made in exchanged(aligned_row("de", "fr", src, tgt, linked)):
        src_marked, tgt_marked = exchanged_texts(made)
        assert text_of(src_marked) == made["src_exchanged"]
        assert text_of(tgt_marked) == made["tgt_exchanged"]
        swapped = [link["src"] for link in made["exchanged"]]
        assert marks_of(src_marked) == [(words[i][1], words[i][0]) for i in swapped]
        assert marks_of(tgt_marked) == [(words[i][0], words[i][1]) for i in swapped]


def test_a_switched_text_is_its_text():
    replacements = [
        {"start": 0, "end": 2, "lang": "de", "original": "猫", "origin": "dict", "score": 1.0},
        {"start": 3, "end": 4, "lang": "fr", "original": "魚", "origin": "link", "score": 0.5},
    ]
    line = switched_text("ja", "ab がc", [*replacements[:1]])
    assert text_of(line) == "ab がc"
    line = switched_text("ja", "ab cd", replacements)
    assert [(p.text, p.lang) for p in line.runs] == [
        ("ab", "de"),
        (" ", "ja"),
        ("c", "fr"),
        ("d", "ja"),
    ]
