"""What no variant may choke on or pass by: each case through every kernel that could meet it."""

import unicodedata
from collections.abc import Callable

import pyarrow as pa
import pytest

from bitextile.kernels.bitext.dictionary.source import ENTRIES, Dictionary, DictionarySource
from bitextile.kernels.bitext.lexicon import count_links
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import derive_aligned, derive_rows, sentences_of
from bitextile.kernels.exchange import ExchangeConfig, exchange, undo_exchange
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig, switch_by_candidates
from bitextile.kernels.switch.dictionary import (
    DictionarySwitchConfig,
    index_of,
    switch_by_dictionary,
)
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig, switch_multilingual
from bitextile.kernels.text.truecase import casing_of
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import RowError
from bitextile.schema.kinds import ALIGNED, CANDIDATES, CODESWITCH, EXCHANGE

Kernel = Callable[[pa.RecordBatch], pa.RecordBatch]


def index() -> dict:
    rows = [("dog", "Hund"), ("bank", "بنك"), ("e\u0301", "a\u0301"), ("a", "ein")]
    entries = [{"src": s, "tgt": t, "p": 1.0, "pos": None, "count": None} for s, t in rows]
    source = DictionarySource(path="d.txt", src_lang="en", tgt_lang="de")
    return index_of(
        [Dictionary(source=source, entries=pa.Table.from_pylist(entries, schema=ENTRIES))]
    )


def recased(batch: pa.RecordBatch) -> pa.RecordBatch:
    config = ExchangeConfig(rate=1.0, many_to_many=True, recase=True)
    kept = exchange(batch, config=config, casing=casing_of([batch])).kept
    assert [side.to_pylist() for side in undo_exchange(kept)] == [
        kept[side].to_pylist() for side in ("src", "tgt")
    ]
    return kept


ALL = DictionarySwitchConfig(token_rate=1.0)
KERNELS: dict[str, tuple[Kernel, object]] = {
    "exchange": (lambda b: exchange(b, config=ExchangeConfig(rate=1.0)).kept, EXCHANGE),
    "exchange, recase": (recased, EXCHANGE),
    "alignment": (
        lambda b: switch_by_alignment(b, config=AlignmentSwitchConfig(token_rate=1.0)).kept,
        CODESWITCH,
    ),
    "several languages": (
        lambda b: switch_multilingual(b, config=MultilingualSwitchConfig(token_rate=1.0)).kept,
        CODESWITCH,
    ),
    "dictionary": (lambda b: switch_by_dictionary(b, index=index(), config=ALL).kept, CODESWITCH),
    "lexicon": (count_links, None),
    "derive, aligned": (
        lambda b: derive_aligned(b, config=DeriveConfig(transforms=("invert",))).kept,
        ALIGNED,
    ),
    "derive, pairs": (
        lambda b: (
            derive_rows(
                sentences_of(b), config=DeriveConfig(transforms=("permute", "transliterate"))
            ).kept
        ),
        ALIGNED,
    ),
}
READS_LINKS = [name for name in KERNELS if name not in ("derive, pairs",)]


def made(name: str, batch: pa.RecordBatch) -> list[dict]:
    kernel, kind = KERNELS[name]
    rows = kernel(batch)
    if kind is not None:
        check_rows(rows, kind, name)
    return rows.to_pylist()


@pytest.mark.parametrize("name", READS_LINKS)
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ({"links": [{"src": 0, "tgt": 9, "score": 1.0}]}, "tgt index lies outside"),
        ({"links": [{"src": -1, "tgt": 0, "score": 1.0}]}, "src index lies outside"),
        ({"src_spans": [{"start": 0, "end": 2}, {"start": 1, "end": 3}]}, "spans overlap"),
        ({"tgt_spans": [{"start": 0, "end": 99}]}, "lies outside"),
        ({"tgt_spans": [{"start": 1, "end": 1}]}, "lies outside the text or is empty"),
    ],
)
def test_rows_out_of_bounds_are_refused_with_their_id(aligned, name, damage, problem) -> None:
    row = aligned((("en", "a dog"), ("de", "ein Hund"), [(0, 0)])).to_pylist()[0] | damage
    with pytest.raises(RowError, match=f"{problem}.*{row['pair_id']}"):
        made(name, pa.RecordBatch.from_pylist([row], schema=ALIGNED.schema))


def test_candidates_out_of_bounds_are_refused() -> None:
    row = {"text_id": "f" * 32, "lang": "en", "text": "a dog", "candidates": [[]]}
    batch = [row | {"spans": [{"start": 2, "end": 9}]}]
    with pytest.raises(RowError, match="lies outside the text"):
        switch_by_candidates(
            pa.RecordBatch.from_pylist(batch, schema=CANDIDATES.schema),
            config=CandidatesSwitchConfig(),
        )


@pytest.mark.parametrize("name", KERNELS)
def test_a_sentence_of_one_word_and_one_of_none(aligned, name) -> None:
    batch = aligned((("en", "dog"), ("de", "Hund"), [(0, 0)]), (("en", ""), ("de", "Hund"), []))
    rows = made(name, batch)
    texts = {
        "exchange": [("Hund", "dog")],
        "exchange, recase": [("Hund", "Dog")],
        "alignment": ["Hund", "dog"],
        "several languages": ["Hund"],
        "dictionary": ["Hund"],
    }
    if name in texts:
        found = [r.get("text", (r.get("src_exchanged"), r.get("tgt_exchanged"))) for r in rows]
        assert found == texts[name]
    elif name == "lexicon":
        assert [(row["src"], row["tgt"]) for row in rows] == [("Hund", "dog")]
    else:
        assert len(rows) >= 2


@pytest.mark.parametrize("name", KERNELS)
def test_mixed_directions_stay_in_logical_order_without_controls(aligned, name) -> None:
    src = "the bank بنك (ABC) 3 dogs"
    tgt = "البنك bank (ABC) ٣ كلاب"
    batch = aligned((("en", src), ("ar", tgt), [(1, 0), (2, 1), (6, 5), (7, 6)]))
    for row in made(name, batch):
        for column, text in row.items():
            if isinstance(text, str) and column in ("text", "src_exchanged", "tgt_exchanged"):
                assert not any(unicodedata.category(char) == "Cf" for char in text)
                assert "(ABC)" in text
        for change in row.get("replacements", ()):
            assert row["text"][change["start"] : change["end"]].strip() != ""
    texts = {
        "exchange": ("the البنك bank (ABC) ٣ كلاب", "bank بنك (ABC) 3 dogs"),
        "exchange, recase": ("the البنك bank (ABC) ٣ كلاب", "bank بنك (ABC) 3 dogs"),
    }
    if name in texts:
        (row,) = made(name, batch)
        assert (row["src_exchanged"], row["tgt_exchanged"]) == texts[name]


@pytest.mark.parametrize("name", KERNELS)
def test_marks_at_a_seam_are_never_given_to_another_letter(aligned, name) -> None:
    # The first word ends in a mark; the last is followed by one that no word holds.
    batch = aligned(
        (("en", "e\u0301 dog"), ("th", "กำ หมา", [(0, 2), (3, 6)]), [(0, 0), (1, 1)]),
        (
            ("en", "dog\u0301 a", [(0, 3), (5, 6)]),
            ("de", "Hund\u200d ein", [(0, 4), (6, 9)]),
            [(0, 0), (1, 1)],
        ),
    )
    for row in made(name, batch):
        for column in ("text", "src_exchanged", "tgt_exchanged"):
            for text in [row[column]] if column in row else []:
                held = clusters(batch) | {"ein", "Hund", "a\u0301"}
                assert clusters_of(text) <= {c for word in held for c in clusters_of(word)}


def clusters(batch: pa.RecordBatch) -> set[str]:
    return {*batch["src"].to_pylist(), *batch["tgt"].to_pylist()}


def clusters_of(text: str) -> set[str]:
    """Returns each letter with the marks and joiners behind it."""
    found: list[str] = []
    for char in text:
        if found and unicodedata.category(char) in ("Mn", "Mc", "Cf"):
            found[-1] += char
        else:
            found.append(char)
    return set(found)
