"""Word exchange: hand-written pairs in six scripts, and what must hold for any aligned batch."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.exchange import ExchangeConfig, exchange, exchanged_spans, undo_exchange
from bitextile.kernels.randomness import hash64, uniform
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.kinds import ALIGNED, EXCHANGE, REJECTS

ALL = ExchangeConfig(rate=1.0)
GROUPS = ExchangeConfig(rate=1.0, many_to_many=True)
CONFIGS = st.builds(
    ExchangeConfig,
    rate=st.sampled_from([0.0, 0.5, 1.0]),
    many_to_many=st.booleans(),
    min_score=st.sampled_from([0.0, 0.5]),
    variants=st.integers(1, 3),
    seed=st.integers(0, 3),
)


def texts(batch: pa.RecordBatch, config: ExchangeConfig) -> list[tuple[str, str]]:
    kept = exchange(batch, config=config).kept
    return list(zip(kept["src_exchanged"].to_pylist(), kept["tgt_exchanged"].to_pylist()))


@pytest.mark.parametrize(
    ("src", "tgt", "links", "expected"),
    [
        (
            ("en", "The dog runs."),
            ("de", "Der Hund läuft."),
            [(1, 1), (3, 3)],
            ("The Hund runs.", "Der dog läuft."),
        ),
        (
            ("en", "The dog runs."),
            ("zh", "一只狗在跑。"),
            [(1, 2), (2, 4)],
            ("The 狗跑.", "一只 dog 在 runs。"),
        ),
        (
            ("ru", "Собака бежит."),
            ("ja", "犬が走る。", [(0, 1), (1, 2), (2, 4), (4, 5)]),
            [(0, 0), (1, 2)],
            ("犬走る.", "Собака が бежит。"),
        ),
        (
            ("ar", "كلب يركض"),
            ("th", "หมาวิ่ง", [(0, 3), (3, 7)]),
            [(0, 0), (1, 1)],
            ("หมาวิ่ง", "كلب يركض"),
        ),
        (
            ("zh", "狗跑。"),
            ("ja", "犬が走る。", [(0, 1), (1, 2), (2, 4), (4, 5)]),
            [(0, 0), (1, 2)],
            ("犬走る。", "狗が跑。"),
        ),
        (
            ("de", "rot und blau"),
            ("fr", "bleu et rouge"),
            [(0, 2), (1, 1), (2, 0)],
            ("rouge et bleu", "blau und rot"),
        ),
    ],
)
def test_linked_words_change_places(aligned, src, tgt, links, expected) -> None:
    assert texts(aligned((src, tgt, links)), ALL) == [expected]


def test_groups_of_links_change_places_as_wholes(aligned) -> None:
    batch = aligned(
        (("en", "the steam boat"), ("de", "das Dampfboot"), [(0, 0), (1, 1), (2, 1)]),
        (("en", "no more cats"), ("fr", "ne chats plus"), [(0, 0), (0, 2), (2, 1)]),
    )
    assert texts(batch, ALL) == [
        ("das steam boat", "the Dampfboot"),
        ("no more chats", "ne cats plus"),
    ]
    assert texts(batch, GROUPS)[0] == ("das Dampfboot", "the steam boat")
    # "ne ... plus" does not stand together, so it cannot change places with "no".
    assert texts(batch, GROUPS)[1] == ("no more chats", "ne cats plus")
    kept = exchange(batch, config=GROUPS).kept
    assert [(x["src"], x["tgt"]) for x in kept["exchanged"][0].as_py()] == [(0, 0), (1, 1), (2, 1)]


def test_punctuation_equal_words_and_torn_characters_stay(aligned) -> None:
    batch = aligned(
        (("en", "Rome !"), ("zh", "Rome 。"), [(0, 0), (1, 1)]),
        (("en", "a b"), ("th", "กำ่า ข", [(0, 2), (5, 6)]), [(0, 0)]),
        (("en", "a b"), ("de", "x y"), []),
    )
    kept, rejects = exchange(batch, config=ExchangeConfig(rate=1.0, variants=2))
    assert kept.num_rows == 0
    assert rejects["rule"].to_pylist() == ["no_eligible_links/1"] * 6
    assert rejects["value"].to_pylist() == [2.0, 2.0, 1.0, 1.0, 0.0, 0.0]
    assert rejects["detail"].to_pylist() == ["variant 0", "variant 1"] * 3


def test_links_below_the_score_stay(aligned) -> None:
    batch = aligned((("en", "a b"), ("de", "x y"), [(0, 0, 0.4), (1, 1, 0.6)]))
    assert texts(batch, ExchangeConfig(rate=1.0, min_score=0.5)) == [("a y", "x b")]


@given(st.data(), CONFIGS)
def test_exchanging_again_gives_the_original_pair(aligned_batches, data, config) -> None:
    kept = exchange(data.draw(aligned_batches), config=config).kept
    src, tgt = undo_exchange(kept)
    assert (src.to_pylist(), tgt.to_pylist()) == (kept["src"].to_pylist(), kept["tgt"].to_pylist())


@pytest.mark.parametrize(
    ("src", "tgt", "exchanged"),
    [
        (("zh", "用Python写", [(0, 1), (1, 7), (7, 8)]), ("ja", "蛇"), ["用蛇写", "Python"]),
        (("th", "กาแฟ ร้อน", [(0, 4), (5, 9)]), ("en", "x hot"), ["กาแฟ hot", "x ร้อน"]),
        (("en", "can't", [(0, 2), (2, 5)]), ("ru", "н не"), ["ca не", "н n't"]),
    ],
)
def test_unusual_spaces_come_back_too(aligned, src, tgt, exchanged) -> None:
    # No rule knows what stood here: the space comes back from what the first exchange did.
    n_words = len(tgt[1].split())
    kept = exchange(aligned((src, tgt, [(1, n_words - 1)])), config=ALL).kept
    assert [kept["src_exchanged"][0].as_py(), kept["tgt_exchanged"][0].as_py()] == exchanged
    back = undo_exchange(kept)
    assert [side[0].as_py() for side in back] == [src[1], tgt[1]]


@given(st.data(), CONFIGS)
def test_exchanged_words_stand_where_the_spans_say(aligned_batches, data, config) -> None:
    kept = exchange(data.draw(aligned_batches), config=config).kept
    src_spans, tgt_spans = exchanged_spans(kept)
    for row, here, there in zip(kept.to_pylist(), src_spans.to_pylist(), tgt_spans.to_pylist()):
        if not config.many_to_many:
            links = row["exchanged"]
            assert cut(row["src_exchanged"], here) == words(row, "tgt", [x["tgt"] for x in links])
            by_target = sorted(links, key=lambda x: x["tgt"])
            expected = words(row, "src", [x["src"] for x in by_target])
            assert cut(row["tgt_exchanged"], there) == expected
        assert len(here) == len(there) >= 1


@given(st.data(), CONFIGS)
def test_every_row_and_variant_is_kept_or_rejected_and_valid(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    kept, rejects = exchange(batch, config=config)
    check_rows(kept, EXCHANGE, "exchange")
    check_rows(rejects, REJECTS, "rejects")
    found = list(zip(kept["line"].to_pylist(), kept["variant"].to_pylist()))
    dropped = zip(rejects["line"].to_pylist(), rejects["detail"].to_pylist())
    found += [(line, int(detail.removeprefix("variant "))) for line, detail in dropped]
    expected = [(line, v) for line in batch["line"].to_pylist() for v in range(config.variants)]
    assert sorted(found) == expected
    assert kept.select(ALIGNED.schema.names).to_pylist() == [
        row
        for row in batch.to_pylist()
        for v in range(config.variants)
        if (row["line"], v) in set(zip(kept["line"].to_pylist(), kept["variant"].to_pylist()))
    ]


@given(st.data(), CONFIGS)
def test_batches_may_be_split_and_rows_permuted(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    kept, rejects = exchange(batch, config=config)
    cut_at = data.draw(st.integers(0, batch.num_rows))
    parts = [exchange(b, config=config) for b in (batch.slice(0, cut_at), batch.slice(cut_at))]
    assert kept.to_pylist() == [row for part in parts for row in part.kept.to_pylist()]
    assert rejects.to_pylist() == [row for part in parts for row in part.rejects.to_pylist()]
    order = data.draw(st.permutations(range(batch.num_rows)))
    permuted = exchange(batch.take(pa.array(order, pa.int64())), config=config).kept
    by_id = EXCHANGE.id_columns
    assert sorted(permuted.to_pylist(), key=lambda r: [r[c] for c in by_id]) == sorted(
        kept.to_pylist(), key=lambda r: [r[c] for c in by_id]
    )


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_is_met_within_three_sigma(many_aligned, rate: float) -> None:
    kept, rejects = exchange(many_aligned, config=ExchangeConfig(rate=rate, seed=7))
    n_links = 5 * many_aligned.num_rows
    swapped = len(kept["exchanged"].flatten())
    assert abs(swapped - rate * n_links) <= 3 * np.sqrt(n_links * rate * (1 - rate))
    assert set(rejects["rule"].to_pylist()) <= {"nothing_sampled/1"}
    assert set(rejects["value"].to_pylist()) <= {5.0}


@given(st.data(), st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.booleans())
def test_links_of_the_lowest_score_take_part(aligned_batches, data, min_score, groups) -> None:
    """With every link drawn, `min_score` leaves those whose groups score at least that much."""
    batch = data.draw(aligned_batches)
    every = exchange(batch, config=ExchangeConfig(rate=1.0, many_to_many=groups)).kept
    some = ExchangeConfig(rate=1.0, many_to_many=groups, min_score=min_score)
    kept = exchange(batch, config=some).kept.to_pylist()
    found = {row["line"]: ends(row["exchanged"]) for row in kept}
    for row in every.to_pylist():
        scores = {(x["src"], x["tgt"]): x["score"] for x in row["links"]}
        expected = set()
        for group in linked_groups(ends(row["links"])):
            if group <= ends(row["exchanged"]) and min(scores[x] for x in group) >= min_score:
                expected |= group
        assert found.pop(row["line"], set()) == expected
    assert not found


@given(st.data(), st.sampled_from([0.2, 0.5, 0.8]), st.integers(0, 3), st.integers(1, 3))
def test_a_link_is_exchanged_where_its_own_draw_is_below_the_rate(
    aligned_batches, data, rate, seed, variants
) -> None:
    """The slow version: one draw for each eligible link, keyed by id, variant and source word."""
    batch = data.draw(aligned_batches)
    config = ExchangeConfig(rate=rate, seed=seed, variants=variants)
    eligible = {
        row["pair_id"]: ends(row["exchanged"])
        for row in exchange(batch, config=ExchangeConfig(rate=1.0)).kept.to_pylist()
    }
    made = exchange(batch, config=config).kept.to_pylist()
    found = {(row["pair_id"], row["variant"]): ends(row["exchanged"]) for row in made}
    for pair_id, links in eligible.items():
        for variant in range(variants):
            expected = {
                link
                for link in links
                if uniform(
                    hash64(pa.array([pair_id])),
                    seed=seed,
                    operation="exchange",
                    variant=variant,
                    position=np.array([link[0]]),
                )[0]
                < rate
            }
            assert found.pop((pair_id, variant), set()) == expected
    assert not found


def test_variants_and_seeds_draw_anew(many_aligned) -> None:
    batch = many_aligned.slice(0, 50)

    def drawn(**options) -> list:
        return exchange(batch, config=ExchangeConfig(**options)).kept["src_exchanged"].to_pylist()

    assert drawn(seed=1) == drawn(seed=1)
    assert drawn(seed=1) != drawn(seed=2)
    first, both = exchange(batch, config=ExchangeConfig()).kept, drawn(variants=2)
    assert set(first["src_exchanged"].to_pylist()) < set(both)


def test_a_changed_row_is_refused_when_exchanged_back(aligned) -> None:
    kept = exchange(aligned((("en", "a b"), ("de", "x y"), [(0, 0)])), config=ALL).kept
    row = kept.to_pylist()[0]
    for damage in ({"src_exchanged": "x c"}, {"exchanged": [{"src": 1, "tgt": 1}]}):
        damaged = pa.RecordBatch.from_pylist([row | damage], schema=EXCHANGE.schema)
        with pytest.raises(RowError, match="does not give the exchanged texts in the row with"):
            undo_exchange(damaged)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ({"links": [{"src": 0, "tgt": 9, "score": 1.0}]}, "tgt index lies outside"),
        ({"src_spans": [{"start": 0, "end": 2}, {"start": 1, "end": 3}]}, "spans overlap"),
        ({"src_spans": [{"start": 0, "end": 9}, {"start": 9, "end": 11}]}, "lies outside"),
    ],
)
def test_rows_out_of_bounds_are_refused_with_their_id(aligned, damage, problem) -> None:
    row = aligned((("en", "a b"), ("de", "x y"), [(0, 0)])).to_pylist()[0] | damage
    with pytest.raises(RowError, match=f"{problem}.*{row['pair_id']}"):
        exchange(pa.RecordBatch.from_pylist([row], schema=ALIGNED.schema), config=ALL)


@pytest.mark.parametrize("options", [{"rate": 1.1}, {"min_score": -1}, {"variants": 0}])
def test_options_out_of_range_are_refused(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        ExchangeConfig(**options)


def cut(text: str, spans: list[dict]) -> list[str]:
    return [text[span["start"] : span["end"]] for span in spans]


def words(row: dict, side: str, numbers: list[int]) -> list[str]:
    return cut(row[side], [row[f"{side}_spans"][i] for i in numbers])


def ends(links: list[dict]) -> set[tuple[int, int]]:
    return {(link["src"], link["tgt"]) for link in links}


def linked_groups(links: set[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """The slow version: links that share a word, directly or through others, are one group."""
    groups: list[set[tuple[int, int]]] = []
    for link in links:
        touching = [g for g in groups if any(link[0] == a or link[1] == b for a, b in g)]
        groups = [g for g in groups if g not in touching] + [{link}.union(*touching)]
    return groups
