"""Several translations mixed in one sentence."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.switch.core import rates_of
from bitextile.kernels.switch.pivot import (
    MultilingualSwitchConfig,
    pivot_texts,
    switch_multilingual,
)
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import CODESWITCH, REJECTS

EN = ("en", "The dog runs.")
ROWS = (
    (EN, ("de", "Der Hund läuft."), [(0, 0), (1, 1), (2, 2)]),
    (("zh", "狗在跑。"), EN, [(0, 1), (2, 2)]),
    (EN, ("fr", "Le chien court."), [(0, 0), (1, 1), (2, 2)]),
)


def test_languages_are_mixed_in_one_sentence(aligned) -> None:
    config = MultilingualSwitchConfig(token_rate=1.0, variants=20)
    made = switch_multilingual(aligned(*ROWS), config=config)
    check_rows(made.kept, CODESWITCH, "codeswitch")
    parent = text_ids("en", pa.array([EN[1]]))[0].as_py()
    assert set(made.kept["parent_id"].to_pylist()) == {parent}
    assert made.kept.num_rows == 20
    langs = {tuple(c["lang"] for c in row["replacements"]) for row in made.kept.to_pylist()}
    assert any(len(set(mixed)) == 3 for mixed in langs)
    # Chinese has no word for the article, so two languages share it.
    assert {mixed[0] for mixed in langs} == {"de", "fr"}


def test_runs_stay_only_where_nothing_else_covers_their_words(aligned) -> None:
    run = (("en", "a steam boat"), ("de", "ein Dampfboot"), [(0, 0), (1, 1), (2, 1)])
    config = MultilingualSwitchConfig(token_rate=1.0)
    alone = switch_multilingual(aligned(run), config=config).kept["text"].to_pylist()
    assert alone == ["ein Dampfboot"]
    words = (("en", "a steam boat"), ("fr", "bateau vapeur"), [(1, 1), (2, 0)])
    both = switch_multilingual(aligned(run, words), config=config).kept["text"].to_pylist()
    assert both == ["ein vapeur bateau"]


def test_weights_are_met_within_three_sigma(aligned) -> None:
    rows = [
        ((("en", f"dog {n} dog"), (lang, f"{word} {n} {word}"), [(0, 0), (2, 2)]))
        for n in range(1_500)
        for lang, word in (("de", "Hund"), ("zh", "狗"), ("fr", "chien"))
    ]
    config = MultilingualSwitchConfig(
        sentence_rate=0.8, token_rate=0.5, weights={"zh": 2.0}, seed=1
    )
    tally = switch_multilingual(aligned(*rows), config=config).counters["en"]
    n = tally["words_drawn"]
    for drawn, of, rate in (
        (tally["sentences_drawn"], 1_500, 0.8),
        (n, tally["words"], 0.5),
        (tally["words_to_zh"], n, 0.5),
        (tally["words_to_de"], n, 0.25),
    ):
        assert abs(drawn - of * rate) <= 3 * np.sqrt(of * rate * (1 - rate))


def test_a_pair_without_the_pivot_is_refused(aligned) -> None:
    with pytest.raises(ConfigError, match="no side in ja"):
        switch_multilingual(aligned(*ROWS), config=MultilingualSwitchConfig(pivot="ja"))
    with pytest.raises(ConfigError, match="weight of de"):
        MultilingualSwitchConfig(weights={"de": 0.0})


@given(st.data())
def test_groups_may_be_split_and_every_sentence_is_accounted_for(aligned_batches, data) -> None:
    batch = data.draw(aligned_batches)
    mine = [r for r in batch.to_pylist() if "de" in (r["src_lang"], r["tgt_lang"])]
    rows = [row for row in mine if row["src_lang"] != row["tgt_lang"]]
    batch = pa.RecordBatch.from_pylist(rows, schema=batch.schema)
    config = MultilingualSwitchConfig(pivot="de", token_rate=0.6, variants=2)
    made = switch_multilingual(batch, config=config)
    check_rows(made.kept, CODESWITCH, "codeswitch")
    check_rows(made.rejects, REJECTS, "rejects")
    texts = pivot_texts(batch, "de").to_pylist()
    assert made.kept.num_rows + made.rejects.num_rows == 2 * len(set(texts))
    some = set(data.draw(st.lists(st.sampled_from(texts)))) if texts else set()
    parts = [
        switch_multilingual(
            batch.filter(pa.array([(t in some) is one for t in texts], pa.bool_())), config=config
        )
        for one in (True, False)
    ]
    found = sorted(r["switch_id"] + r["text"] for p in parts for r in p.kept.to_pylist())
    assert found == sorted(r["switch_id"] + r["text"] for r in made.kept.to_pylist())
    if made.counters and all(part.counters for part in parts):
        sums = np.sum([rates_of(part.counters) for part in parts], axis=0)
        assert tuple(sums.tolist()) == rates_of(made.counters)


@pytest.mark.parametrize(("score", "rows"), [(0.5, 1), (0.75, 0)])
def test_links_of_the_lowest_score_take_part(aligned, score, rows) -> None:
    batch = aligned((("en", "dog"), ("de", "Hund"), [(0, 0, 0.5)]))
    config = MultilingualSwitchConfig(token_rate=1.0, min_score=score)
    assert switch_multilingual(batch, config=config).kept.num_rows == rows
