"""Derived languages as rows: inverse, exact links, nothing lost."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.lexicon import count_links
from bitextile.kernels.derive.config import DeriveConfig, derived_tag
from bitextile.kernels.derive.rows import (
    derive_aligned,
    derive_rows,
    sentences_of,
    undo_derive,
    undo_derive_aligned,
)
from bitextile.kernels.text.private_script import (
    transliterate_text,
)
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.ids import pair_ids, text_ids
from bitextile.schema.kinds import ALIGNED, MONO, REJECTS
from derive_cases import BATCHES, CONFIGS, ORDERS, mono, words


@given(BATCHES, CONFIGS)
def test_the_inverse_gives_the_original_back(batch, config) -> None:
    made = derive_rows(batch, config=config)
    check_rows(made.kept, ALIGNED, "derive")
    check_rows(made.rejects, REJECTS, "rejects")
    assert made.kept.num_rows == batch.num_rows
    assert undo_derive(made.kept).equals(batch["text"])


@given(BATCHES, CONFIGS)
def test_links_tie_each_word_to_what_was_made_of_it(batch, config) -> None:
    script = "transliterate" in config.transforms
    for row in derive_rows(batch, config=config).kept.to_pylist():
        src, tgt = words(row, "src"), words(row, "tgt")
        assert sorted(link["src"] for link in row["links"]) == list(range(len(src)))
        assert sorted(link["tgt"] for link in row["links"]) == list(range(len(tgt)))
        for link in row["links"]:
            word = src[link["src"]]
            assert tgt[link["tgt"]] == (transliterate_text(word) if script else word)
        ids = [pa.array([row[side]]) for side in ("src", "tgt")]
        assert (
            row["pair_id"] == pair_ids(row["src_lang"], ids[0], row["tgt_lang"], ids[1])[0].as_py()
        )


@given(BATCHES, CONFIGS, st.data())
def test_batches_may_be_split(batch, config, data) -> None:
    at = data.draw(st.integers(0, batch.num_rows))
    parts = [derive_rows(half, config=config) for half in (batch.slice(0, at), batch.slice(at))]
    whole = derive_rows(batch, config=config)
    assert whole.kept.to_pylist() == [r for part in parts for r in part.kept.to_pylist()]


@pytest.mark.parametrize(
    ("lang", "text", "transforms", "derived"),
    [
        ("en", "The dog, it runs.", ["invert"], "runs it, dog The."),
        ("en", "Who came? He did.", ["invert"], "came Who? did He."),
        ("fr", "L'été arrive!", ["invert"], "arrive\u2005été L'!"),
        ("ar", "كلب كبير.", ["invert"], "كبير كلب."),
        ("en", "one", ["invert", "permute"], "one"),
        ("en", "!", ["invert"], "!"),
        ("en", "", ["invert"], ""),
        ("en", "a 犬", ["transliterate"], "\U000f0061 \U000f72ac"),
    ],
)
def test_texts_by_hand(lang, text, transforms, derived) -> None:
    config = DeriveConfig(transforms=tuple(transforms))
    assert derive_rows(mono((lang, text)), config=config).kept["tgt"].to_pylist() == [derived]


def test_sentences_that_use_the_script_already_are_set_aside() -> None:
    made = derive_rows(mono(("en", "a \U000f0061"), ("en", "b")), config=DeriveConfig())
    assert (made.kept.num_rows, made.rejects["rule"].to_pylist()) == (1, ["private_use/1"])
    with pytest.raises(RowError, match="derived rows"):
        undo_derive(
            pa.RecordBatch.from_pylist(
                [made.kept.to_pylist()[0] | {"links": []}], schema=ALIGNED.schema
            )
        )


def test_derived_words_count_as_words() -> None:
    kept = derive_rows(mono(("en", "the dog, 3")), config=DeriveConfig()).kept
    assert count_links(kept).num_rows == 2


def test_permutations_differ_by_sentence_and_seed() -> None:
    batch = mono(*(("en", f"a b c d e f g h {n}") for n in range(50)))
    found = {
        tuple(
            tuple(link["tgt"] for link in row["links"])
            for row in derive_rows(
                batch, config=DeriveConfig(transforms=("permute",), seed=seed)
            ).kept.to_pylist()
        )
        for seed in (0, 1)
    }
    assert len(found) == 2
    assert all(len(set(orders)) > 40 for orders in found)


def test_syntax_without_a_parse_is_refused() -> None:
    with pytest.raises(ConfigError, match="parse"):
        derive_rows(mono(("en", "a")), config=DeriveConfig(transforms=("syntax",)))


REVERSIBLE = st.builds(
    DeriveConfig,
    transforms=ORDERS.map(tuple),
    sides=st.sampled_from(["src", "tgt", "both"]),
    seed=st.integers(0, 3),
)


@given(st.data(), REVERSIBLE)
def test_aligned_pairs_keep_their_links_and_come_back(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    kept, rejects = derive_aligned(batch, config=config)
    check_rows(kept, ALIGNED, "derive")
    check_rows(rejects, REJECTS, "rejects")
    assert set(rejects["rule"].to_pylist()) <= {"not_reversible/1"}
    assert sorted(kept["line"].to_pylist() + rejects["line"].to_pylist()) == (
        batch["line"].to_pylist()
    )
    before = {row["line"]: row for row in batch.to_pylist()}
    script = "transliterate" in config.transforms
    src, tgt = undo_derive_aligned(kept, config=config)
    for row, back in zip(kept.to_pylist(), zip(src.to_pylist(), tgt.to_pylist()), strict=True):
        old = before[row["line"]]
        assert back == (old["src"], old["tgt"])
        assert row["align_score"] == old["align_score"]
        for side in ("src", "tgt"):
            derived = config.sides in (side, "both")
            tag = derived_tag(old[f"{side}_lang"], config.transforms)
            assert row[f"{side}_lang"] == (tag if derived else old[f"{side}_lang"])
            if not derived:
                assert words(row, side) == words(old, side)
        tied = [tied_words(r) for r in (old, row)]
        if script:
            turn = [
                transliterate_text if config.sides in (s, "both") else str for s in ("src", "tgt")
            ]
            tied[0] = [(turn[0](a), turn[1](b), score) for a, b, score in tied[0]]
        assert sorted(tied[0]) == sorted(tied[1])


def tied_words(row: dict) -> list[tuple[str, str, float]]:
    src, tgt = words(row, "src"), words(row, "tgt")
    return [(src[link["src"]], tgt[link["tgt"]], link["score"]) for link in row["links"]]


def test_links_tie_what_was_made_of_the_words_they_tied(aligned) -> None:
    rows = ((("en", "The big dog runs."), ("de", "Der Hund läuft."), [(0, 0), (2, 1), (3, 2)]),)
    config = DeriveConfig(transforms=("invert",), sides="src")
    row = derive_aligned(aligned(*rows), config=config).kept.to_pylist()[0]
    assert (row["src_lang"], row["src"]) == ("en-inverted", "runs dog big The.")
    assert (row["tgt_lang"], row["tgt"]) == ("de", "Der Hund läuft.")
    assert [(a, b) for a, b, _ in tied_words(row)] == [
        ("runs", "läuft"),
        ("dog", "Hund"),
        ("The", "Der"),
    ]
    ids = [pa.array([row[side]]) for side in ("src", "tgt")]
    assert row["pair_id"] == pair_ids("en-inverted", ids[0], "de", ids[1])[0].as_py()
    config = DeriveConfig(transforms=("permute", "transliterate"))
    derived = derive_aligned(aligned(*rows), config=config)
    assert derived.kept["tgt_lang"].to_pylist() == ["de-Qaaa-permuted"]


def test_what_could_not_come_back_is_set_aside(aligned) -> None:
    batch = aligned(
        (("en", "a b\u2005c d"), ("de", "x"), [(0, 0)]),
        (("en", "a \U000f0061"), ("de", "x"), [(0, 0)]),
        (("en", "a b"), ("de", "x"), [(0, 0)]),
    )
    kept, rejects = derive_aligned(batch, config=DeriveConfig(transforms=("invert",)))
    assert kept["line"].to_pylist() == [3]
    assert set(rejects["rule"].to_pylist()) == {"private_use/1", "not_reversible/1"}
    with pytest.raises(ConfigError, match="syntax"):
        derive_aligned(batch, config=DeriveConfig(transforms=("syntax",)))


@given(st.data(), REVERSIBLE)
def test_pairs_may_be_split_and_permuted(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    at = data.draw(st.integers(0, batch.num_rows))
    parts = [derive_aligned(b, config=config) for b in (batch.slice(0, at), batch.slice(at))]
    whole = derive_aligned(batch, config=config).kept.to_pylist()
    assert whole == [row for part in parts for row in part.kept.to_pylist()]


def test_sentences_of_pairs_are_mono_rows(aligned) -> None:
    batch = aligned((("en", "a"), ("de", "x"), []), (("fr", "b"), ("en", "a"), []))
    rows = sentences_of(batch)
    check_rows(rows, MONO, "derive")
    assert rows["text"].to_pylist() == ["a", "x", "b", "a"]
    ids = rows["text_id"].to_pylist()
    assert ids[0] == ids[3] == text_ids("en", pa.array(["a"]))[0].as_py()
    assert sentences_of(batch, sides="tgt")["text"].to_pylist() == ["x", "a"]
