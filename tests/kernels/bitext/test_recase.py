"""Casing that follows the position: by hand in six languages, and what must hold for any batch."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.exchange import ExchangeConfig, exchange, exchanged_spans, undo_exchange
from bitextile.kernels.text.truecase import casing_of
from bitextile.schema.kinds import EXCHANGE

SEEN = (
    ("en", "Here the dogs run on Monday, and I run it. He is it."),
    ("de", "Ja, der Hund läuft: die Hunde laufen und der Hund auch."),
)
ALL = ExchangeConfig(rate=1.0, recase=True)


@pytest.mark.parametrize(
    ("src", "tgt", "links", "expected"),
    [
        # The new first word is raised, the old one lowered.
        (
            ("en", "The dog runs."),
            ("de", "Läuft der Hund?"),
            [(0, 1), (1, 2)],
            ("Der Hund runs.", "Läuft the dog?"),
        ),
        # A noun, a name and "I" are seen with capitals inside sentences; "Katze" is not seen.
        (
            ("de", "Hunde mag er"),
            ("en", "He likes dogs"),
            [(0, 2)],
            ("Dogs mag er", "He likes Hunde"),
        ),
        (("en", "I run"), ("fr", "Oui, je cours"), [(0, 2)], ("Je run", "Oui, I cours")),
        (("en", "Monday it is"), ("fr", "Oui, lundi"), [(0, 2)], ("Lundi it is", "Oui, Monday")),
        (("de", "Katze da"), ("en", "The cat"), [(0, 1)], ("Cat da", "The Katze")),
        # Capitals further on are nobody's business.
        (("en", "NATO met"), ("fr", "Ici, iPhone"), [(0, 2)], ("iPhone met", "Ici, NATO")),
        # The first place of a sentence that begins small, or without case, asks for nothing.
        (("en", "the dog"), ("de", "Ja, Hund"), [(1, 2)], ("the Hund", "Ja, dog")),
        (
            ("en", "The dog"),
            ("zh", "狗跑", [(0, 1), (1, 2)]),
            [(0, 1), (1, 0)],
            ("跑狗", "dog the"),
        ),
        (("en", "it is"), ("de", "Ja, Der"), [(0, 2)], ("Der is", "Ja, it")),
        # Each sentence of a text, behind opening marks.
        (
            ("en", "He is. “The dog!” runs"),
            ("de", "Ja, der Hund."),
            [(4, 2)],
            ("He is. “Der dog!” runs", "Ja, the Hund."),
        ),
        # The Turkic i keeps its dot, or its lack of one, whatever language it is set into.
        (("en", "It is"), ("tr", "Bu iyi"), [(0, 1)], ("İyi is", "Bu it")),
        (("tr", "Bu ılık"), ("en", "It is"), [(0, 0), (1, 1)], ("It is", "Bu ılık")),
        (("en", "It is"), ("tr", "Bu ılık"), [(0, 1)], ("Ilık is", "Bu it")),
        # Letters without a capital of one code point stay; so does ij.
        (("en", "It is"), ("de", "Ja, ßa"), [(0, 2)], ("ßa is", "Ja, it")),
        (("en", "It is"), ("ka", "ძაღლი დარბის"), [(0, 1)], ("დარბის is", "ძაღლი it")),
        (("en", "It is"), ("nl", "Het ijs"), [(0, 1)], ("ijs is", "Het it")),
    ],
)
def test_casing_follows_the_position(aligned, src, tgt, links, expected) -> None:
    casing = casing_of([aligned((*SEEN, []))])
    kept = exchange(aligned((src, tgt, links)), config=ALL, casing=casing).kept
    assert (kept["src_exchanged"][0].as_py(), kept["tgt_exchanged"][0].as_py()) == expected
    assert [side[0].as_py() for side in undo_exchange(kept)] == [src[1], tgt[1]]


@given(st.data(), st.booleans(), st.integers(0, 3))
def test_only_the_case_of_first_letters_differs_and_all_comes_back(
    aligned_batches, data, many_to_many, seed
) -> None:
    batch = titled(data.draw(aligned_batches), data)
    options = {"rate": 0.7, "many_to_many": many_to_many, "seed": seed}
    plain = exchange(batch, config=ExchangeConfig(**options)).kept
    kept = exchange(
        batch, config=ExchangeConfig(**options, recase=True), casing=casing_of([batch])
    ).kept
    src, tgt = undo_exchange(kept)
    assert (src.to_pylist(), tgt.to_pylist()) == (kept["src"].to_pylist(), kept["tgt"].to_pylist())
    same = [
        name for name in EXCHANGE.schema.names if name not in ("src_exchanged", "tgt_exchanged")
    ]
    assert kept.select(same) == plain.select(same)
    for name, spans in zip(("src_exchanged", "tgt_exchanged"), exchanged_spans(kept), strict=True):
        rows = zip(kept[name].to_pylist(), plain[name].to_pylist(), spans.to_pylist(), strict=True)
        for new, old, places in rows:
            starts = {place["start"] for place in places}
            assert len(new) == len(old)
            assert all(a == b or at in starts for at, (a, b) in enumerate(zip(new, old)))
            assert unicodedata.normalize("NFC", new.lower()) == unicodedata.normalize(
                "NFC", old.lower()
            )


def titled(batch: pa.RecordBatch, data: st.DataObject) -> pa.RecordBatch:
    """Returns the batch with capitals at the beginning of some texts."""
    rows = batch.to_pylist()
    for row in rows:
        for side in ("src", "tgt"):
            if data.draw(st.booleans()) and row[side][:1].upper() != row[side][:1]:
                row[side] = row[side][0].upper()[0] + row[side][1:]
    return pa.RecordBatch.from_pylist(rows, schema=batch.schema)
