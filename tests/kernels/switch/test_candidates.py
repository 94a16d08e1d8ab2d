"""Words replaced by a model's candidates."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.switch.candidates import CandidatesSwitchConfig, switch_by_candidates
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import RowError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import CANDIDATES, CODESWITCH

EVERY_WORD = CandidatesSwitchConfig(token_rate=1.0)


def candidates(*rows) -> pa.RecordBatch:
    made = []
    for n, (text, words) in enumerate(rows):
        spans, at = [], 0
        for word, _ in words:
            at = text.index(word, at)
            spans.append({"start": at, "end": at + len(word)})
            at += len(word)
        lists = [[dict(zip(("text", "lang", "score"), c)) for c in found] for _, found in words]
        made.append(
            {"text_id": stable_id(str(n), text), "lang": "en", "text": text}
            | {"spans": spans, "candidates": lists}
        )
    return pa.RecordBatch.from_pylist(made, schema=CANDIDATES.schema)


def test_candidates_are_drawn_in_proportion_to_their_probability() -> None:
    words = [("The", []), ("dog", [("Hund", "de", 0.6), ("犬", "ja", 0.2), ("dog", "en", 0.9)])]
    batch = candidates(*((f"The dog {n}", words) for n in range(3_000)))
    made = switch_by_candidates(batch, config=CandidatesSwitchConfig(token_rate=0.5))
    check_rows(made.kept, CODESWITCH, "codeswitch")
    tally = made.counters["en"]
    n = tally["words_drawn"]
    assert tally["words"] == 3_000
    for drawn, of, rate in ((n, 3_000, 0.5), (tally["words_to_de"], n, 0.75)):
        assert abs(drawn - of * rate) <= 3 * np.sqrt(of * rate * (1 - rate))
    assert tally["words_to_de"] + tally["words_to_ja"] == n
    change = made.kept.to_pylist()[0]["replacements"][0]
    assert (change["original"], change["origin"]) == ("dog", "model")
    assert made.kept.num_rows + made.rejects.num_rows == 3_000


def test_words_without_usable_candidates_stay() -> None:
    words = [("dog", [("dog", "en", 0.9), ("Hund", "de", 0.0), ("", "de", 0.5)])]
    made = switch_by_candidates(
        candidates(("dog", words), ("", [])), config=CandidatesSwitchConfig()
    )
    assert made.rejects["rule"].to_pylist() == ["no_eligible_words/1"] * 2
    uneven = candidates(("dog", words)).to_pylist()[0] | {"candidates": []}
    batch = pa.RecordBatch.from_pylist([uneven], schema=CANDIDATES.schema)
    with pytest.raises(RowError, match="differ in number"):
        switch_by_candidates(batch, config=CandidatesSwitchConfig())


@pytest.mark.parametrize(
    ("found", "usable"),
    [
        (("Hund", "de", 1e-6), True),
        (("Hund", "de", 0.0), False),
        (("Dog", "en", 0.5), True),
        (("dog", "de", 0.5), False),
        (("", "de", 0.5), False),
    ],
)
def test_which_candidates_are_usable(found, usable) -> None:
    made = switch_by_candidates(candidates(("dog", [("dog", [found])])), config=EVERY_WORD)
    assert made.kept["text"].to_pylist() == ([found[0]] if usable else [])


WORDS = st.sampled_from(["dog", "كلب", "犬", "é"])
FOUND = st.lists(
    st.tuples(
        st.sampled_from(["dog", "Hund", "犬", ""]),
        st.sampled_from(["de", "ja"]),
        st.sampled_from([0.0, 0.25, 0.5]),
    ),
    max_size=3,
)


@given(st.lists(st.lists(st.tuples(WORDS, FOUND), max_size=4), min_size=1, max_size=4))
def test_every_word_with_a_usable_candidate_is_replaced_by_one_of_them(sentences) -> None:
    rows = [(" ".join(word for word, _ in words), words) for words in sentences]
    made = switch_by_candidates(candidates(*rows), config=EVERY_WORD)
    kept = {row["parent_id"]: row for row in made.kept.to_pylist()}
    for n, (text, words) in enumerate(rows):
        usable = [
            (word, {(t, lang) for t, lang, score in found if score > 0 and t and t != word})
            for word, found in words
        ]
        expected = [(word, some) for word, some in usable if some]
        row = kept.get(stable_id(str(n), text))
        assert (row is not None) == bool(expected)
        if row is None:
            continue
        got = row["replacements"]
        assert [change["original"] for change in got] == [word for word, _ in expected]
        for change, (_, some) in zip(got, expected):
            assert (row["text"][change["start"] : change["end"]], change["lang"]) in some
        # What stands between the replaced words is as it was, but for the spaces around them.
        restored = row["text"]
        for change in reversed(got):
            restored = restored[: change["start"]] + change["original"] + restored[change["end"] :]
        assert restored.replace(" ", "") == text.replace(" ", "")
